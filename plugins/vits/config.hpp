// SPDX-License-Identifier: Apache-2.0
// VitsConfig, transformers 4.57 and 5.24.
#pragma once

#include <onnxport/families/hifi_gan.hpp>
#include <onnxport/plugin.hpp>

namespace vits {

using namespace onnxport::family;

struct VitsConfig {
  explicit VitsConfig(const Config& c)
      : vocab(c.size("vocab_size", 38)),
        width(c.size("hidden_size", 192)),
        layers(c.count("num_hidden_layers", 6)),
        heads(c.size("num_attention_heads", 2)),
        window(c.is_null("window_size") ? 0 : c.size("window_size", 4)),
        bias(c.boolean("use_bias", true)),
        inner(c.size("ffn_dim", 768)),
        inner_kernel(c.size("ffn_kernel_size", 3)),
        activation(c.text("hidden_act", "relu")),
        epsilon(c.real("layer_norm_eps", 1e-5)),
        latent(c.size("flow_size", 192)),
        flows(c.count("prior_encoder_num_flows", 4)),
        wavenet{c.count("prior_encoder_num_wavenet_layers", 4), c.size("wavenet_kernel_size", 5),
                c.size("wavenet_dilation_rate", 1)},
        stochastic(c.boolean("use_stochastic_duration_prediction", true)),
        duration{c.size("duration_predictor_kernel_size", 3), c.count("duration_predictor_num_flows", 4),
                 c.size("duration_predictor_flow_bins", 10),  c.real("duration_predictor_tail_bound", 5.0),
                 c.count("depth_separable_num_layers", 3),    c.size("duration_predictor_filter_channels", 256)},
        speakers(c.size("num_speakers", 1)),
        speaker_width(c.count("speaker_embedding_size", 0)),
        vocoder(HifiGan{.rates = {8, 8, 2, 2}, .kernels = {16, 16, 4, 4}, .last_bias = false}.with(c)),
        rate(c.real("speaking_rate", 1.0)),
        noise(c.real("noise_scale", 0.667)),
        duration_noise(stochastic ? c.real("noise_scale_duration", 0.8) : 0) {
    require_multiple({"hidden_size", width}, {"num_attention_heads", heads});
    require_multiple({"flow_size", latent}, {"2, as flows turn one half by the other", 2});
    if (stochastic) require_equal({"depth_separable_channels", c.size("depth_separable_channels", 2)}, {"2", 2});
    if (speakers > 1 && speaker_width == 0) {
      throw Error(ONNXPORT_CONFIG, "config field 'speaker_embedding_size' is 0, and num_speakers is " +
                                       std::to_string(speakers) + "; expected more than 0");
    }
    if (rate <= 0)
      throw Error(ONNXPORT_CONFIG,
                  "config field 'speaking_rate' is " + std::to_string(rate) + "; expected more than 0");
    // Of training, for which there is an encoder of spectrograms.
    c.no_effect({"spectrogram_bins", "posterior_encoder_num_wavenet_layers", "layerdrop", "wavenet_dropout",
                 "duration_predictor_dropout", "hidden_dropout", "attention_dropout", "activation_dropout",
                 "initializer_range", "sampling_rate", "depth_separable_channels"});
  }
  struct Wavenet {
    int64_t layers, kernel, dilation;
  };
  struct Duration {
    int64_t kernel, flows, bins;
    double bound;  // splines turn what lies between it and its negative
    int64_t layers, filters;
  };

  bool has_speakers() const { return speakers > 1; }

  int64_t vocab, width, layers, heads, window;  // 0: distances are not told
  bool bias;
  int64_t inner, inner_kernel;
  std::string activation;
  double epsilon;
  int64_t latent, flows;
  Wavenet wavenet;
  bool stochastic;
  Duration duration;
  int64_t speakers, speaker_width;
  HifiGan vocoder;
  double rate, noise, duration_noise;
};

}  // namespace vits
