// SPDX-License-Identifier: Apache-2.0
// Recurrent layers, which run along the first axis of f[length, batch, width].
#include "core/ir/inference.hpp"
#include "core/ir/recurrent.hpp"

namespace onnxport::ir {
namespace {

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

}  // namespace

const std::vector<Operator>& sequence_operators() {
  using enum AttributeKind;
  constexpr size_t most = recurrent::weights + 2 * recurrent::per_direction;
  static const std::vector<Operator> rows{
      {"", "LSTM", 3, 8, 3, infer_lowered, {{"hidden_size", integer}, {"direction", text}}},
      {"",
       "GRU",
       3,
       6,
       2,
       infer_lowered,
       {{"hidden_size", integer}, {"direction", text}, {"linear_before_reset", integer}}},
      {composite_domain, "LSTM", 1, most, 3, infer_recurrent, {{"direction", text}}},
      {composite_domain, "GRU", 1, most, 2, infer_recurrent, {{"direction", text}}},
  };
  return rows;
}

}  // namespace onnxport::ir
