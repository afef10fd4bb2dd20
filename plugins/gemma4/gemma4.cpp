// SPDX-License-Identifier: Apache-2.0
// The text models of Gemma 4: inputs of every layer, keys that layers share, layers of two shapes, and experts beside
// the feed-forward. Source: Gemma4TextModel, Gemma4UnifiedTextModel and their heads, transformers 5.24.
#include <onnxport/blocks/layer.hpp>
#include <onnxport/families/gemma3n.hpp>
#include <onnxport/families/gemma4_layers.hpp>
#include <onnxport/layer_rotary.hpp>
#include <onnxport/layer_types.hpp>
#include <onnxport/plugin.hpp>
#include <onnxport/selection.hpp>
#include <onnxport/text_decoder.hpp>

using namespace onnxport::family;

namespace {

const std::string full = full_attention, sliding = sliding_attention;

/// What one of the two has, and its config class's defaults.
struct Family {
  const char* type;
  int64_t positions, window;
  bool inputs_of_layers, experts;  // whether it can have them
};
constexpr Family families[] = {
    {"gemma4_text", 131072, 512, true, true},
    {"gemma4_unified_text", 262144, 1024, false, false},
};

/// The experts beside a layer's feed-forward.
struct Mixture {
  ExpertsLayout layout;
  int64_t top_k;
};

struct Gemma4Config {
  Gemma4Config(const Config& c, const Family& family)
      : vocab(c.size("vocab_size", 262144)),
        hidden(c.size("hidden_size", 2304)),
        inner(c.size("intermediate_size", 9216)),
        layers(c.count("num_hidden_layers", 30)),
        heads(c.size("num_attention_heads", 8)),
        own{c.size("num_key_value_heads", 4), c.size("head_dim", 256)},
        positions(c.size("max_position_embeddings", family.positions)),
        activation(c.text("hidden_activation", "gelu_pytorch_tanh")),
        rms{.kind = Norm::Kind::rms, .epsilon = c.real("rms_norm_eps", 1e-6)},
        bias(c.boolean("attention_bias", false)),
        keys_are_values(c.boolean("attention_k_eq_v", false)),
        wide(c.boolean("use_double_wide_mlp", false)),
        // "vision" lets the tokens of an image look ahead, of which a text has none.
        causal(c.choice("use_bidirectional_attention", "", {"", "all", "vision"}) != "all"),
        tied(c.tie(true)),
        word_cap(c.real("final_logit_softcapping", 0)) {
    const int64_t stated = c.size("sliding_window", family.window);
    // What is stated for a model that looks both ways is the width of the whole window; half of it and one place more
    // are seen to either side, and the token itself.
    window = causal ? stated : stated / 2 + 2;
    rotary.types = types_of(c, layers);
    shapes = shapes_of(c, *this);
    keys = {key_layers(rotary.types, c.count("num_kv_shared_layers", 0))};
    require_equal_widths(rotary.types, shapes);
    for (int64_t i = 0; i < layers; ++i) add_rotary(c, i);
    if (family.inputs_of_layers) inputs = inputs_of(c, *this);
    if (family.experts) mixture = mixture_of(c, hidden);
  }
  int64_t vocab, hidden, inner, layers, heads;
  KeyShape own;  // of layers that state no other
  int64_t positions;
  std::string activation;
  Norm rms;
  bool bias, keys_are_values, wide, causal;
  Tie tied;
  double word_cap;  // 0: none
  std::optional<PerLayerInputs> inputs;
  int64_t window = 0;
  LayerRotary rotary;
  std::vector<KeyShape> shapes;  // of each layer
  SharedKeys keys;
  std::optional<Mixture> mixture;

  const std::string& type(int64_t layer) const { return rotary.types[static_cast<size_t>(layer)]; }
  const KeyShape& shape(int64_t layer) const { return shapes[static_cast<size_t>(layer)]; }

 private:
  static std::optional<PerLayerInputs> inputs_of(const Config& c, const Gemma4Config& self) {
    const int64_t width = c.is_null("hidden_size_per_layer_input") ? 0 : c.count("hidden_size_per_layer_input", 256);
    const int64_t rows = c.size("vocab_size_per_layer_input", 262144);
    if (width == 0) return std::nullopt;
    return PerLayerInputs{.layers = self.layers, .width = width, .rows = rows, .vocab = self.vocab, .norm = self.rms};
  }

  static std::optional<Mixture> mixture_of(const Config& c, int64_t hidden) {
    c.no_effect({"num_experts", "moe_intermediate_size", "top_k_experts"});  // without such a block
    if (!c.boolean("enable_moe_block", false)) return std::nullopt;
    const ExpertsLayout layout{
        .count = c.size("num_experts"), .hidden = hidden, .inner = c.size("moe_intermediate_size"), .up = ""};
    const int64_t top_k = c.size("top_k_experts");
    require_at_most({"top_k_experts", top_k}, {"num_experts", layout.count});
    return Mixture{layout, top_k};
  }

  // The last layer sees the whole text, whatever is stated.
  static std::vector<std::string> types_of(const Config& c, int64_t layers) {
    std::vector<std::string> types =
        layer_types(c, {layers, {full, sliding}, [](int64_t i) { return (i + 1) % 6 == 0 ? full : sliding; }});
    if (!types.empty()) types.back() = full;
    return types;
  }

  static std::vector<KeyShape> shapes_of(const Config& c, const Gemma4Config& self) {
    const KeyShape whole{c.size("num_global_key_value_heads", self.own.heads), c.size("global_head_dim", 512)};
    return key_shapes(c, {.types = self.rotary.types,
                          .own = self.own,
                          .whole = {self.keys_are_values ? whole.heads : self.own.heads, whole.width},
                          .heads = self.heads});
  }

  void add_rotary(const Config& c, int64_t layer) {
    if (rotary.kinds.contains(type(layer))) return;
    const bool whole = type(layer) == full;
    RotaryLayerType kind{.name = type(layer), .theta = whole ? 1e6 : 10000.0};
    if (whole && !c.has("rope_parameters")) {
      kind.type = "proportional";
      kind.turned = 0.25;
    }
    rotary.kinds.emplace(type(layer), Rotary(c, shape(layer).width, kind));
  }
};

class Gemma4OnnxConfig final : public TextDecoder {
 public:
  explicit Gemma4OnnxConfig(const Request& request)
      : TextDecoder(request), c(request.config, row_of(families, request.model_type)) {
    require_looking_back(c.causal, "'use_bidirectional_attention' is \"all\"");
  }

  int64_t num_layers() const override { return c.layers; }
  int64_t num_attention_heads() const override { return c.heads; }
  int64_t num_key_value_heads() const override { return c.own.heads; }
  int64_t head_size() const override { return c.own.width; }
  bool has_usual_cache() const override { return false; }
  Positions positions_in_generation() const override {
    return c.rotary.depends_on_length() ? Positions::mask : Positions::sequence;
  }
  std::vector<Part> offers() const override {
    std::vector<Part> parts = TextDecoder::offers();
    if (c.inputs) {
      offer_stored_inputs(parts, *c.inputs, [this](Graph& g, const Value& ids) {
        return stored_layer_inputs(base_of(g), ids, *c.inputs);
      });
    }
    return parts;
  }
  /// What the gate lets through of an input of a few numbers may be almost nothing, which the norm behind it makes as
  /// large as everything else, with what rounding has left in it: at a width of 5 the original in f32 is off from
  /// itself in f64 by up to 3e-4, and so is the file. Of 256 numbers, as released models have, some always pass.
  double atol_for_validation() const override {
    constexpr int64_t narrow = 32;
    return c.inputs && c.inputs->width < narrow ? 5e-3 : 1e-4;
  }
  std::vector<State> states() const override {
    return c.keys.states([this](int64_t layer) {
      const auto [heads, width] = c.shape(layer);
      return std::vector<Dim>{axis::batch, Dim::open(heads, "kv_heads_" + std::to_string(heads)), axis::past,
                              Dim::open(width, "head_size_" + std::to_string(width))};
    });
  }

 private:
  TextDecoderTraits traits() const override {
    return {.vocab = c.vocab,
            .max_positions = c.positions,
            .tied = c.tied,
            .words_softcap = c.word_cap,
            .classes = "",
            .token_classes = "",
            .hidden = c.hidden};
  }

  Value embed(const Scope& s, const Value& ids) const override {
    return embedding(s / "embed_tokens", ids, {c.vocab, c.hidden}) * std::sqrt(static_cast<double>(c.hidden));
  }

  Value decode(const Scope& s, const Inputs& in, Cache& cache) const override {
    Graph& g = s.graph();
    Value x = start(s, in), inputs;
    if (c.inputs) {
      Value stored = in.maybe(stored_inputs);
      if (!stored) stored = stored_layer_inputs(s, in.at("input_ids"), *c.inputs);
      inputs = per_layer_inputs(s, stored, x, *c.inputs);
    }
    const auto angles = c.rotary.angles(position_ids(in).in(s / "rotary_emb"));
    leave_out_borrowed(s, c.keys);
    Attended given{.mask = in.at("attention_mask"), .cache = &cache};
    for (given.layer = 0; given.layer < c.layers; ++given.layer) {
      const std::string index = std::to_string(given.layer);
      given.angles = angles(given.layer);
      given.probabilities = "attentions." + index;
      g.mark("hidden_states." + index, x);
      x = layer(s / "layers" / given.layer, x, inputs ? pick(inputs, 2, given.layer) : Value(), given);
    }
    return g.mark("hidden_states." + std::to_string(c.layers), norm(s / "norm", x, c.rms));
  }

  // x: f[batch, n, hidden], input: f[batch, n, width] or absent -> the first's shape
  Value layer(const Scope& s, Value x, const Value& input, const Attended& given) const {
    x = residual(s, x, {Placement::around, c.rms, "input_layernorm", "post_attention_layernorm"},
                 [&](const Value& h) { return attend(s / "self_attn", h, attention_block(given.layer), given); });
    const Value trunk = x;
    x = residual(s, x, {Placement::around, c.rms, "pre_feedforward_layernorm", "post_feedforward_layernorm"},
                 [&](const Value& h) {
                   const Value fed = feed_forward(s / "mlp", h, form_of_feed_forward(given.layer));
                   return c.mixture ? with_experts(s, fed, trunk) : fed;
                 });
    if (input) x = x + gated_input(s, x, input, c.activation, c.rms);
    return x * s.weight("layer_scalar", {1});
  }

  AttentionBlock attention_block(int64_t index) const {
    Norm plain = c.rms;
    plain.weight = false;
    const bool whole = c.type(index) == full;
    AttentionBlock block{
        .heads = c.heads,
        .kv_heads = c.shape(index).heads,
        .head_size = c.shape(index).width,
        .projections = {.value = whole && c.keys_are_values ? "" : "v_proj", .bias = {c.bias, c.bias, c.bias, c.bias}},
        .query_key_norm = QueryKeyNorm{.norm = c.rms, .values = plain},
        .scale = 1,
        .causal = c.causal,
        .window = whole ? 0 : c.window,
        .lends = c.keys.lends(index)};
    if (c.keys.borrows(index)) block.borrows = c.keys.layers[static_cast<size_t>(index)];
    return block;
  }

  FeedForward form_of_feed_forward(int64_t index) const {
    return {.inner = c.wide && c.keys.borrows(index) ? 2 * c.inner : c.inner,
            .activation = c.activation,
            .gate = "gate_proj"};
  }

  // `fed` and what the experts make of the trunk, each normed: f[batch, n, hidden]
  Value with_experts(const Scope& s, const Value& fed, const Value& trunk) const {
    const int64_t count = c.mixture->layout.count, top_k = c.mixture->top_k;
    const Scope router = s / "router";
    Norm plain = c.rms;
    plain.weight = false;
    const Value judged = norm(router / "norm", trunk, plain) * router.weight("scale", {c.hidden}) /
                         std::sqrt(static_cast<double>(c.hidden));
    const Value chances = softmax(linear(router / "proj", judged, {.out = count, .bias = false}));
    // The chosen ones share out 1, and then each has a factor of its own.
    const Value chosen = unsqueeze(sum(onnxport::sdk::top_k(chances, top_k).values, {-1}), {-1});
    const Value shares = chances / chosen * router.weight("per_expert_scale", {count});
    const Value mixed = mixture_of_experts(norm(s / "pre_feedforward_layernorm_2", trunk, c.rms), shares,
                                           experts_of(s / "experts", c.mixture->layout),
                                           {.top_k = top_k, .choice = chances, .activation = c.activation});
    return norm(s / "post_feedforward_layernorm_1", fed, c.rms) +
           norm(s / "post_feedforward_layernorm_2", mixed.in(s), c.rms);
  }

  const Gemma4Config c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.gemma4",
    .name = "Gemma 4 (text)",
    .models = {{.types = {"gemma4_text", "gemma4_unified_text"},
                .features = {"default", "default-with-past", "causal-lm", "causal-lm-with-past"},
                .make = make<Gemma4OnnxConfig>}},
})
