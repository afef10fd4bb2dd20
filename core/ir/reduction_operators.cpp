// SPDX-License-Identifier: Apache-2.0
// Operators over axes: sums, means, the largest, softmax, and the norms of layers.
#include <set>

#include "core/ir/inference.hpp"

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

void infer_norm(Inference& x) {
  for (size_t i = 1; i < x.node.inputs.size(); ++i)
    require_same(x.shape(i).at(0), x.shape(0).back(), "the normalised axis");
  infer_float(x);
}

}  // namespace

const std::vector<Operator>& reduction_operators() {
  using enum AttributeKind;
  static const std::vector<AttributeSpec> reduction{{"axes", integers}, {"keepdims", integer}};
  static const std::vector<AttributeSpec> norm{{"axis", integer}, {"epsilon", real}, {"stash_type", integer}};
  static const std::vector<Operator> rows{
      {"", "ReduceMean", 1, 1, 1, infer_reduce, reduction},
      {"", "ReduceSum", 1, 1, 1, infer_reduce, reduction},
      {"", "ReduceMax", 1, 1, 1, infer_reduce, reduction},
      {"", "ReduceMin", 1, 1, 1, infer_reduce, reduction},
      {"", "ReduceProd", 1, 1, 1, infer_reduce, reduction},
      {"", "ReduceL2", 1, 1, 1, infer_reduce, reduction},
      {"", "ArgMax", 1, 1, 1, infer_argmax, {{"axis", integer}, {"keepdims", integer}}},
      {"", "Softmax", 1, 1, 1, infer_softmax, {{"axis", integer}}},
      {"", "LogSoftmax", 1, 1, 1, infer_softmax, {{"axis", integer}}},
      {"", "CumSum", 1, 1, 1, infer_same, {{"axis", integer}, {"exclusive", integer}, {"reverse", integer}}},
      {"", "LayerNormalization", 2, 3, 1, infer_norm, norm},
      {"", "RMSNormalization", 2, 2, 1, infer_norm, norm},
      {composite_domain, "LayerNorm", 2, 3, 1, infer_norm, {{"epsilon", real}}},
      {composite_domain, "RMSNorm", 2, 2, 1, infer_norm, {{"epsilon", real}}},
  };
  return rows;
}

}  // namespace onnxport::ir
