// SPDX-License-Identifier: Apache-2.0
// Mamba (arXiv:2312.00752) and Falcon-Mamba (arXiv:2410.05355): layers of selective state spaces alone.
// Source: MambaModel, FalconMambaModel and their heads, transformers 4.57 and 5.24.
#include <onnxport/blocks/layer.hpp>
#include <onnxport/blocks/selective_scan.hpp>
#include <onnxport/plugin.hpp>

using namespace onnxport::sdk;

namespace {

/// The width of the time step's low rank: a number, or "auto", a sixteenth of the hidden size.
int64_t rank_of(const Config& c, const char* field, int64_t hidden) {
  const int64_t derived = (hidden + 15) / 16;
  if (!c.is_text(field)) return c.size(field, derived);
  (void)c.choice(field, "auto", {"auto"});
  return derived;
}

/// Of as many channels as `expand` times the width, at least one.
int64_t channels_of(const Config& c, int64_t hidden) {
  const double expand = c.real("expand", 2), channels = expand * static_cast<double>(hidden);
  if (channels < 1 || channels > 1e9) {
    throw Error(ONNXPORT_CONFIG, "config field 'expand' is " + std::to_string(expand) +
                                     "; expected a number above 0, as 2: the channels of a layer for each of the " +
                                     std::to_string(hidden) + " of hidden_size");
  }
  return static_cast<int64_t>(channels);
}

struct MambaConfig {
  MambaConfig(const Config& c, bool norms_inputs)
      : vocab(c.size("vocab_size", 50280)),
        hidden(c.size("hidden_size", 768)),
        layers(c.count("num_hidden_layers", 32)),
        norm{.kind = Norm::Kind::rms, .epsilon = c.real("layer_norm_epsilon", 1e-5)},
        mixer{.channels = channels_of(c, hidden),
              .state = c.size("state_size", 16),
              .rank = rank_of(c, "time_step_rank", hidden),
              .kernel = c.size("conv_kernel", 4),
              .convolution_bias = c.boolean("use_conv_bias", true),
              .bias = c.boolean("use_bias", false),
              .activation = c.text("hidden_act", "silu"),
              .gate = c.written_before(5, 0) ? c.text("hidden_act", "silu") : "silu"},
        tied(c.tie(true)) {
    if (norms_inputs)
      mixer.norm = Norm{.kind = Norm::Kind::rms, .epsilon = c.real("mixer_rms_eps", 1e-6), .weight = false};
    // What expand tells, how the computation goes, in which type residuals are kept, and what weights begin with.
    c.no_effect({"intermediate_size", "use_mambapy", "use_falcon_mambapy", "use_associative_scan", "residual_in_fp32",
                 "time_step_scale", "time_step_min", "time_step_max", "time_step_init_scheme", "time_step_floor",
                 "rescale_prenorm_residual"});
  }
  int64_t vocab, hidden, layers;
  Norm norm;
  SelectiveMixer mixer;
  Tie tied;
};

class MambaOnnxConfig final : public TextDecoder {
 public:
  explicit MambaOnnxConfig(const Request& request)
      : TextDecoder(request, Positions::sequence), c(request.config, request.model_type == "falcon_mamba") {}

  int64_t num_layers() const override { return c.layers; }
  int64_t num_attention_heads() const override { return 1; }
  int64_t head_size() const override { return c.mixer.channels; }
  std::vector<State> states_of(int64_t layer) const override { return c.mixer.states(layer); }
  /// With a past there is no mask, which the original drops once there are states.
  std::vector<TensorSpec> inputs() const override {
    if (!use_past()) return TextDecoder::inputs();
    std::vector<TensorSpec> specs{input::ids("input_ids", {axis::batch, axis::sequence}, c.vocab)};
    fill_with_past_key_values_(specs);
    return specs;
  }

 private:
  TextDecoderTraits traits() const override {
    return {.base = "backbone",
            .vocab = c.vocab,
            .embedding = "embeddings",
            .tied = c.tied,
            .classes = {},
            .token_classes = {}};
  }

  Value decode(const Scope& s, const Inputs& in, Cache& cache) const override {
    Graph& g = s.graph();
    for (const char* part : {"dt", "b", "c"}) g.unused(std::string("*.mixer.") + part + "_layernorm.weight");  // ones
    const Value counts = use_past() ? Value() : unsqueeze(in.at("attention_mask"), {2});
    const Scope words = first_with("weight", {s / "embeddings", s / "embedding"});
    Value x = embedding(words, in.at("input_ids"), {c.vocab, c.hidden});
    for (int64_t i = 0; i < c.layers; ++i) {
      g.mark("hidden_states." + std::to_string(i), x);
      const Scope layer = s / "layers" / i;
      x = residual(layer, x, {.norm = c.norm},
                   [&](const Value& h) { return selective_mixer(layer / "mixer", h, c.mixer, counts, cache, i); });
    }
    return g.mark("hidden_states." + std::to_string(c.layers), norm(s / "norm_f", x, c.norm));
  }

  const MambaConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.mamba",
    .name = "Mamba",
    .models = {{.types = {"mamba", "falcon_mamba"},
                .features = {"default", "default-with-past", "causal-lm", "causal-lm-with-past"},
                .make = make<MambaOnnxConfig>}},
})
