// SPDX-License-Identifier: Apache-2.0
// UltraBERT: Llama's layers, read in both directions, where two layers of three see only what is near. Source:
// UltrabertModel and its heads, transformers 5.24 (modeling_ultrabert.py).
#include <algorithm>

#include <onnxport/blocks/layer.hpp>
#include <onnxport/layer_types.hpp>
#include <onnxport/plugin.hpp>
#include <onnxport/rotary.hpp>

using namespace onnxport::sdk;

namespace {

constexpr const char *global = "full_attention", *local = "sliding_attention";

/// What the first checkpoints list layer by layer, where later configs tell it of kinds of layers. Source:
/// UltrabertConfig.__post_init__.
struct ByLayer {
  ByLayer(const Config& c, int64_t layers) : windows(c.integers("attention_windows")) {
    if (c.has("rope_parameters")) {
      c.no_effect({"rope_theta"});
    } else {
      thetas = c.reals("rope_theta");
    }
    require_one_each(c, "attention_windows", layers);
    if (!thetas.empty()) require_one_each(c, "rope_theta", layers);
    for (const int64_t seen : windows) {
      if (seen >= 0) continue;
      throw Error(ONNXPORT_CONFIG, "config field 'attention_windows' has an entry " + std::to_string(seen) +
                                       "; expected how many tokens are seen to either side, or 0 for all of them");
    }
  }
  static void require_one_each(const Config& c, const char* field, int64_t layers) {
    const int64_t entries = static_cast<int64_t>(c.entries(field).value_or(static_cast<size_t>(layers)));
    if (entries == layers) return;
    throw Error(ONNXPORT_CONFIG, std::string("config field '") + field + "' has " + std::to_string(entries) +
                                     " entries; expected num_hidden_layers (" + std::to_string(layers) + ")");
  }

  const char* type(int64_t layer) const {
    if (windows.empty()) return (layer + 1) % 3 == 0 ? global : local;
    return windows[static_cast<size_t>(layer)] == 0 ? global : local;
  }
  // All local layers see as far as the first of them.
  int64_t window(int64_t otherwise) const {
    const auto first = std::find_if(windows.begin(), windows.end(), [](int64_t seen) { return seen != 0; });
    return first == windows.end() ? otherwise : *first;
  }
  // A kind turns as the last of its layers says.
  double theta(const std::vector<std::string>& types, const std::string& type) const {
    double theta = type == local ? 1e4 : 2.56e6;
    for (size_t i = 0; i < thetas.size(); ++i) {
      if (types[i] == type) theta = thetas[i];
    }
    return theta;
  }

  std::vector<int64_t> windows;
  std::vector<double> thetas{};
};

struct UltraBertConfig {
  explicit UltraBertConfig(const Config& c)
      : vocab(c.size("vocab_size", 32000)),
        hidden(c.size("hidden_size", 4096)),
        inner(c.size("intermediate_size", 11008)),
        layers(c.count("num_hidden_layers", 32)),
        by_layer(c, layers),
        heads(c.size("num_attention_heads", 32)),
        kv_heads(c.size("num_key_value_heads", heads)),
        head_size(c.size("head_dim", hidden / heads)),
        prediction_width(c.size("prediction_head_size", 768)),
        // How far a token sees to either side, and itself.
        window(by_layer.window(c.count("sliding_window", 128)) + 1),
        activation(c.text("hidden_act", "silu")),
        norm{.kind = Norm::Kind::rms, .epsilon = c.real("rms_norm_eps", 1e-6)},
        attention_bias(c.boolean("attention_bias", false)),
        mlp_bias(c.boolean("mlp_bias", false)),
        pooling(c.choice("classifier_pooling", "cls", {"cls", "mean"})),
        tied(c.tie(false)),
        types(layer_types(c, {layers, {global, local}, [this](int64_t i) { return by_layer.type(i); }})) {
    require_multiple({"hidden_size", hidden}, {"num_attention_heads", heads});
    require_multiple({"num_attention_heads", heads}, {"num_key_value_heads", kv_heads});
    for (const std::string& type : types)
      rotary.try_emplace(type, c, head_size, RotaryLayerType{.name = type, .theta = by_layer.theta(types, type)});
  }
  int64_t vocab, hidden, inner, layers;
  ByLayer by_layer;
  int64_t heads, kv_heads, head_size, prediction_width, window;
  std::string activation;
  Norm norm;
  bool attention_bias, mlp_bias;
  std::string pooling;
  Tie tied;
  std::vector<std::string> types;  // of each layer
  std::map<std::string, Rotary> rotary;
};

class UltraBertOnnxConfig final : public TextEncoder {
 public:
  explicit UltraBertOnnxConfig(const Request& request) : TextEncoder(request), c(request.config) {}

 private:
  TextEncoderTraits traits() const override { return {.base = "ultrabert", .vocab = c.vocab, .pooler = false}; }

  Value encode(const Scope& s, const Text& text) const override {
    if (c.tied) s.graph().stand_in(s / "embed_tokens", words_layer(s.graph()));
    const Value x = embedding(s / "embed_tokens", text.ids, {c.vocab, c.hidden});
    const Value positions = unsqueeze(range(size_of(text.ids, 1)), {0}).in(s / "rotary_emb");
    std::map<std::string, Angles> angles;
    for (const auto& [type, rotary] : c.rotary) angles.emplace(type, rotary.angles(positions));
    const LayerStack stack{.count = c.layers,
                           .layer = [this](int64_t i) { return layer(i); },
                           .angles = [&](int64_t i) { return angles.at(type(i)); }};
    const Value y = transformer_layers(s / "layers", x, stack, {.mask = text.mask});
    return s.graph().mark("hidden_states." + std::to_string(c.layers), norm(s / "norm", y, c.norm));
  }

  const std::string& type(int64_t layer) const { return c.types[static_cast<size_t>(layer)]; }

  TransformerLayer layer(int64_t i) const {
    const bool bias = c.attention_bias;
    return {.attention = {.heads = c.heads,
                          .kv_heads = c.kv_heads,
                          .head_size = c.head_size,
                          .projections = {.bias = {bias, bias, bias, bias}},
                          .window = type(i) == local ? c.window : 0},
            .feed_forward = {.inner = c.inner, .activation = c.activation, .gate = "gate_proj", .bias = c.mlp_bias},
            .attention_branch = {.norm = c.norm, .name = "input_layernorm"},
            .feed_forward_branch = {.norm = c.norm, .name = "post_attention_layernorm"}};
  }

  TextHeads text_heads() const override {
    return {.words = [this](const Encoded& at) { return words(at); },
            .summary =
                [this](const Encoded& at) {
                  return c.pooling == "mean" ? mean_of_tokens(at.hidden, at.mask) : pick(at.hidden, 1, 0);
                }};
  }

  // Which published files call cls and the class head.decoder.
  static Scope words_layer(Graph& g) { return first_with("weight", {g.root() / "cls", g.root() / "head.decoder"}); }
  // Two layers of a width of their own before the words.
  Value words(const Encoded& at) const {
    const Scope head = at.base.graph().root() / "head";
    const auto activated = [](const Value& x) { return activation(x, "gelu_pytorch_tanh"); };
    Value x = activated(linear(head / "linear1", at.hidden, {.out = c.prediction_width, .bias = false}));
    x = activated(linear(head / "linear2", x, {.out = c.hidden, .bias = false}));
    const TiedLinear decoder{words_layer(at.base.graph()), at.base / "embed_tokens", c.tied};
    return linear(decoder, x, {.out = c.vocab, .bias = false});
  }

  const UltraBertConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.ultrabert",
    .name = "UltraBERT",
    .models = {{.types = {"ultrabert"},
                .features = {"default", "masked-lm", "sequence-classification", "token-classification",
                             "question-answering"},
                .make = make<UltraBertOnnxConfig>}},
})
