// SPDX-License-Identifier: Apache-2.0
#include "core/ir/builder.hpp"

#include <algorithm>

#include "core/ir/operators.hpp"
#include "core/ir/scalar.hpp"

namespace onnxport::ir {

std::vector<ValueId> Builder::ops(const std::string& domain, const std::string& name, std::vector<ValueId> inputs,
                                  Attributes attributes, size_t outputs) {
  Node node;
  node.domain = domain;
  node.op = name;
  node.scope = scope_;
  node.inputs = std::move(inputs);
  node.attributes = std::move(attributes);
  return lowered_.emit(std::move(node), outputs);
}

std::vector<ValueId> Builder::run(Node node, size_t outputs) {
  node.scope = node_.scope;
  return lowered_.emit_with_bodies(std::move(node), outputs);
}

ValueId Builder::op(const std::string& name, std::vector<ValueId> inputs, Attributes attributes) {
  return ops("", name, std::move(inputs), std::move(attributes), 1)[0];
}
ValueId Builder::composite(const std::string& name, std::vector<ValueId> inputs, Attributes attributes) {
  return ops(composite_domain, name, std::move(inputs), std::move(attributes), 1)[0];
}

std::vector<ValueId> Builder::keep(Attributes attributes, size_t outputs) {
  return graph().add_node({node_.domain, node_.op, scope_, node_.inputs, {}, std::move(attributes), ""}, outputs);
}

ValueId Builder::scalar(double value, DType dtype) {
  return graph().add_constant(ir::scalar(value, dtype));
}
ValueId Builder::integers(std::vector<int64_t> values) {
  return graph().add_constant(Tensor::i64(std::move(values)));
}
ValueId Builder::integer(int64_t value) {
  return graph().add_constant(Tensor::i64_scalar(value));
}

ValueId Builder::length(ValueId x, size_t axis) {
  const Dim dim = shape(x).at(axis);
  if (dim.is_static()) return integers({dim.size()});
  ValueId source = x;
  for (const NamedValue& input : graph().inputs) {
    const Shape& candidate = shape(input.value);
    const auto found = std::find(candidate.begin(), candidate.end(), dim);
    if (found == candidate.end()) continue;
    source = input.value;
    axis = static_cast<size_t>(found - candidate.begin());
    break;
  }
  const auto at = static_cast<int64_t>(axis);
  return op("Shape", {source}, {{"start", at}, {"end", at + 1}});
}

bool Builder::stored_layout_needed(ValueId weight) const {
  const Value& it = value(weight);
  return lowered_.weights_as_stored() || (it.origin == Origin::weight && lowered_.used_as_stored(*it.weight));
}

}  // namespace onnxport::ir
