// SPDX-License-Identifier: Apache-2.0
// The lowering rules of recurrent layers: torch's weights in the order that ONNX's operators want.
#include "core/ir/recurrent.hpp"
#include "core/passes/rules.hpp"

namespace onnxport {
namespace {

using ir::ValueId;
using Results = std::vector<ValueId>;
using Ints = std::vector<int64_t>;
namespace places = ir::recurrent;

/// What an operator takes of torch's gates, by their places there.
struct Gates {
  const char* op;
  Ints order;
};

class Recurrent {
 public:
  Recurrent(Builder& b, Gates gates)
      : b_(b),
        gates_(std::move(gates)),
        directions_(b.node().text("direction", "forward") == "bidirectional" ? 2 : 1),
        hidden_(b.shape(b.node().input(places::weights + places::state_weight))[1].size()) {}

  Results run(size_t outputs, ir::Attributes attributes) {
    const ir::Node& node = b_.node();
    attributes["direction"] = node.text("direction", "forward");
    attributes["hidden_size"] = hidden_;
    Results inputs{
        node.input(places::x),    matrices(places::input_weight), matrices(places::state_weight), biases(), ir::absent,
        node.input(places::state)};
    if (node.input(places::cell) != ir::absent) inputs.push_back(node.input(places::cell));
    Results results = b_.ops("", gates_.op, std::move(inputs), std::move(attributes), outputs);
    // [length, directions, batch, hidden] -> [length, batch, directions·hidden]
    if (directions_ == 1)
      results[0] = b_.op("Squeeze", {results[0]}, {{"axes", Ints{1}}});
    else
      results[0] = b_.reshape(b_.transpose(results[0], {0, 2, 1, 3}), {0, 0, directions_ * hidden_});
    return results;
  }

 private:
  ValueId given(int64_t direction, size_t which) const {
    return b_.node().input(places::weights + static_cast<size_t>(direction) * places::per_direction + which);
  }

  /// The rows of every gate, in the operator's order: pieces of one shape.
  void add_gates(Results& pieces, ValueId weight) {
    const ir::Value stored = b_.value(weight);
    for (int64_t gate : gates_.order) {
      const int64_t begin = gate * hidden_, end = begin + hidden_;
      if (stored.origin == ir::Origin::weight) {
        pieces.push_back(b_.graph().add_weight(stored.name, stored.weight->then(SliceAxis{0, begin, end})));
      } else {
        pieces.push_back(b_.op("Slice", {weight},
                               {{"starts", Ints{begin}}, {"ends", Ints{end}}, {"axes", Ints{0}}, {"steps", Ints{1}}}));
      }
    }
  }

  /// Pieces below each other, in a shape: one weight where all are.
  ValueId joined(const Results& pieces, Ints shape) {
    std::vector<Weight> weights;
    for (ValueId piece : pieces) {
      if (b_.value(piece).origin != ir::Origin::weight)
        return b_.reshape(b_.op("Concat", pieces, {{"axis", int64_t{0}}}), std::move(shape));
      weights.push_back(*b_.value(piece).weight);
    }
    return b_.graph().add_weight(b_.value(pieces[0]).name, stacked(weights).then(ReshapeTo{std::move(shape)}));
  }

  /// f[directions, gates·hidden, ...]
  ValueId matrices(size_t which) {
    Results pieces;
    for (int64_t i = 0; i < directions_; ++i) add_gates(pieces, given(i, which));
    const auto rows = static_cast<int64_t>(gates_.order.size()) * hidden_;
    return joined(pieces, {directions_, rows, b_.shape(given(0, which))[1].size()});
  }

  /// f[directions, 2·gates·hidden]: of the input, then of the state.
  ValueId biases() {
    if (given(0, places::input_bias) == ir::absent) return ir::absent;
    Results pieces;
    for (int64_t i = 0; i < directions_; ++i) {
      add_gates(pieces, given(i, places::input_bias));
      add_gates(pieces, given(i, places::state_bias));
    }
    return joined(pieces, {directions_, 2 * static_cast<int64_t>(gates_.order.size()) * hidden_});
  }

  Builder& b_;
  const Gates gates_;
  const int64_t directions_, hidden_;
};

/// In, forget, cell, out -> in, out, forget, cell.
Results lstm(Builder& b) {
  return Recurrent(b, {"LSTM", {0, 3, 1, 2}}).run(b.node().outputs.size(), {});
}

/// Reset, update, new -> update, reset, new. torch multiplies the state by the reset behind its matrix.
Results gru(Builder& b) {
  return Recurrent(b, {"GRU", {1, 0, 2}}).run(b.node().outputs.size(), {{"linear_before_reset", int64_t{1}}});
}

constexpr RuleRow rows[] = {
    {ir::composite_domain, "LSTM", every_opset, lstm},
    {ir::composite_domain, "GRU", every_opset, gru},
};

}  // namespace

std::span<const RuleRow> sequence_rules() {
  return rows;
}

}  // namespace onnxport
