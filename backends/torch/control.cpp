// SPDX-License-Identifier: Apache-2.0
// Operators that run graphs. What a body captures stands behind what its operator hands it.
#include <limits>

#include "backends/torch/evaluator.hpp"

namespace onnxport::reference {
namespace {

using at::Tensor;

std::vector<Tensor> captures(const Call& c) {
  return {c.inputs.begin() + static_cast<std::ptrdiff_t>(c.node.formal_inputs), c.inputs.end()};
}

bool is_true(const Tensor& condition) {
  return condition.item().to<bool>();
}

Results choose(const Call& c) {
  return c.bodies.at(is_true(c.in(0)) ? "then_branch" : "else_branch")->run(captures(c));
}

/// What a body yields time after time: states, and rows that are stacked in the end.
class Repetition {
 public:
  Repetition(const Call& call, size_t first_state, size_t states) : body_(*call.bodies.at("body")) {
    const auto first = call.inputs.begin() + static_cast<std::ptrdiff_t>(first_state);
    states_.assign(first, first + static_cast<std::ptrdiff_t>(states));
    captures_ = captures(call);
    rows_.resize(call.node.outputs.size() - states);
  }

  /// Runs the body once; its outputs from `first` on are states and rows. Yields all of them.
  Results step(std::vector<Tensor> before, const std::vector<Tensor>& behind, size_t first) {
    const std::vector<Tensor>& states = states_;
    const std::vector<Tensor>& captured = captures_;
    for (const auto* part : {&states, &behind, &captured}) before.insert(before.end(), part->begin(), part->end());
    Results yielded = body_.run(before);
    for (size_t i = 0; i < states_.size(); ++i) states_[i] = yielded.at(first + i);
    for (size_t i = 0; i < rows_.size(); ++i) rows_[i].push_back(yielded.at(first + states_.size() + i));
    return yielded;
  }

  Results results() const {
    Results all = states_;
    for (const std::vector<Tensor>& rows : rows_) all.push_back(rows.empty() ? at::empty({0}) : at::stack(rows));
    return all;
  }

 private:
  const Body& body_;
  std::vector<Tensor> states_;
  std::vector<Tensor> captures_;
  std::vector<std::vector<Tensor>> rows_;
};

Results loop(const Call& c) {
  const int64_t times = c.has(0) ? c.in(0).item().toLong() : std::numeric_limits<int64_t>::max();
  bool goes_on = !c.has(1) || is_true(c.in(1));
  Repetition repetition(c, 2, c.node.formal_inputs - 2);
  for (int64_t i = 0; i < times && goes_on; ++i) {
    const Results yielded =
        repetition.step({at::scalar_tensor(i, at::kLong), at::scalar_tensor(goes_on, at::kBool)}, {}, 1);
    goes_on = is_true(yielded.at(0));
  }
  return repetition.results();
}

Results scan(const Call& c) {
  const auto scanned = static_cast<size_t>(c.integer("num_scan_inputs", 0));
  const size_t states = c.node.formal_inputs - scanned;
  Repetition repetition(c, 0, states);
  for (int64_t i = 0; i < c.in(states).size(0); ++i) {
    std::vector<Tensor> slices;
    for (size_t input = states; input < c.node.formal_inputs; ++input) slices.push_back(c.in(input).select(0, i));
    repetition.step({}, slices, 0);
  }
  return repetition.results();
}

}  // namespace

const Table& control_table() {
  static const Table table{{"If", choose}, {"Loop", loop}, {"Scan", scan}};
  return table;
}

}  // namespace onnxport::reference
