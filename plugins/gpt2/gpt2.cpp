// SPDX-License-Identifier: Apache-2.0
// GPT-2. Source: GPT2Model and its heads, transformers 4.30 and 4.57 (modeling_gpt2.py).
#include <onnxport/plugin.hpp>

using namespace onnxport::sdk;

namespace {

struct Gpt2Config {
  explicit Gpt2Config(const Config& c)
      : vocab(c.size("vocab_size", 50257)),
        positions(c.size("n_positions", 1024)),
        hidden(c.size("n_embd", 768)),
        layers(c.count("n_layer", 12)),
        heads(c.size("n_head", 12)),
        inner(c.size("n_inner", 4 * hidden)),
        activation(c.text("activation_function", "gelu_new")),
        epsilon(c.real("layer_norm_epsilon", 1e-5)),
        scale_weights(c.boolean("scale_attn_weights", true)),
        scale_by_layer(c.boolean("scale_attn_by_inverse_layer_idx", false)),
        tied(c.boolean("tie_word_embeddings", true)),
        labels(c.num_labels()),
        pad(c.maybe_integer("pad_token_id")) {
    require_multiple({"n_embd", hidden}, {"n_head", heads});
    // Scores in 32 bits, keys scaled before the product: in a graph of 32 bits both are the same.
    c.no_effect({"reorder_and_upcast_attn"});
    // Of GPT2DoubleHeadsModel's second head, and of older releases.
    c.no_effect({"summary_type", "summary_use_proj", "summary_activation", "summary_first_dropout",
                 "summary_proj_to_labels", "n_ctx"});
  }
  int64_t vocab, positions, hidden, layers, heads, inner;
  std::string activation;
  double epsilon;
  bool scale_weights, scale_by_layer, tied;
  int64_t labels;
  std::optional<int64_t> pad;
};

class Gpt2OnnxConfig final : public OnnxConfigWithPast {
 public:
  explicit Gpt2OnnxConfig(const Request& request) : OnnxConfigWithPast(request), c(request.config) {}

  std::string base_model_prefix() const override { return "transformer"; }
  double atol_for_validation() const override { return 1e-4; }
  int64_t num_layers() const override { return c.layers; }
  int64_t num_attention_heads() const override { return c.heads; }
  int64_t head_size() const override { return c.hidden / c.heads; }
  Positions positions_in_generation() const override { return Positions::mask; }  // they are learnt
  std::vector<TensorSpec> inputs() const override { return text_inputs(c.vocab, c.positions); }

  Outputs forward(Graph& g, const Inputs& in) const override {
    g.unused("*.attn.bias");  // the causal mask, which older releases saved
    g.unused("*.attn.masked_bias");
    const Scope transformer = task() == "default" ? g.root() : g.root() / "transformer";
    Cache cache(in);
    const Value hidden = decode(transformer, in, cache);
    return with_present(head(g, transformer, hidden, in.at("input_ids")), cache);
  }

 private:
  // -> f32[batch, sequence, hidden]
  Value decode(const Scope& s, const Inputs& in, Cache& cache) const {
    Graph& g = s.graph();
    const Value ids = in.at("input_ids");
    Value x = embedding(s / "wte", ids, {c.vocab, c.hidden}) +
              embedding(s / "wpe", position_ids(in), {c.positions, c.hidden});
    const Value mask = attention_mask(in.at("attention_mask"), {.causal_for = ids});
    for (int64_t i = 0; i < c.layers; ++i) {
      const Scope block = s / "h" / i;
      g.mark("hidden_states." + std::to_string(i), x);
      g.unused(block.path() + ".crossattention.*");  // without an encoder they have nothing to attend to
      g.unused(block.path() + ".ln_cross_attn.*");
      x = attend(block / "attn", layer_norm(block / "ln_1", x, {.epsilon = c.epsilon}), {mask, i}, cache) + x;
      const Value h =
          conv1d(block / "mlp.c_fc", layer_norm(block / "ln_2", x, {.epsilon = c.epsilon}), {.out = c.inner});
      x = x + conv1d(block / "mlp.c_proj", activation(h, c.activation), {.out = c.hidden});
    }
    x = layer_norm(s / "ln_f", x, {.epsilon = c.epsilon});
    return g.mark("hidden_states." + std::to_string(c.layers), x);
  }

  struct Layer {
    Value mask;
    int64_t index;
  };

  Value attend(const Scope& s, const Value& x, const Layer& layer, Cache& cache) const {
    const std::vector<Value> qkv =
        split(conv1d(s / "c_attn", x, {.out = 3 * c.hidden}), -1, {c.hidden, c.hidden, c.hidden});
    const Within names(s);
    const KeyValue kv = cache.extend(layer.index, {split_heads(qkv[1], c.heads), split_heads(qkv[2], c.heads)});
    double scale = c.scale_weights ? 1 / std::sqrt(static_cast<double>(head_size())) : 1.0;
    if (c.scale_by_layer) scale /= static_cast<double>(layer.index + 1);
    const Value mixed = attention(qkv[0], kv.key, kv.value,
                                  {.heads = c.heads,
                                   .scale = scale,
                                   .bias = layer.mask,
                                   .probabilities = "attentions." + std::to_string(layer.index)});
    return conv1d(s / "c_proj", mixed, {.out = c.hidden});
  }

  Outputs head(Graph& g, const Scope& transformer, const Value& hidden, const Value& ids) const {
    if (task() == "default") return {{"last_hidden_state", hidden}};
    if (task() == "causal-lm") {
      const TiedLinear lm_head{g.root() / "lm_head", transformer / "wte", c.tied};
      return {{"logits", linear(lm_head, hidden, {.out = c.vocab, .bias = false})}};
    }
    if (task() == "token-classification")
      return {{"logits", linear(g.root() / "classifier", hidden, {.out = c.labels})}};
    return {{"logits", linear(g.root() / "score", last_token(hidden, ids, c.pad), {.out = c.labels, .bias = false})}};
  }

  const Gpt2Config c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.gpt2",
    .name = "GPT-2",
    .version = "0.1.0",
    .license = "Apache-2.0",
    .vendor = "onnxport",
    .models = {{.types = {"gpt2"},
                .features = {"default", "default-with-past", "causal-lm", "causal-lm-with-past",
                             "sequence-classification", "token-classification"},
                .architectures = {{"GPT2LMHeadModel", "causal-lm"}, {"GPT2DoubleHeadsModel", "causal-lm"}},
                .make = make<Gpt2OnnxConfig>}},
})
