// SPDX-License-Identifier: Apache-2.0
// Whisper's config. Source: WhisperConfig, transformers 4.30, 4.57 and 5.24.
#pragma once

#include <onnxport/families/bart.hpp>
#include <onnxport/plugin.hpp>

namespace whisper {

using namespace onnxport::sdk;
using onnxport::family::BartLayer;

struct WhisperConfig {
  explicit WhisperConfig(const Config& c)
      : vocab(c.size("vocab_size", 51865)),
        mels(c.size("num_mel_bins", 80)),
        width(c.size("d_model", 384)),
        encoder_layers(c.count("encoder_layers", 4)),
        decoder_layers(c.count("decoder_layers", 4)),
        source_positions(c.size("max_source_positions", 1500)),
        target_positions(c.size("max_target_positions", 448)),
        tied(c.tie(true)),
        sums_layers(c.boolean("use_weighted_layer_sum", false)),
        projected(c.size("classifier_proj_size", 256)),
        labels(c.num_labels()) {
    const ProjectionBias all_but_keys{.query = true, .key = false, .value = true, .output = true};
    const std::string activation = c.text("activation_function", "gelu");
    const auto side = [&](const char* heads, const char* inner, int64_t heads_otherwise) {
      const BartLayer layer{.width = width,
                            .heads = c.size(heads, heads_otherwise),
                            .inner = c.size(inner, 1536),
                            .activation = activation,
                            .bias = all_but_keys};
      require_multiple({"d_model", width}, {heads, layer.heads});
      return layer;
    };
    constexpr int64_t otherwise = 6;
    // Since version 5 the class knows these by a third name.
    encoder = side("encoder_attention_heads", "encoder_ffn_dim", c.size("num_key_value_heads", otherwise));
    decoder = side("decoder_attention_heads", "decoder_ffn_dim", otherwise);
    // The classes compute a scale of the embeddings and do not use it. The rest is of training and of generation.
    c.no_effect({"scale_embedding", "num_hidden_layers", "init_std", "encoder_layerdrop", "decoder_layerdrop",
                 "suppress_tokens", "begin_suppress_tokens", "apply_spec_augment", "mask_time_prob", "mask_time_length",
                 "mask_time_min_masks", "mask_feature_prob", "mask_feature_length", "mask_feature_min_masks",
                 "median_filter_width", "max_length", "forced_decoder_ids"});
  }

  /// Frames of a spectrogram, of which the second convolution takes every other one.
  int64_t frames() const { return 2 * source_positions; }

  int64_t vocab, mels, width;
  int64_t encoder_layers, decoder_layers;
  int64_t source_positions, target_positions;
  BartLayer encoder{}, decoder{};
  Tie tied;
  bool sums_layers;  // a classifier reads all layers' results, by learnt shares
  int64_t projected, labels;
};

}  // namespace whisper
