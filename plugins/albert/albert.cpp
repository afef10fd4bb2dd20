// SPDX-License-Identifier: Apache-2.0
// ALBERT: BERT with narrow embeddings and layers that share their weights. Source: AlbertModel and its heads,
// transformers 4.30 (modeling_albert.py).
#include <onnxport/families/bert.hpp>

using namespace onnxport::family;

namespace {

class AlbertOnnxConfig final : public TextEncoder {
 public:
  explicit AlbertOnnxConfig(const Request& request)
      : TextEncoder(request),
        bert(request.config, {.vocab = 30000, .hidden = 4096, .heads = 64, .inner = 16384, .activation = "gelu_new"}),
        width(request.config.size("embedding_size", 128)),
        groups(request.config.size("num_hidden_groups", 1)),
        group_size(request.config.size("inner_group_num", 1)) {
    // Of the first release's files, which no class has.
    request.config.no_effect({"down_scale_factor", "gap_size", "net_structure_type", "num_memory_blocks"});
  }

 private:
  TextEncoderTraits traits() const override {
    return {.base = "albert", .vocab = bert.vocab, .segments = bert.segments, .max_positions = bert.max_positions};
  }

  // num_hidden_layers steps through a few groups of layers, each group serving a run of steps.
  Value encode(const Scope& s, const Text& text) const override {
    Graph& g = s.graph();
    Value x = bert.embed(s / "embeddings", {.ids = text.ids, .segments = text.segments, .width = width});
    x = g.mark("hidden_states.0", linear(s / "encoder.embedding_hidden_mapping_in", x, {.out = bert.hidden}));
    for (int64_t step = 0; step < bert.layers; ++step) {
      const Scope group = s / "encoder.albert_layer_groups" / group_of(step);
      for (int64_t i = 0; i < group_size; ++i)
        x = run(group / "albert_layers" / i, x, {text.mask, step * group_size + i});
      g.mark("hidden_states." + std::to_string(step + 1), x);
    }
    return x;
  }

  struct Step {
    Value mask;
    int64_t index;  // among all layers that run
  };
  Value run(const Scope& s, const Value& x, const Step& step) const {
    Attended given{.mask = step.mask, .probabilities = "attentions." + std::to_string(step.index)};
    // Unlike BERT's, these scores are not scaled.
    if (bert.relative)
      given.scores = [this](const Scope& attention, const QueryKeyValue& made) {
        return bert.relative(attention, made.query, made.key);
      };
    return transformer_layer(s, x, layer(), given);
  }

  TransformerLayer layer() const {
    return {
        .attention_at = "attention",
        .feed_forward_at = "",
        .attention =
            {.heads = bert.heads,
             .head_size = bert.hidden / bert.heads,
             .projections = {.query = "query", .key = "key", .value = "value", .output = "dense", .bias = all_biased}},
        .feed_forward =
            {.inner = bert.inner, .activation = bert.activation, .up = "ffn", .down = "ffn_output", .bias = true},
        .attention_branch = {Placement::after, {.epsilon = bert.epsilon}, "attention.LayerNorm"},
        .feed_forward_branch = {Placement::after, {.epsilon = bert.epsilon}, "full_layer_layer_norm"}};
  }

  // The reference divides in floating point, which matters where the groups do not divide the layers.
  int64_t group_of(int64_t step) const {
    return static_cast<int64_t>(static_cast<double>(step) /
                                (static_cast<double>(bert.layers) / static_cast<double>(groups)));
  }

  Value pool(const Scope& s, const Value& hidden) const override {
    return tanh(linear(s / "pooler", pick(hidden, 1, 0), {.out = bert.hidden}));
  }

  TextHeads text_heads() const override {
    const PairHead order{.at = "sop_classifier.classifier", .scores = "sop_logits"};
    const WordsHead words{.at = "predictions",
                          .head = {.names = {.norm = "LayerNorm"},
                                   .width = width,
                                   .vocab = bert.vocab,
                                   .activation = bert.activation,
                                   .epsilon = bert.epsilon},
                          .tied = bert.tied};
    // Of the order of two sentences it tells as many classes as the config has labels.
    const auto pretraining = [this, words, order](const Encoded& at) -> Outputs {
      const Value told = linear(at.base.graph().root() / order.at, pool(at.base, at.hidden), {.out = labels()});
      return {{"prediction_logits", word_scores(words, at)}, {order.scores, told}};
    };
    return {.masked_lm = words, .pair = order, .own = {{"pretraining", pretraining}}};
  }

  const BertEncoder bert;
  const int64_t width, groups, group_size;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.albert",
    .name = "ALBERT",
    .models = {{.types = {"albert"},
                .features = {"default", "masked-lm", "sequence-classification", "multiple-choice",
                             "token-classification", "question-answering", "pretraining"},
                .make = make<AlbertOnnxConfig>}},
})
