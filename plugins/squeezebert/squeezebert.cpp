// SPDX-License-Identifier: Apache-2.0
// SqueezeBERT: BERT whose layers are grouped convolutions over one place. Source: SqueezeBertModel and its heads,
// transformers 4.57 (modeling_squeezebert.py).
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
    Graph& g = s.graph();
    Value x = embed(s / "embeddings", text);
    for (int64_t i = 0; i < bert.layers; ++i) {
      g.mark("hidden_states." + std::to_string(i), x);
      x = layer(s / "encoder.layers" / i, x, {.mask = text.mask, .probabilities = "attentions." + std::to_string(i)});
    }
    return g.mark("hidden_states." + std::to_string(bert.layers), x);
  }

  // Signals f[batch, channels, n] within, texts f[batch, n, channels] without.
  static Value turned(const Value& x) { return transpose(x, {0, 2, 1}); }

  Value layer(const Scope& s, const Value& x, const Attended& given) const {
    // Whatever the config says.
    const Norm behind{.epsilon = 1e-12};
    const auto convolved = [](const Scope& at, const Value& h, const Conv1dOptions& options) {
      return turned(conv1d(at / "conv1d", turned(h), options));
    };
    const Scope out = s / "post_attention", down = s / "output";
    const Value mixed = attend(s / "attention", x, given);
    Value h = convolved(out, mixed, {.out = bert.hidden, .groups = groups.output}) + x;
    h = norm(out / "layernorm", h, behind).in(s);
    const Value up = conv1d(s / "intermediate.conv1d", turned(h), {.out = bert.inner, .groups = groups.up});
    const Conv1dOptions to_hidden{.out = bert.hidden, .groups = groups.down};
    const Value fed = turned(conv1d(down / "conv1d", activation(up, bert.activation), to_hidden));
    return norm(down / "layernorm", fed + h, behind).in(s);
  }

  Value attend(const Scope& s, const Value& x, const Attended& given) const {
    const Value signal = turned(x.in(s));
    const auto made = [&](const char* name, int64_t groups_of) {
      return turned(conv1d(s / name, signal, {.out = bert.hidden, .groups = groups_of}));
    };
    return mix(s, {made("query", groups.query), made("key", groups.key), made("value", groups.value)},
               {.heads = bert.heads, .head_size = bert.hidden / bert.heads}, given);
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
