// SPDX-License-Identifier: Apache-2.0
// TAPAS: BERT that knows a table's rows and columns, and answers by choosing cells. Source: TapasModel and its heads,
// transformers 5.24 (modeling_tapas.py).
#include <onnxport/families/bert.hpp>
#include <onnxport/selection.hpp>

using namespace onnxport::family;

namespace {

constexpr const char* table_answer = "table-question-answering";
constexpr const char* kinds_input = "token_type_ids";
constexpr int64_t column_kind = 1, row_kind = 2;  // of what token_type_ids tells

struct TableConfig {
  explicit TableConfig(const Config& c)
      : kinds(c.integers("type_vocab_sizes")),
        aggregations(c.count("num_aggregation_labels", 0)),
        rows(c.size("max_num_rows", 64)),
        columns(c.size("max_num_columns", 32)),
        temperature(c.real("temperature", 1)),
        may_choose_none(c.boolean("allow_empty_column_selection", false)),
        counts_within_cells(c.boolean("reset_position_index_per_cell", true)) {
    if (kinds.empty()) kinds = {3, 256, 256, 2, 256, 256, 10};
    if (static_cast<int64_t>(kinds.size()) <= row_kind) {
      throw Error(ONNXPORT_CONFIG, "config field 'type_vocab_sizes' lists " + std::to_string(kinds.size()) +
                                       " sizes; expected at least 3, as the second tells columns and the third rows");
    }
    // What a loss is made of; a choice of cells is within one column all the same.
    c.no_effect({"positive_label_weight", "aggregation_loss_weight", "use_answer_as_supervision",
                 "answer_loss_importance", "use_normalized_answer_loss", "huber_loss_delta", "aggregation_temperature",
                 "use_gumbel_for_cells", "use_gumbel_for_aggregation", "average_approximation_function",
                 "cell_selection_preference", "answer_loss_cutoff", "average_logits_per_cell", "select_one_column",
                 "init_cell_selection_weights_to_zero", "disable_per_token_loss", "aggregation_labels",
                 "no_aggregation_label_index"});
  }
  std::vector<int64_t> kinds;  // how many there are of each
  int64_t aggregations, rows, columns;
  double temperature;
  bool may_choose_none, counts_within_cells;
};

class TapasOnnxConfig final : public BertTextEncoder {
 public:
  explicit TapasOnnxConfig(const Request& request)
      : BertTextEncoder(request, "tapas", {.max_positions = 1024, .relative = false}), c(request.config) {}

  std::vector<OutputSpec> outputs() const override {
    if (task() != table_answer) return BertTextEncoder::outputs();
    std::vector<OutputSpec> specs{{"logits", {{0, axis::batch}, {1, axis::sequence}}}};
    if (c.aggregations > 0) specs.push_back({"logits_aggregation", {{0, axis::batch}}});
    return specs;
  }

 private:
  TextEncoderTraits traits() const override {
    return {.base = "tapas", .vocab = bert.vocab, .max_positions = c.counts_within_cells ? 0 : bert.max_positions};
  }

  std::vector<TensorSpec> further_inputs(const std::vector<Dim>& tokens) const override {
    std::vector<Dim> shape = tokens;
    shape.emplace_back(static_cast<int64_t>(c.kinds.size()));
    const int64_t limit = *std::min_element(c.kinds.begin(), c.kinds.end());
    return {{.name = kinds_input, .shape = shape, .limit = limit}};
  }

  Value embed(const Scope& s, const Text& text) const override {
    const Value kinds = text.further.at(kinds_input);
    Value x = embedding(s / "word_embeddings", text.ids, {bert.vocab, bert.hidden});
    const Scope positions = s / "position_embeddings";
    if (c.counts_within_cells) {
      x = x + embedding(positions, places_in_cells(kinds), {bert.max_positions, bert.hidden});
    } else {
      x = x + first_rows(positions.weight("weight", {bert.max_positions, bert.hidden}), size_of(text.ids, 1));
    }
    for (size_t i = 0; i < c.kinds.size(); ++i) {
      const auto kind = static_cast<int64_t>(i);
      x = x + embedding(s / ("token_type_embeddings_" + std::to_string(i)), pick(kinds, 2, kind),
                        {c.kinds[i], bert.hidden});
    }
    return norm(s / "LayerNorm", x, {.epsilon = bert.epsilon});
  }

  /// How many places behind its cell's first token each one stands: i64[batch, n].
  Value places_in_cells(const Value& kinds) const {
    Graph& g = kinds.graph();
    const Value cell = pick(kinds, 2, row_kind) + pick(kinds, 2, column_kind) * g.integer(c.kinds[row_kind]);
    const Value first = g.op("ArgMax", {cast(same(cell), DType::i32)}, {{"axis", 2}, {"keepdims", 0}});
    const Value place = range(size_of(kinds, 1)) - first;
    return g.op("Min", {place, g.integer(bert.max_positions - 1)});
  }

  /// Whether two tokens are of one cell: i64[batch, n] -> bool[batch, n, n].
  static Value same(const Value& cell) { return equal(unsqueeze(cell, {2}), unsqueeze(cell, {1})); }

  TextHeads text_heads() const override {
    return {.masked_lm = bert.words(), .own = {{table_answer, [this](const Encoded& at) { return answer(at); }}}};
  }

  /// A score of each token, the same throughout a cell: those outside of the likeliest column are far below.
  Outputs answer(const Encoded& at) const {
    Graph& g = at.hidden.graph();
    const Scope root = g.root();
    constexpr double never = -10000, tiny = 1e-10;
    const Value kinds = at.in.at(kinds_input);
    const auto index = [&](int64_t kind, int64_t count) {
      return g.op("Min", {pick(kinds, 2, kind), g.integer(count - 1)});
    };
    const Value column = index(column_kind, c.columns);
    const Value cell = column + index(row_kind, c.rows) * g.integer(c.columns);
    // Means over a cell's tokens, at each of them: f32[batch, n, 1] -> the same.
    const Value together = cast(same(cell), DType::f32);
    const Value share = 1.0 / unsqueeze(sum(together, {2}), {2});
    const auto within_cell = [&](const Value& x) { return matmul(together, x) * share; };
    const auto scores = [&](const char* weights, const char* bias) {
      return matmul(at.hidden, reshape(root.weight(weights, {bert.hidden}), {bert.hidden, 1})) + root.weight(bias, {});
    };
    const Value counts = within_cell(unsqueeze(cast(at.in.at("attention_mask"), DType::f32), {2}));

    // Columns: the mean of their cells, of which every token is its share.
    const Value of_column = transpose(one_hot(column, c.columns), {0, 2, 1});  // f32[batch, columns, n]
    const Value cells = within_cell(scores("column_output_weights", "column_output_bias"));
    const auto over_cells = [&](const Value& x) { return squeeze(matmul(of_column, x * share), {2}); };
    const Value count = over_cells(counts), number = range(g.integer(c.columns));
    const Value is_no_column = equal(number, 0);
    const Value absent = g.op("And", {g.op("Less", {count, g.scalar(0.5)}), logical_not(is_no_column)});
    Value columns = over_cells(cells * counts) / (count + tiny) + cast(absent, DType::f32) * never;
    if (!c.may_choose_none) columns = columns + cast(is_no_column, DType::f32) * never;
    const Value chosen = g.op("ArgMax", {columns}, {{"axis", 1}, {"keepdims", 1}});

    const Value is_chosen = g.op("And", {equal(column, chosen), logical_not(equal(column, 0))});
    const Value kept = counts * unsqueeze(cast(is_chosen, DType::f32), {2});
    const Value tokens = within_cell(scores("output_weights", "output_bias") / c.temperature) + (1.0 - kept) * never;
    Outputs found{{"logits", squeeze(tokens, {2})}};
    if (c.aggregations > 0) {
      found.emplace_back("logits_aggregation",
                         linear(root / "aggregation_classifier", pool(at.base, at.hidden), {.out = c.aggregations}));
    }
    return found;
  }

  const TableConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.tapas",
    .name = "TAPAS",
    .models = {{.types = {"tapas"},
                .features = {"default", "masked-lm", "sequence-classification", table_answer},
                .architectures = {{"TapasForQuestionAnswering", table_answer}},
                .make = make<TapasOnnxConfig>}},
})
