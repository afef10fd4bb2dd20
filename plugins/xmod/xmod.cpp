// SPDX-License-Identifier: Apache-2.0
// X-MOD: XLM-RoBERTa with an adapter for each language in every layer. Source: XmodModel and its heads,
// transformers 4.57 (modeling_xmod.py).
#include <algorithm>

#include <onnxport/families/roberta.hpp>

using namespace onnxport::family;

namespace {

struct XmodConfig {
  explicit XmodConfig(const Config& c)
      : languages(c.has("languages") ? c.texts("languages") : std::vector<std::string>{"en_XX"}),
        language(c.text("default_language", "")),
        reduction(c.size("adapter_reduction_factor", 2)),
        pre_norm(c.boolean("pre_norm", false)),
        own_norm(c.boolean("adapter_layer_norm", false)),
        reuses_norm(c.boolean("adapter_reuse_layer_norm", true)),
        normed_residual(c.boolean("ln_before_adapter", true)) {
    std::string known;
    for (const std::string& name : languages) known += (known.empty() ? "" : ", ") + name;
    if (!language.empty() && std::find(languages.begin(), languages.end(), language) == languages.end()) {
      throw Error(ONNXPORT_CONFIG,
                  "config field 'default_language' is \"" + language + "\"; the field 'languages' lists: " + known);
    }
  }
  std::vector<std::string> languages;
  std::string language;  // the one of all texts; empty: an input tells each text's
  int64_t reduction;
  bool pre_norm;
  bool own_norm, reuses_norm;  // what is normed before an adapter
  bool normed_residual;        // whether an adapter's result is added to what was normed, or to what was before
};

class XmodOnnxConfig final : public RobertaTextEncoder {
 public:
  explicit XmodOnnxConfig(const Request& request)
      : RobertaTextEncoder(request, {.base = "roberta"}), c(request.config) {}

 private:
  std::vector<TensorSpec> further_inputs(const std::vector<Dim>& tokens) const override {
    if (!c.language.empty()) return {};
    TensorSpec spec{.name = "lang_ids", .limit = static_cast<int64_t>(c.languages.size())};
    spec.shape.assign(tokens.begin(), tokens.end() - 1);
    return {spec};
  }

  Value encode(const Scope& s, const Text& text) const override {
    Graph& g = s.graph();
    const Scope encoder = s / "encoder";
    g.unused("*.adapter_modules.*");  // of other languages
    Value x = bert.embed(s / "embeddings", embedded(text));
    for (int64_t i = 0; i < bert.layers; ++i) {
      g.mark("hidden_states." + std::to_string(i), x);
      Attended given = bert.attended(text);
      given.probabilities = "attentions." + std::to_string(i);
      x = run(encoder / "layer" / i, x, {given, text.further.maybe("lang_ids")});
    }
    if (c.pre_norm) x = normed(encoder / "LayerNorm", x);
    return bert.last_step(x);
  }

  Value normed(const Scope& s, const Value& x) const { return norm(s, x, {.epsilon = bert.epsilon}); }

  struct Step {
    Attended given;
    Value languages{};  // i64[batch], where texts are of several
  };
  Value run(const Scope& s, const Value& x, const Step& step) const {
    TransformerLayer layer = bert.layer();
    layer.attention_branch.placement = c.pre_norm ? Placement::before : Placement::after;
    Value h = residual(s, x, layer.attention_branch,
                       [&](const Value& read) { return attend(s / "attention", read, layer.attention, step.given); });
    // The adapter stands between the sum and the norm behind it.
    layer.feed_forward_branch.placement = c.pre_norm ? Placement::before : Placement::none;
    h = residual(s, h, layer.feed_forward_branch,
                 [&](const Value& read) { return feed_forward(s, read, layer.feed_forward); });
    h = adapt(s / "output", h, step.languages);
    return c.pre_norm ? h : normed(s / "output.LayerNorm", h);
  }

  Value adapt(const Scope& s, const Value& x, const Value& languages) const {
    Value read = x;
    if (c.own_norm) {
      read = normed(s / "adapter_layer_norm", x);
    } else if (c.reuses_norm) {
      read = normed(s / "LayerNorm", x);
    }
    const Adapter adapter{s / "adapter_modules", languages};
    Value h = through(adapter, read, {"dense1", bert.hidden / c.reduction});
    h = through(adapter, activation(h, bert.activation), {"dense2", bert.hidden});
    return (h + (c.normed_residual ? read : x)).in(s.parent());
  }

  struct Adapter {
    Scope modules;
    Value languages;
  };
  struct Layer {
    const char* name;
    int64_t out;
  };
  // Of the one language, or of each text's own, whose weights are then chosen from those of all.
  Value through(const Adapter& of, const Value& x, const Layer& layer) const {
    const auto [name, out] = layer;
    if (!of.languages) return linear(of.modules / c.language / name, x, {.out = out}).in(of.modules);
    std::vector<Value> weights, biases;
    for (const std::string& language : c.languages) {
      const Scope one = of.modules / language / name;
      weights.push_back(one.weight("weight", {out, x.fixed(-1)}));
      biases.push_back(one.weight("bias", {out}));
    }
    const auto chosen = [&](const std::vector<Value>& all) {
      return gather(of.modules.composite("Stack", all), of.languages);
    };
    return matmul(x, transpose(chosen(weights), {0, 2, 1})) + unsqueeze(chosen(biases), {1});
  }

  const XmodConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.xmod",
    .name = "X-MOD",
    .models = {{.types = {"xmod"},
                .features = {"default", "masked-lm", "causal-lm", "sequence-classification", "multiple-choice",
                             "token-classification", "question-answering"},
                .make = make<XmodOnnxConfig>}},
})
