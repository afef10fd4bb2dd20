// SPDX-License-Identifier: Apache-2.0
// DiffLlama: a Llama with differential attention (arXiv:2410.05258). Source: DiffLlamaModel and its heads,
// transformers 4.57 and 5.24 (modeling_diffllama.py).
#include <cmath>

#include <onnxport/blocks/layer.hpp>
#include <onnxport/plugin.hpp>
#include <onnxport/rotary_decoder.hpp>
#include <onnxport/usual_cache.hpp>

using namespace onnxport::sdk;

namespace {

struct DiffLlamaConfig {
  explicit DiffLlamaConfig(const Config& c)
      : vocab(c.size("vocab_size", 32000)),
        hidden(c.size("hidden_size", 2048)),
        inner(c.size("intermediate_size", 8192)),
        layers(c.count("num_hidden_layers", 16)),
        heads(c.size("num_attention_heads", 32)),
        kv_heads(c.size("num_key_value_heads", heads)),
        head_size(c.size("head_dim", std::max<int64_t>(1, hidden / heads))),
        positions(c.size("max_position_embeddings", 2048)),
        activation(c.text("hidden_act", "silu")),
        rms{.kind = Norm::Kind::rms, .epsilon = c.real("rms_norm_eps", 1e-5)},
        bias(c.boolean("attention_bias", false)),
        causal(c.boolean("is_causal", true)),
        tied(c.tie(false)),
        rotary(c, head_size),
        labels(c.num_labels()),
        pad(c.maybe_integer("pad_token_id")) {
    require_multiple({"num_attention_heads", heads}, {"num_key_value_heads", kv_heads});
    require_multiple({"num_key_value_heads", kv_heads}, {"the halves that are compared", 2});
    c.no_effect({"lambda_std_dev", "pretraining_tp"});  // of fresh weights; of training
  }
  int64_t vocab, hidden, inner, layers, heads, kv_heads, head_size, positions;
  std::string activation;
  Norm rms;
  bool bias, causal;
  Tie tied;
  Rotary rotary;
  int64_t labels;
  std::optional<int64_t> pad;
};

class DiffLlamaOnnxConfig final : public RotaryDecoder {
 public:
  explicit DiffLlamaOnnxConfig(const Request& request) : RotaryDecoder(request), c(request.config) {}

  int64_t num_layers() const override { return c.layers; }
  int64_t num_attention_heads() const override { return c.heads; }
  int64_t num_key_value_heads() const override { return c.kv_heads; }
  int64_t head_size() const override { return c.head_size; }
  bool has_usual_cache() const override {
    return is_usual_cache("diffllama", {c.hidden, c.heads, c.kv_heads, c.head_size});
  }

 private:
  const Rotary& rotary() const override { return c.rotary; }
  TextDecoderTraits traits() const override {
    return {.base = task() == "question-answering" ? "transformer" : "model",
            .vocab = c.vocab,
            .max_positions = c.positions,
            .tied = c.tied,
            .labels = c.labels,
            .pad = c.pad,
            .span = "qa_outputs"};
  }

  Value decode(const Scope& s, const Inputs& in, Cache& cache) const override {
    Graph& g = s.graph();
    const Angles of_text = angles(s, in);
    Value x = embedding(s / "embed_tokens", in.at("input_ids"), {c.vocab, c.hidden});
    for (int64_t i = 0; i < c.layers; ++i) {
      g.mark("hidden_states." + std::to_string(i), x);
      const Attended given{.mask = in.at("attention_mask"), .angles = of_text, .cache = &cache, .layer = i};
      const Scope layer = s / "layers" / i;
      x = residual(layer, x, {.norm = c.rms, .name = "input_layernorm"},
                   [&](const Value& h) { return attends(layer / "self_attn", h, given); });
      x = residual(layer, x, {.norm = c.rms, .name = "post_attention_layernorm"}, [&](const Value& h) {
        return feed_forward(layer / "mlp", h, {.inner = c.inner, .activation = c.activation, .gate = "gate_proj"});
      });
    }
    return g.mark("hidden_states." + std::to_string(c.layers), norm(s / "norm", x, c.rms));
  }

  /// Heads of the second half are what those of the first are compared with; both see the values of both halves.
  Value attends(const Scope& s, const Value& h, const Attended& given) const {
    const int64_t half = c.heads / 2, width = 2 * c.head_size;
    const AttentionBlock block{.heads = c.heads,
                               .kv_heads = c.kv_heads,
                               .head_size = c.head_size,
                               .projections = {.bias = {c.bias, c.bias, c.bias, c.bias}}};
    const QueryKeyValue made = project(s, h, block);
    const auto turned = [&](const Value& x, int64_t heads) { return rotate(split_heads(x, heads), given.angles); };
    const std::string layer = std::to_string(given.layer);
    const Value keys = given.cache->append(layer + ".key", turned(made.key, c.kv_heads));
    const Value values = given.cache->append(layer + ".value", split_heads(made.value, c.kv_heads));

    const std::vector<Value> halves = split(values, 1, {c.kv_heads / 2, c.kv_heads / 2});
    const Value both = concat(halves, -1);
    const Value mixed = attention(turned(made.query, c.heads), keys, concat({both, both}, 1),
                                  {.heads = c.heads,
                                   .kv_heads = c.kv_heads,
                                   .causal = c.causal,
                                   .mask = given.mask,
                                   .probabilities = "attentions." + layer})
                            .mixed;

    const std::vector<Value> compared = split(reshape(mixed, {0, 0, c.heads, width}), 2, {half, half});
    const double start = 0.8 - 0.6 * std::exp(-0.3 * static_cast<double>(given.layer));
    const Value share = affinity(s, "1") - affinity(s, "2") + start;
    const Norm of_head{.kind = Norm::Kind::rms, .epsilon = c.rms.epsilon, .weight = false};
    const Value out = norm(s / "groupnorm", compared[0] - compared[1] * share, of_head) * (1 - start);
    return linear(s / "o_proj", reshape(out, {0, 0, half * width}), {.out = c.hidden, .bias = c.bias});
  }

  /// exp(q · k) of two learnt vectors.
  Value affinity(const Scope& s, const std::string& which) const {
    const auto learnt = [&](const char* name) { return s.weight(name + which, {c.head_size}); };
    return exp(sum(learnt("lambda_q") * learnt("lambda_k"), {0}));
  }

  const DiffLlamaConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.diffllama",
    .name = "DiffLlama",
    .models = {{.types = {"diffllama"},
                .features = {"default", "default-with-past", "causal-lm", "causal-lm-with-past",
                             "sequence-classification", "token-classification", "question-answering"},
                .make = make<DiffLlamaOnnxConfig>}},
})
