// SPDX-License-Identifier: Apache-2.0
// Recurrent layers.
#include <fmt/format.h>

#include "core/import/rows.hpp"
#include "core/ir/recurrent.hpp"

namespace onnxport::script {
namespace {

/// lstm(x, [state, cell], weights, has_biases, layers, dropout, train, bidirectional, batch_first); gru(x, state, …)
Items recurrent(Call& call) {
  const bool is_lstm = call.name() == "lstm";
  if (call.at(2).as<List>() == nullptr) call.refuse("runs over packed sequences", "hand it padded ones");
  if (call.flag(6, false) && call.number(5, 0) > 0)
    call.refuse("is in training", "make the module in eval(): model.eval()");
  const std::vector<ValueId> weights = call.tensors(2);
  const bool has_biases = call.flag(3), is_two_way = call.flag(7), batch_first = call.flag(8);
  const auto layers = call.integer(4);
  const int64_t directions = is_two_way ? 2 : 1;
  const size_t each = has_biases ? 4 : 2;
  if (weights.size() != each * static_cast<size_t>(layers * directions))
    call.refuse(
        fmt::format("has {} weights; expected {}", weights.size(), each * static_cast<size_t>(layers * directions)),
        "leave out proj_size");
  std::vector<ValueId> states = is_lstm ? call.tensors(1) : std::vector<ValueId>{call.tensor(1)};
  ValueId x = call.tensor(0);
  const bool is_unbatched = call.rank(x) == 2;
  if (is_unbatched) {
    x = call.unsqueeze(x, {1});
    for (ValueId& state : states) state = call.unsqueeze(state, {1});
  } else if (batch_first) {
    x = call.transpose(x, {1, 0, 2});
  }
  std::vector<std::vector<ValueId>> last(states.size());
  for (int64_t layer = 0; layer < layers; ++layer) {
    const auto of_layer = [&](ValueId all) {
      return layers == 1 ? all : call.slice(all, 0, layer * directions, (layer + 1) * directions);
    };
    std::vector<ValueId> inputs{x, of_layer(states[0]), is_lstm ? of_layer(states[1]) : ir::absent};
    for (int64_t direction = 0; direction < directions; ++direction) {
      const size_t first = static_cast<size_t>(layer * directions + direction) * each;
      for (size_t i = 0; i < ir::recurrent::per_direction; ++i)
        inputs.push_back(i < each ? weights[first + i] : ir::absent);
    }
    const auto results =
        call.ops(ir::composite_domain, is_lstm ? "LSTM" : "GRU", inputs,
                 {{"direction", std::string(is_two_way ? "bidirectional" : "forward")}}, states.size() + 1);
    x = results[0];
    for (size_t i = 0; i < states.size(); ++i) last[i].push_back(results[i + 1]);
  }
  if (is_unbatched)
    x = call.squeeze(x, {1});
  else if (batch_first)
    x = call.transpose(x, {1, 0, 2});
  Items results{Tensor{x}};
  for (const std::vector<ValueId>& of_layers : last) {
    const ValueId all = layers == 1 ? of_layers[0] : call.op("Concat", of_layers, {{"axis", int64_t{0}}});
    results.push_back(Tensor{is_unbatched ? call.squeeze(all, {1}) : all});
  }
  return results;
}

}  // namespace

const std::vector<Row>& recurrent_rows() {
  static const std::vector<Row> rows{{"aten::lstm", recurrent}, {"aten::gru", recurrent}};
  return rows;
}

}  // namespace onnxport::script
