// SPDX-License-Identifier: Apache-2.0
#include "core/ir/operators.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "core/ir/inference.hpp"

namespace onnxport::ir {

const Operator* find_operator(std::string_view domain, std::string_view name) {
  static const auto by_name = [] {
    std::map<std::pair<std::string_view, std::string_view>, const Operator*> index;
    for (const Operator& op : operators()) index.emplace(std::pair(op.domain, op.name), &op);
    return index;
  }();
  const auto found = by_name.find({domain, name});
  return found == by_name.end() ? nullptr : found->second;
}

Rule rule_of(const Operator& op, int64_t opset, Target target) {
  const auto applies = [&](const Lowering& lowering) {
    return opset < lowering.below && (!lowering.target || *lowering.target == target);
  };
  const auto found = std::find_if(op.lowering.begin(), op.lowering.end(), applies);
  return found == op.lowering.end() ? nullptr : found->rule;
}

Rule find_rule(const Node& node, int64_t opset, Target target) {
  const Operator* op = find_operator(node.domain, node.op);
  return op == nullptr ? nullptr : rule_of(*op, opset, target);
}

Shape broadcast(const Shape& a, const Shape& b) {
  Shape shape(std::max(a.size(), b.size()), Dim(1));
  for (size_t i = 0; i < shape.size(); ++i) {
    const Dim one(1);
    const Dim& left = i < a.size() ? a[a.size() - 1 - i] : one;
    const Dim& right = i < b.size() ? b[b.size() - 1 - i] : one;
    Dim& out = shape[shape.size() - 1 - i];
    if (left == right || right == one)
      out = left;
    else if (left == one)
      out = right;
    else
      refuse(fmt::format("{} and {} do not broadcast: {} is not {}", to_string(a), to_string(b), left.to_string(),
                         right.to_string()));
  }
  return shape;
}

}  // namespace onnxport::ir
