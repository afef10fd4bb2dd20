// SPDX-License-Identifier: Apache-2.0
// SqueezeBERT: BERT whose layers are grouped convolutions over one place. Source: SqueezeBertModel and its heads,
// transformers 4.57 (modeling_squeezebert.py).
#include <cmath>
#include <limits>

#include <onnxport/convolutions.hpp>
#include <onnxport/families/bert.hpp>

using namespace onnxport::family;

namespace {

/// In how many groups the channels of each layer are.
struct Groups {
  explicit Groups(const Config& c)
      : query(c.size("q_groups", 4)),
        key(c.size("k_groups", 4)),
        value(c.size("v_groups", 4)),
        output(c.size("post_attention_groups", 1)),
        up(c.size("intermediate_groups", 4)),
        down(c.size("output_groups", 4)) {}
  int64_t query, key, value, output, up, down;
};

class SqueezeBertOnnxConfig final : public BertTextEncoder {
 public:
  explicit SqueezeBertOnnxConfig(const Request& request)
      : BertTextEncoder(request, "transformer"), groups(request.config) {
    require_equal({"embedding_size", request.config.size("embedding_size", 768)}, {"hidden_size", bert.hidden});
  }

 private:
  Value encode(const Scope& s, const Text& text) const override {
    // Whatever the config says.
    const Norm behind{.epsilon = 1e-12};
    const TransformerLayer layer{
        .attention_at = "",
        .feed_forward_at = "",
        .own_attention =
            [this](const Scope& module, const Value& x, const Attended& given) {
              const Value mixed = attend(module / "attention", x, given);
              return turned(conv1d(module / "post_attention.conv1d", turned(mixed.in(module / "post_attention")),
                                   {.out = bert.hidden, .groups = groups.output}));
            },
        .own_feed_forward = [this](const Scope& module, const Value& x) { return feed(module, x); },
        .attention_branch = {Placement::after, behind, "post_attention.layernorm"},
        .feed_forward_branch = {Placement::after, behind, "output.layernorm"}};
    const Value x = transformer_layers(s / "encoder.layers", embed(s / "embeddings", text),
                                       {bert.layers, [&](int64_t) { return layer; }}, {.mask = text.mask});
    return bert.last_step(x);
  }

  // Signals f[batch, channels, n] within, texts f[batch, n, channels] without.
  static Value turned(const Value& x) { return transpose(x, {0, 2, 1}); }

  Value feed(const Scope& s, const Value& x) const {
    const Value up = conv1d(s / "intermediate.conv1d", turned(x), {.out = bert.inner, .groups = groups.up});
    return turned(
        conv1d(s / "output.conv1d", activation(up, bert.activation), {.out = bert.hidden, .groups = groups.down}));
  }

  Value attend(const Scope& s, const Value& x, const Attended& given) const {
    const Value signal = turned(x.in(s));
    const auto made = [&](const char* name, int64_t groups_of) {
      return turned(conv1d(s / name, signal, {.out = bert.hidden, .groups = groups_of}));
    };
    const QueryKeyValue of{made("query", groups.query), made("key", groups.key), made("value", groups.value)};
    if (s.graph().wants(given.probabilities)) s.graph().mark(given.probabilities, scores(of, given.mask));
    Attended rest = given;
    rest.probabilities.clear();
    return mix(s, of, {.heads = bert.heads, .head_size = bert.hidden / bert.heads}, rest);
  }

  // What the class yields as attentions: not yet made to probabilities, f[batch, heads, n, n].
  Value scores(const QueryKeyValue& made, const Value& mask) const {
    const Value key = transpose(split_heads(made.key, bert.heads), {0, 1, 3, 2});
    const double root = std::sqrt(static_cast<double>(bert.hidden / bert.heads));
    const Value hidden = unsqueeze(1.0 - cast(mask, DType::f32), {1, 2});
    return matmul(split_heads(made.query, bert.heads), key) / root +
           hidden * static_cast<double>(std::numeric_limits<float>::lowest());
  }

  TextHeads text_heads() const override { return {.masked_lm = bert.words()}; }

  const Groups groups;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.squeezebert",
    .name = "SqueezeBERT",
    .models = {{.types = {"squeezebert"},
                .features = {"default", "masked-lm", "sequence-classification", "token-classification",
                             "multiple-choice", "question-answering"},
                .make = make<SqueezeBertOnnxConfig>}},
})
