// SPDX-License-Identifier: Apache-2.0
// Recurrent layers over f[length, batch, width]. They stay in f32 in a 16-bit graph.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <string>
#include <vector>

#include <onnxport/operations.hpp>

namespace onnxport::sdk {

struct RecurrentOptions {
  int64_t hidden;
  int64_t layers = 1;
  bool bidirectional = false;
  bool bias = true;
  bool batch_first = false;  ///< x and the result are f[batch, length, …]
  /// What the layers start from: f[layers·directions, batch, hidden]; absent: zeros. The cells are an LSTM's.
  Value state{}, cell{};
};
struct RecurrentResult {
  Value sequence;     ///< f[length, batch, directions·hidden]
  Value state, cell;  ///< f[layers·directions, batch, hidden]; the cells of an LSTM
};

namespace detail {

/// One layer's inputs behind x: where it starts, and its weights by torch's names.
inline std::vector<Value> layer_inputs(const Scope& scope, int64_t layer, int64_t gates, int64_t width,
                                       const RecurrentOptions& options) {
  const int64_t directions = options.bidirectional ? 2 : 1, rows = gates * options.hidden;
  const auto own = [&](const Value& all) {
    return all && options.layers > 1 ? slice(all, {0, layer * directions, (layer + 1) * directions}) : all;
  };
  std::vector<Value> inputs{own(options.state), own(options.cell)};
  for (const char* direction : {"", "_reverse"}) {
    if (*direction != '\0' && !options.bidirectional) continue;
    const std::string suffix = "_l" + std::to_string(layer) + direction;
    inputs.push_back(scope.weight("weight_ih" + suffix, {rows, width}));
    inputs.push_back(scope.weight("weight_hh" + suffix, {rows, options.hidden}));
    for (const char* bias : {"bias_ih", "bias_hh"})
      inputs.push_back(options.bias ? scope.weight(bias + suffix, {rows}) : Value());
  }
  return inputs;
}

struct RecurrentKind {
  const char* op;
  int64_t gates;
  size_t states;
};

inline RecurrentResult recurrent(const Scope& scope, const Operand& x, const RecurrentOptions& options,
                                 const RecurrentKind& kind) {
  const Scope outside = scope.parent();
  Value y = options.batch_first ? transpose(x, {1, 0, 2}) : Value(x);
  std::vector<std::vector<Value>> states(kind.states);
  for (int64_t layer = 0; layer < options.layers; ++layer) {
    std::vector<Value> inputs = layer_inputs(scope, layer, kind.gates, y.fixed(-1), options);
    inputs.insert(inputs.begin(), y);
    const std::vector<Value> results =
        scope.graph().add({composites,
                           kind.op,
                           inputs,
                           {{"direction", options.bidirectional ? "bidirectional" : "forward"}},
                           1 + kind.states,
                           scope.graph().place(scope.path())});
    y = results[0];
    for (size_t i = 0; i < kind.states; ++i) states[i].push_back(results[i + 1]);
  }
  const auto all = [&](const std::vector<Value>& of) { return (of.size() == 1 ? of[0] : concat(of, 0)).in(outside); };
  const Value sequence = options.batch_first ? transpose(y, {1, 0, 2}) : y;
  return {sequence.in(outside), all(states[0]), kind.states > 1 ? all(states[1]) : Value()};
}

}  // namespace detail

/// x: f[length, batch, width]. Weights: weight_ih_l0 f[4·hidden, width], weight_hh_l0 f[4·hidden, hidden], bias_ih_l0,
/// bias_hh_l0 f[4·hidden]; _l1, … of further layers, and the same with _reverse. Source: torch.nn.LSTM.
inline RecurrentResult lstm(const Scope& scope, const Operand& x, const RecurrentOptions& options) {
  return detail::recurrent(scope, x, options, {"LSTM", 4, 2});
}

/// The same with three gates and without cells. Source: torch.nn.GRU.
inline RecurrentResult gru(const Scope& scope, const Operand& x, const RecurrentOptions& options) {
  return detail::recurrent(scope, x, options, {"GRU", 3, 1});
}

}  // namespace onnxport::sdk
