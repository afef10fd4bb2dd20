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
  /// `first_output`: the body's output that is the first state.
  Repetition(const Call& call, size_t first_state, size_t states, size_t first_output)
      : body_(*call.bodies.at("body")), first_output_(first_output) {
    const auto first = call.inputs.begin() + static_cast<std::ptrdiff_t>(first_state);
    states_.assign(first, first + static_cast<std::ptrdiff_t>(states));
    captures_ = captures(call);
    rows_.resize(call.node.outputs.size() - states);
  }

  /// Runs the body once on what stands before the states, them, and what stands behind. Yields all of its outputs.
  Results step(std::vector<Tensor> before, const std::vector<Tensor>& behind) {
    const std::vector<Tensor>& states = states_;
    const std::vector<Tensor>& captured = captures_;
    for (const auto* part : {&states, &behind, &captured}) before.insert(before.end(), part->begin(), part->end());
    Results yielded = body_.run(before);
    for (size_t i = 0; i < states_.size(); ++i) states_[i] = yielded.at(first_output_ + i);
    for (size_t i = 0; i < rows_.size(); ++i) rows_[i].push_back(yielded.at(first_output_ + states_.size() + i));
    return yielded;
  }

  Results results() const {
    Results all = states_;
    for (size_t i = 0; i < rows_.size(); ++i)
      all.push_back(rows_[i].empty() ? body_.never_run(first_output_ + states_.size() + i) : at::stack(rows_[i]));
    return all;
  }

 private:
  const Body& body_;
  const size_t first_output_;
  std::vector<Tensor> states_;
  std::vector<Tensor> captures_;
  std::vector<std::vector<Tensor>> rows_;
};

Results loop(const Call& c) {
  const int64_t times = c.has(0) ? c.in(0).item().toLong() : std::numeric_limits<int64_t>::max();
  bool goes_on = !c.has(1) || is_true(c.in(1));
  Repetition repetition(c, 2, c.node.formal_inputs - 2, 1);
  for (int64_t i = 0; i < times && goes_on; ++i) {
    const Results yielded =
        repetition.step({at::scalar_tensor(i, at::kLong), at::scalar_tensor(goes_on, at::kBool)}, {});
    goes_on = is_true(yielded.at(0));
  }
  return repetition.results();
}

Results scan(const Call& c) {
  const auto scanned = static_cast<size_t>(c.integer("num_scan_inputs", 0));
  const size_t states = c.node.formal_inputs - scanned;
  Repetition repetition(c, 0, states, 0);
  for (int64_t i = 0; i < c.in(states).size(0); ++i) {
    std::vector<Tensor> slices;
    for (size_t input = states; input < c.node.formal_inputs; ++input) slices.push_back(c.in(input).select(0, i));
    repetition.step({}, slices);
  }
  return repetition.results();
}

}  // namespace

const Table& control_table() {
  static const Table table{{"If", choose}, {"Loop", loop}, {"Scan", scan}};
  return table;
}

}  // namespace onnxport::reference
