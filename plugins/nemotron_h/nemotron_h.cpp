// SPDX-License-Identifier: Apache-2.0
// Nemotron-H (arXiv:2504.03624): layers of one thing each, which is Mamba 2, attention without positions, a
// feed-forward or experts. Source: NemotronHModel and its head, transformers 5.24.
#include <onnxport/blocks/layer.hpp>
#include <onnxport/plugin.hpp>

#include "config.hpp"

using namespace nemotron_h;

namespace {

class NemotronHOnnxConfig final : public TextDecoder {
 public:
  explicit NemotronHOnnxConfig(const Request& request) : TextDecoder(request, Positions::sequence), c(request.config) {}

  int64_t num_layers() const override { return static_cast<int64_t>(c.types.size()); }
  int64_t num_attention_heads() const override { return c.heads; }
  int64_t num_key_value_heads() const override { return c.kv_heads; }
  int64_t head_size() const override { return c.head_size; }
  bool has_usual_cache() const override { return c.heads * c.head_size == c.hidden; }
  std::vector<std::string> keep_in_fp32() const override { return {StateSpaceMixer::recurrence}; }
  std::vector<State> states_of(int64_t layer) const override {
    if (c.type(layer) == mamba) return c.mixer.states(layer);
    return c.type(layer) == full ? keys_and_values(layer) : std::vector<State>{};
  }

 private:
  TextDecoderTraits traits() const override {
    return {.base = "backbone",
            .vocab = c.vocab,
            .max_positions = c.positions,
            .embedding = "embeddings",
            .tied = c.tied,
            .classes = {},
            .token_classes = {}};
  }

  Value decode(const Scope& s, const Inputs& in, Cache& cache) const override {
    Graph& g = s.graph();
    g.unused("mtp.*");  // which guess further tokens
    const Chunks chunks = chunks_of(s, fresh_mask(in));
    Value x = embedding(s / "embeddings", in.at("input_ids"), {c.vocab, c.hidden});
    for (int64_t i = 0; i < num_layers(); ++i) {
      g.mark("hidden_states." + std::to_string(i), x);
      const Attended given{.mask = in.at("attention_mask"),
                           .cache = &cache,
                           .layer = i,
                           .probabilities = "attentions." + std::to_string(i)};
      const Scope layer = s / "layers" / i;
      x = residual(layer, x, {.norm = c.norm},
                   [&](const Value& h) { return run(layer / "mixer", h, c.type(i), chunks, given); });
    }
    return g.mark("hidden_states." + std::to_string(num_layers()), norm(s / "norm_f", x, c.norm));
  }

  Value run(const Scope& s, const Value& x, const std::string& type, const Chunks& chunks,
            const Attended& given) const {
    if (type == mamba) return state_space_mixer(s, x, c.mixer, chunks, *given.cache, given.layer);
    if (type == mlp) return feed_forward(s, x, c.feed_forward);
    if (type == moe) return mixture_feed_forward(s, x, c.mixture);
    return attend(s, x, {.heads = c.heads, .kv_heads = c.kv_heads, .head_size = c.head_size, .causal = true}, given);
  }

  const NemotronHConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.nemotron_h",
    .name = "Nemotron-H",
    .models = {{.types = {"nemotron_h"},
                .features = {"default", "default-with-past", "causal-lm", "causal-lm-with-past"},
                .make = make<NemotronHOnnxConfig>}},
})
