// SPDX-License-Identifier: Apache-2.0
// GPT-2. Source: GPT2Model and its heads, transformers 4.30 and 4.57 (modeling_gpt2.py).
#include <onnxport/blocks/layer.hpp>
#include <onnxport/plugin.hpp>
#include <onnxport/sequence_summary.hpp>

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

constexpr const char* double_heads = "double-heads";

class Gpt2OnnxConfig final : public TextDecoder {
 public:
  explicit Gpt2OnnxConfig(const Request& request) : TextDecoder(request), c(request.config.with_names(names)) {
    // The original takes any other type along the choices, which are none of its axes.
    if (task() == double_heads && !(c.summary.type() == "cls_index" && c.summary.is_projected_to_labels())) {
      throw Error(ONNXPORT_UNSUPPORTED, "config field 'summary_type' is \"" + c.summary.type() +
                                            "\"; double-heads scores choices with \"cls_index\", and "
                                            "'summary_use_proj' and 'summary_proj_to_labels' true");
    }
  }

  int64_t num_layers() const override { return c.layers; }
  int64_t num_attention_heads() const override { return c.heads; }
  int64_t head_size() const override { return c.hidden / c.heads; }
  Positions positions_in_generation() const override { return Positions::mask; }  // they are learnt

  std::vector<TensorSpec> inputs() const override {
    if (task() != double_heads) return TextDecoder::inputs();
    const std::vector<Dim> choices{axis::batch, axis::choice}, tokens{axis::batch, axis::choice, axis::sequence};
    return {input::ids("input_ids", tokens, c.vocab),
            input::mask("attention_mask", tokens, {.of = "input_ids"}),
            {.name = "mc_token_ids", .shape = choices}};
  }

  // The places that the second head reads lie within the text.
  std::vector<DummyTensor> generate_dummy_inputs(const DummyRequest& asked) const override {
    if (task() != double_heads) return {};
    const int64_t batch = asked.sizes.at(axis::batch), choices = asked.sizes.at(axis::choice);
    std::vector<int64_t> places;
    for (int64_t i = 0; i < batch * choices; ++i) places.push_back(i % asked.sizes.at(axis::sequence));
    return {DummyTensor::of("mc_token_ids", DType::i64, {batch, choices}, places)};
  }

  // Every choice is a text of its own.
  Outputs forward(Graph& g, const Inputs& in) const override {
    if (task() != double_heads) return TextDecoder::forward(g, in);
    Inputs texts = in;
    for (const char* name : {"input_ids", "attention_mask"}) texts[name] = flatten_choices(in.at(name));
    return TextDecoder::forward(g, texts);
  }

  Heads heads() const override {
    Heads rows = TextDecoder::heads();
    rows.push_back({double_heads, [this](const Encoded& at) -> Outputs {
                      const Value words = scores_of_words(traits(), at), places = at.in.at("mc_token_ids");
                      const Value shape = concat({shape_of(places, 0, 2), shape_of(words, 1, 3)}, 0);
                      return {{"logits", reshape(words, shape)}, {"mc_logits", choice_scores(at, places)}};
                    }});
    return rows;
  }

 private:
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

  // places: i64[batch, choice], the token of each choice at which it is read -> f32[batch, choice]
  Value choice_scores(const Encoded& at, const Value& places) const {
    const Scope head = at.base.graph().root() / "multiple_choice_head";
    const Value scores =
        c.summary(head, at.hidden, {.width = c.hidden, .labels = 1, .place = reshape(places, {-1, 1})});
    return unflatten_choices(scores, places);
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
