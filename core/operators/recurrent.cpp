// SPDX-License-Identifier: Apache-2.0
// Recurrent layers, which run along the first axis of f[length, batch, width]. Lowering puts torch's weights in the
// order that ONNX's operators want.
#include <fmt/format.h>

#include "core/ir/builder.hpp"
#include "core/ir/inference.hpp"
#include "core/ir/recurrent.hpp"
#include "core/operators/areas.hpp"

namespace onnxport::ir {
namespace {

using Ints = std::vector<int64_t>;

int64_t directions_of(const Inference& x) {
  const std::string direction = x.node.text("direction", "forward");
  if (direction == "bidirectional") return 2;
  if (direction != "forward" && direction != "reverse")
    refuse("there is no direction '" + direction + "'; known: forward, reverse, bidirectional");
  return 1;
}

struct Sizes {
  int64_t directions, hidden;
};

/// Results: what every step yields, then the last states.
void set_results(Inference& x, const Sizes& sizes) {
  const Shape& input = x.shape(0);
  set(x, dtype_of(x), {input[0], input[1], Dim(sizes.directions * sizes.hidden)});
  for (size_t i = 1; i < x.results.size(); ++i)
    set(x, dtype_of(x), {Dim(sizes.directions), input[1], Dim(sizes.hidden)}, i);
}

/// The composites, with weights as torch has them.
void infer_recurrent(Inference& x) {
  using namespace recurrent;
  const int64_t directions = directions_of(x), gates = gates_of(x.node.op);
  require_rank(x, 0, 3);
  if (!is_floating(dtype_of(x))) refuse("takes a floating-point tensor");
  const size_t end = weights + per_direction * static_cast<size_t>(directions);
  if (x.node.inputs.size() > end) refuse(fmt::format("has {} inputs; expected {}", x.node.inputs.size(), end));
  if (x.has(cell) && x.node.op != "LSTM") refuse("input 2 is the state of an LSTM's cells; leave it out");
  if (x.node.op != "LSTM" && x.results.size() > 2) refuse("has two results");
  if (!x.has(weights + state_weight)) refuse(fmt::format("input {} is absent", weights + state_weight));
  require_rank(x, weights + state_weight, 2);
  const Dim hidden = x.shape(weights + state_weight)[1], width = x.shape(0)[2];
  if (!hidden.is_static()) refuse("the width of its states must be known");
  const Dim rows(gates * hidden.size());
  const auto require = [&](size_t input, const Shape& shape) {
    if (x.has(input) && !(x.shape(input) == shape))
      refuse(fmt::format("input {} is {}; expected {}", input, to_string(x.shape(input)), to_string(shape)));
  };
  for (size_t state_input : {state, cell}) require(state_input, {Dim(directions), x.shape(0)[1], hidden});
  for (size_t first = weights; first < end; first += per_direction) {
    if (!x.has(first + input_weight) || !x.has(first + state_weight)) refuse("a direction has no weights");
    if (x.has(first + input_bias) != x.has(first + state_bias)) refuse("has one of two biases");
    if (x.has(first + input_bias) != x.has(weights + input_bias)) refuse("one direction has biases, the other not");
    require(first + input_weight, {rows, width});
    require(first + state_weight, {rows, hidden});
    for (size_t bias : {input_bias, state_bias}) require(first + bias, {rows});
  }
  set_results(x, {directions, hidden.size()});
}

/// ONNX's operators, which lowering yields: x, w[directions, gates·hidden, width], r[…, hidden], [b], [lengths],
/// states.
void infer_lowered(Inference& x) {
  const int64_t directions = directions_of(x), hidden = x.node.integer("hidden_size", 0);
  set_results(x, {directions, hidden});
  set(x, dtype_of(x), {x.shape(0)[0], Dim(directions), x.shape(0)[1], Dim(hidden)});
}

// ------------------------------------------------------------------------------------------------- lowering

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
        hidden_(b.shape(b.node().input(recurrent::weights + recurrent::state_weight))[1].size()) {}

  Results run(size_t outputs, Attributes attributes) {
    const Node& node = b_.node();
    attributes["direction"] = node.text("direction", "forward");
    attributes["hidden_size"] = hidden_;
    Results inputs{node.input(recurrent::x),
                   matrices(recurrent::input_weight),
                   matrices(recurrent::state_weight),
                   biases(),
                   absent,
                   node.input(recurrent::state)};
    if (node.input(recurrent::cell) != absent) inputs.push_back(node.input(recurrent::cell));
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
    return b_.node().input(recurrent::weights + static_cast<size_t>(direction) * recurrent::per_direction + which);
  }

  /// The rows of every gate, in the operator's order: pieces of one shape.
  void add_gates(Results& pieces, ValueId weight) {
    const Value stored = b_.value(weight);
    for (int64_t gate : gates_.order) {
      const int64_t begin = gate * hidden_, end = begin + hidden_;
      if (stored.origin == Origin::weight) {
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
      if (b_.value(piece).origin != Origin::weight)
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
    if (given(0, recurrent::input_bias) == absent) return absent;
    Results pieces;
    for (int64_t i = 0; i < directions_; ++i) {
      add_gates(pieces, given(i, recurrent::input_bias));
      add_gates(pieces, given(i, recurrent::state_bias));
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

}  // namespace

const std::vector<Operator>& recurrent_operators() {
  using enum AttributeKind;
  constexpr size_t most = recurrent::weights + 2 * recurrent::per_direction;
  // A state passes through every step.
  static const Precision wide{.wide_below = every_opset};
  static const AttributeSpec hidden{"hidden_size", integer}, direction{"direction", text};
  static const std::vector<Operator> rows{
      {.domain = composite_domain,
       .name = "LSTM",
       .inputs = {1, most},
       .max_outputs = 3,
       .infer = infer_recurrent,
       .attributes = {{"direction", text, "forward, reverse or bidirectional; forward"}},
       .lowering = {{lstm}},
       .precision = wide,
       .documentation =
           {"x: f[length, batch, width], [state: f[directions, batch, hidden]], [cell: as state], then for "
            "each direction f[4·hidden, width], f[4·hidden, hidden], [biases: f[4·hidden] twice]",
            "torch's weights and order of gates (in, forget, cell, out), put in ONNX's while they are "
            "written; yields f[length, batch, directions·hidden], the last state and the last cell. In f32 "
            "in a 16-bit graph"}},
      {.domain = composite_domain,
       .name = "GRU",
       .inputs = {1, most},
       .max_outputs = 2,
       .infer = infer_recurrent,
       .attributes = {{"direction", text, "as LSTM's"}},
       .lowering = {{gru}},
       .precision = wide,
       .documentation =
           {"x, [state], -, then weights as LSTM's with 3·hidden",
            "gates reset, update, new; the state is multiplied by the reset behind its matrix. In f32 in a "
            "16-bit graph"}},
      {.name = "LSTM",
       .inputs = {3, 8},
       .max_outputs = 3,
       .infer = infer_lowered,
       .attributes = {hidden, direction},
       .documentation = {.inputs = "x, w, r, [b], [lengths], [state], [cell]", .made_from = "LSTM"}},
      {.name = "GRU",
       .inputs = {3, 6},
       .max_outputs = 2,
       .infer = infer_lowered,
       .attributes = {hidden, direction, {"linear_before_reset", integer}},
       .documentation = {.inputs = "x, w, r, [b], [lengths], [state]", .made_from = "GRU"}},
  };
  return rows;
}

}  // namespace onnxport::ir
