// SPDX-License-Identifier: Apache-2.0
// Operators over axes: sums, means, the largest, softmax.
#include <set>

#include "core/ir/inference.hpp"
#include "core/operators/areas.hpp"
#include "core/operators/evaluation.hpp"

namespace onnxport::ir {
namespace {

void infer_softmax(Inference& x) {
  axis_index(x.node.integer("axis", -1), x.shape(0).size());
  infer_float(x);
}

void infer_reduce(Inference& x) {
  const auto axes = x.node.integers("axes");
  const bool keep = x.node.integer("keepdims", 1) != 0;
  std::set<size_t> gone;
  for (int64_t axis : axes) gone.insert(axis_index(axis, x.shape(0).size()));
  Shape shape;
  for (size_t i = 0; i < x.shape(0).size(); ++i) {
    if (!gone.contains(i) && !axes.empty())
      shape.push_back(x.shape(0)[i]);
    else if (keep)
      shape.emplace_back(1);
  }
  set(x, dtype_of(x), std::move(shape));
}

void infer_argmax(Inference& x) {
  const size_t axis = axis_index(x.node.integer("axis", 0), x.shape(0).size());
  Shape shape = x.shape(0);
  if (x.node.integer("keepdims", 1) != 0)
    shape[axis] = Dim(1);
  else
    shape.erase(shape.begin() + static_cast<int64_t>(axis));
  set(x, DType::i64, std::move(shape));
}

/// `since`: the opset from which on the axes are an input.
Operator reduction(std::string_view name, int64_t since, Precision precision = {}) {
  using enum AttributeKind;
  return {.name = name,
          .infer = infer_reduce,
          .attributes = {{"axes", integers, "all", {.input = 1, .since = since}}, {"keepdims", integer, "1"}},
          .fold = {.evaluate = evaluate_reduction},
          .precision = std::move(precision),
          .documentation = {"x"}};
}

void infer_cumulative_sum(Inference& x) {
  require_attribute(x, "axis");
  axis_index(x.node.integer("axis", 0), x.shape(0).size());
  infer_same(x);
}

}  // namespace

const std::vector<Operator>& reduction_operators() {
  using enum AttributeKind;
  // Sums lose too much in 16 bits.
  const Precision wide{.wide_below = every_opset};
  static const std::vector<Operator> rows{
      {.name = "Softmax",
       .infer = infer_softmax,
       .attributes = {{"axis", integer, "-1"}},
       .precision = {.beyond = Precision::Beyond::never},
       .documentation = {"x"}},
      {.name = "LogSoftmax",
       .infer = infer_softmax,
       .attributes = {{"axis", integer, "-1"}},
       .precision = wide,
       .documentation = {"x"}},
      reduction("ReduceMean", 18, wide),
      reduction("ReduceSum", 13, wide),
      reduction("ReduceMax", 18),
      reduction("ReduceMin", 18),
      reduction("ReduceProd", 18, wide),
      reduction("ReduceL2", 18, wide),
      {.name = "ArgMax",
       .infer = infer_argmax,
       .attributes = {{"axis", integer, "0"}, {"keepdims", integer, "1"}},
       .documentation = {"x", "first of equal ones; i64"}},
      {.name = "CumSum",
       .infer = infer_cumulative_sum,
       .attributes = {{"axis", integer, "", {.input = 1, .since = 11}},
                      {"exclusive", integer, "0"},
                      {"reverse", integer, "0"}},
       .fold = {.evaluate = evaluate_cumulative_sum},
       .precision = wide,
       .documentation = {"x"}},
  };
  return rows;
}

}  // namespace onnxport::ir
