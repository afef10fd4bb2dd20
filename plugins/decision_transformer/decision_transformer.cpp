// SPDX-License-Identifier: Apache-2.0
// Decision Transformer: GPT-2's layers over the returns, states and actions of an episode. Source:
// DecisionTransformerModel, transformers 4.57 and 5.24 (modeling_decision_transformer.py).
#include <onnxport/families/gpt2.hpp>

using namespace onnxport::family;

namespace {

constexpr std::initializer_list<std::pair<const char*, const char*>> names{
    {"n_positions", "max_position_embeddings"}, {"n_head", "num_attention_heads"}, {"n_layer", "num_hidden_layers"}};

struct DecisionTransformerConfig {
  explicit DecisionTransformerConfig(const Config& c)
      : states(c.size("state_dim", 17)),
        actions(c.size("act_dim", 4)),
        steps(c.size("max_ep_len", 4096)),
        hidden(c.size("hidden_size", 128)),
        layers(c.count("n_layer", 3)),
        heads(c.size("n_head", 1)),
        inner(c.size("n_inner", 4 * hidden)),
        positions(c.size("n_positions", 1024)),
        activation(c.text("activation_function", "relu")),
        epsilon(c.real("layer_norm_epsilon", 1e-5)),
        action_tanh(c.boolean("action_tanh", true)),
        scale(c) {
    require_multiple({"hidden_size", hidden}, {"n_head", heads});
    c.no_effect({"vocab_size"});  // there are no words
    c.no_effect({"add_cross_attention", "n_ctx"});
  }
  int64_t states, actions, steps, hidden, layers, heads, inner, positions;
  std::string activation;
  double epsilon;
  bool action_tanh;
  Gpt2Scale scale;
};

class DecisionTransformerOnnxConfig final : public OnnxConfig {
 public:
  explicit DecisionTransformerOnnxConfig(const Request& request)
      : OnnxConfig(request), c(request.config.with_names(names)) {}

  double atol_for_validation() const override { return 1e-4; }

  std::vector<TensorSpec> inputs() const override {
    const auto numbers = [](const char* name, int64_t width) {
      return TensorSpec{.name = name, .dtype = DType::f32, .shape = {axis::batch, axis::sequence, width}};
    };
    const std::vector<Dim> steps{axis::batch, axis::sequence};
    return {numbers("states", c.states), numbers("actions", c.actions), numbers("returns_to_go", 1),
            TensorSpec{.name = "timesteps", .shape = steps, .limit = c.steps},
            input::mask("attention_mask", steps, {.of = "timesteps"})};
  }
  std::vector<OutputSpec> outputs() const override {
    const std::map<int, std::string> steps{{0, axis::batch}, {1, axis::sequence}};
    return {{"state_preds", steps},
            {"action_preds", steps},
            {"return_preds", steps},
            {"last_hidden_state", {{0, axis::batch}, {1, std::string("3*") + axis::sequence}}}};
  }

  Outputs forward(Graph& g, const Inputs& in) const override {
    const Scope root = g.root();
    // Every step is three tokens: the return that is still to come, the state, the action.
    const Value hidden = encode(root / "encoder", interleaved(root, in), repeated(in.at("attention_mask")));
    const Value steps = shape_of(in.at("timesteps"), 0, 2);
    const Value apart = reshape(hidden, concat({steps, g.integers({3, c.hidden})}, 0));
    const Value at_state = pick(apart, 2, 1), at_action = pick(apart, 2, 2);
    Value action = linear(root / "predict_action.0", at_state, {.out = c.actions});
    if (c.action_tanh) action = tanh(action);
    return {{"state_preds", linear(root / "predict_state", at_action, {.out = c.states})},
            {"action_preds", action},
            {"return_preds", linear(root / "predict_return", at_action, {.out = 1})},
            {"last_hidden_state", hidden}};
  }

 private:
  // f32[batch, 3·sequence, hidden]
  Value interleaved(const Scope& root, const Inputs& in) const {
    const Value when = embedding(root / "embed_timestep", in.at("timesteps"), {c.steps, c.hidden});
    std::vector<Value> tokens;
    for (const auto& [layer, input] :
         {std::pair{"embed_return", "returns_to_go"}, {"embed_state", "states"}, {"embed_action", "actions"}})
      tokens.push_back(unsqueeze(linear(root / layer, in.at(input), {.out = c.hidden}) + when, {2}));
    return norm(root / "embed_ln", reshape(concat(tokens, 2), {0, -1, c.hidden}), {});
  }
  // i64[batch, n] -> i64[batch, 3·n], each entry three times
  static Value repeated(const Value& mask) {
    const Value one = unsqueeze(mask, {2});
    return reshape(concat({one, one, one}, 2), {0, -1});
  }

  // Positions are told by the steps: the inner GPT-2 has all of them at its first one.
  Value encode(const Scope& s, const Value& tokens, const Value& mask) const {
    s.graph().unused((s / "wte.weight").path());
    const Value first = slice((s / "wpe").weight("weight", {c.positions, c.hidden}), {0, 0, 1});
    return gpt2_layers(s, tokens.in(s) + first, {c.layers, [this](int64_t i) { return layer(i); }}, {.mask = mask},
                       {.epsilon = c.epsilon});
  }

  TransformerLayer layer(int64_t index) const {
    const Gpt2Layer form{.heads = c.heads,
                         .hidden = c.hidden,
                         .inner = c.inner,
                         .activation = c.activation,
                         .norm = {.epsilon = c.epsilon},
                         .scale = c.scale.of(index, c.hidden / c.heads)};
    return form.form();
  }

  const DecisionTransformerConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.decision_transformer",
    .name = "Decision Transformer",
    .models = {{.types = {"decision_transformer"},
                .features = {"default"},
                .make = make<DecisionTransformerOnnxConfig>}},
})
