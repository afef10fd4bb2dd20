// SPDX-License-Identifier: Apache-2.0
// GPT-2. Source: GPT2Model and its heads, transformers 4.30 and 4.57 (modeling_gpt2.py).
#include <onnxport/blocks/layer.hpp>
#include <onnxport/double_heads.hpp>
#include <onnxport/plugin.hpp>

using namespace onnxport::sdk;

namespace {

constexpr std::initializer_list<std::pair<const char*, const char*>> names{{"n_embd", "hidden_size"},
                                                                           {"n_positions", "max_position_embeddings"},
                                                                           {"n_head", "num_attention_heads"},
                                                                           {"n_layer", "num_hidden_layers"}};

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
        tied(c.tie(true)),
        labels(c.num_labels()),
        pad(c.maybe_integer("pad_token_id")),
        summary(c, {.type = "cls_index", .to_labels = true}) {
    require_multiple({"n_embd", hidden}, {"n_head", heads});
    // Scores in 32 bits, keys scaled before the product: in a graph of 32 bits both are the same.
    c.no_effect({"reorder_and_upcast_attn"});
    c.no_effect({"summary_first_dropout", "n_ctx"});
  }
  int64_t vocab, positions, hidden, layers, heads, inner;
  std::string activation;
  double epsilon;
  bool scale_weights, scale_by_layer;
  Tie tied;
  int64_t labels;
  std::optional<int64_t> pad;
  SequenceSummary summary;  // of GPT2DoubleHeadsModel's second head
};

class Gpt2OnnxConfig final : public DoubleHeadsDecoder {
 public:
  explicit Gpt2OnnxConfig(const Request& request) : DoubleHeadsDecoder(request), c(request.config.with_names(names)) {
    check_double_heads();
  }

  int64_t num_layers() const override { return c.layers; }
  int64_t num_attention_heads() const override { return c.heads; }
  int64_t head_size() const override { return c.hidden / c.heads; }
  Positions positions_in_generation() const override { return Positions::mask; }  // they are learnt

 private:
  const SequenceSummary& summary() const override { return c.summary; }
  TextDecoderTraits traits() const override {
    return {.base = "transformer",
            .vocab = c.vocab,
            .max_positions = c.positions,
            .embedding = "wte",
            .tied = c.tied,
            .labels = c.labels,
            .pad = c.pad,
            .token_classes = "classifier",
            .span = "qa_outputs"};
  }

  Value decode(const Scope& s, const Inputs& in, Cache& cache) const override {
    Graph& g = s.graph();
    g.unused("*.attn.bias");  // the causal mask, which older releases saved
    g.unused("*.attn.masked_bias");
    g.unused("*.crossattention.*");  // without an encoder they have nothing to attend to
    g.unused("*.ln_cross_attn.*");
    Value x = embedding(s / "wte", in.at("input_ids"), {c.vocab, c.hidden}) +
              embedding(s / "wpe", position_ids(in), {c.positions, c.hidden});
    x = transformer_layers(s / "h", x, {c.layers, [this](int64_t i) { return layer(i); }},
                           {.mask = in.at("attention_mask"), .cache = &cache});
    return g.mark("hidden_states." + std::to_string(c.layers), norm(s / "ln_f", x, {.epsilon = c.epsilon}));
  }

  TransformerLayer layer(int64_t index) const {
    double scale = c.scale_weights ? 1 / std::sqrt(static_cast<double>(head_size())) : 1.0;
    if (c.scale_by_layer) scale /= static_cast<double>(index + 1);
    return {.attention_at = "attn",
            .attention = {.heads = c.heads,
                          .head_size = head_size(),
                          .projections = {.packing = Projections::Packing::blocks,
                                          .fused = "c_attn",
                                          .output = "c_proj",
                                          .bias = all_biased,
                                          .matrix = Matrix::in_out},
                          .scale = scale,
                          .causal = true},
            .feed_forward = {.inner = c.inner,
                             .activation = c.activation,
                             .up = "c_fc",
                             .down = "c_proj",
                             .bias = true,
                             .matrix = Matrix::in_out},
            .attention_branch = {.norm = {.epsilon = c.epsilon}, .name = "ln_1"},
            .feed_forward_branch = {.norm = {.epsilon = c.epsilon}, .name = "ln_2"}};
  }

  const Gpt2Config c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.gpt2",
    .name = "GPT-2",
    .models = {{.types = {"gpt2"},
                .features = {"default", "default-with-past", "causal-lm", "causal-lm-with-past",
                             "sequence-classification", "token-classification", "question-answering", "double-heads"},
                .architectures = {{"GPT2LMHeadModel", "causal-lm"}},
                .make = make<Gpt2OnnxConfig>}},
})
