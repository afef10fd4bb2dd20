// SPDX-License-Identifier: Apache-2.0
// Mamba 2 (arXiv:2405.21060): state-space layers alone. Source: Mamba2Model and its head, transformers 4.57 and 5.24.
#include <cmath>

#include <onnxport/blocks/layer.hpp>
#include <onnxport/blocks/state_space.hpp>
#include <onnxport/plugin.hpp>

using namespace onnxport::sdk;

namespace {

struct Mamba2Config {
  explicit Mamba2Config(const Config& c)
      : vocab(c.size("vocab_size", 32768)),
        hidden(c.size("hidden_size", 4096)),
        layers(c.count("num_hidden_layers", 64)),
        norm{.kind = Norm::Kind::rms, .epsilon = c.real("layer_norm_epsilon", 1e-5)},
        mixer{.space = {.heads = c.size("num_heads", 128),
                        .head_size = c.size("head_dim", 64),
                        .groups = c.size("n_groups", 8),
                        .state = c.size("state_size", 128)},
              .kernel = c.size("conv_kernel", 4),
              .convolution_bias = c.boolean("use_conv_bias", true),
              .input_bias = c.boolean("use_bias", false),
              .output_bias = c.boolean("use_bias", false),
              .activation = c.text("hidden_act", "silu"),
              .epsilon = norm.epsilon},
        tied(c.tie(false)) {
    mixer.limit_steps(c);
    require_multiple({"num_heads", mixer.space.heads}, {"n_groups", mixer.space.groups});
    require_equal(
        {"num_heads·head_dim", mixer.space.width()},
        {"expand·hidden_size", static_cast<int64_t>(std::floor(c.real("expand", 2) * static_cast<double>(hidden)))});
    // How a prompt is cut for the computation, in which type residuals are kept, and what weights begin with.
    c.no_effect({"chunk_size", "residual_in_fp32", "time_step_rank", "time_step_min", "time_step_max",
                 "time_step_floor", "rms_norm", "rescale_prenorm_residual"});
  }
  int64_t vocab, hidden, layers;
  Norm norm;
  StateSpaceMixer mixer;
  Tie tied;
};

class Mamba2OnnxConfig final : public TextDecoder {
 public:
  explicit Mamba2OnnxConfig(const Request& request) : TextDecoder(request, Positions::sequence), c(request.config) {}

  int64_t num_layers() const override { return c.layers; }
  int64_t num_attention_heads() const override { return c.mixer.space.heads; }
  int64_t head_size() const override { return c.mixer.space.head_size; }
  std::vector<std::string> keep_in_fp32() const override { return {StateSpaceMixer::recurrence}; }
  std::vector<State> states_of(int64_t layer) const override { return c.mixer.states(layer); }

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
    const Chunks chunks = chunks_of(s, fresh_mask(in));
    Value x =
        embedding(first_with("weight", {s / "embeddings", s / "embedding"}), in.at("input_ids"), {c.vocab, c.hidden});
    for (int64_t i = 0; i < c.layers; ++i) {
      g.mark("hidden_states." + std::to_string(i), x);
      const Scope layer = s / "layers" / i;
      x = residual(layer, x, {.norm = c.norm},
                   [&](const Value& h) { return state_space_mixer(layer / "mixer", h, c.mixer, chunks, cache, i); });
    }
    return g.mark("hidden_states." + std::to_string(c.layers), norm(s / "norm_f", x, c.norm));
  }

  const Mamba2Config c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.mamba2",
    .name = "Mamba 2",
    .models = {{.types = {"mamba2"},
                .features = {"default", "default-with-past", "causal-lm", "causal-lm-with-past"},
                .make = make<Mamba2OnnxConfig>}},
})
