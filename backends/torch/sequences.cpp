// SPDX-License-Identifier: Apache-2.0
// Recurrent layers, which run along the first axis of f[length, batch, width].
#include "backends/torch/evaluator.hpp"
#include "core/ir/recurrent.hpp"

namespace onnxport::reference {
namespace {

using at::Tensor;
namespace places = ir::recurrent;

/// A layer's input and weights, as ATen takes them. One that runs backwards only is one over the turned sequence.
struct Layer {
  Tensor x;
  std::vector<Tensor> weights;
  Tensor zeros;
  bool biases, backwards, both;

  explicit Layer(const Call& c)
      : x(c.in(places::x)),
        biases(c.has(places::weights + places::input_bias)),
        backwards(c.text("direction", "forward") == "reverse"),
        both(c.text("direction", "forward") == "bidirectional") {
    if (backwards) x = x.flip({0});
    for (size_t i = places::weights; i < c.inputs.size(); ++i) {
      if (c.has(i)) weights.push_back(c.in(i));
    }
    const int64_t hidden = c.in(places::weights + places::state_weight).size(1);
    zeros = at::zeros({both ? 2 : 1, x.size(1), hidden}, x.options());
  }
  Tensor state(const Call& c, size_t input) const { return c.has(input) ? c.in(input) : zeros; }
  Tensor in_order(const Tensor& y) const { return backwards ? y.flip({0}) : y; }
};

Results lstm(const Call& c) {
  const Layer layer(c);
  const std::vector<Tensor> states{layer.state(c, places::state), layer.state(c, places::cell)};
  const auto [y, state, cell] =
      at::lstm(layer.x, states, layer.weights, layer.biases, 1, 0.0, false, layer.both, false);
  return {layer.in_order(y), state, cell};
}

Results gru(const Call& c) {
  const Layer layer(c);
  const auto [y, state] =
      at::gru(layer.x, layer.state(c, places::state), layer.weights, layer.biases, 1, 0.0, false, layer.both, false);
  return {layer.in_order(y), state};
}

}  // namespace

const Table& sequence_composite_table() {
  static const Table table{{"LSTM", lstm}, {"GRU", gru}};
  return table;
}

}  // namespace onnxport::reference
