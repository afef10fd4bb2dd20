// SPDX-License-Identifier: Apache-2.0
// The lowering rules of scattering: sums and products are reductions since opset 16, smallest and largest since 18.
#include <fmt/format.h>

#include "core/error.hpp"
#include "core/passes/rules.hpp"

namespace onnxport {
namespace {

using Results = std::vector<ir::ValueId>;

Results scatter(Builder& b) {
  const ir::Node& node = b.node();
  const std::string reduction = node.text("reduction", "none");
  const int64_t since = reduction == "none" ? 13 : reduction == "add" || reduction == "mul" ? 16 : 18;
  if (b.opset() < since) {
    throw Error(Failure::usage,
                fmt::format("'{}': {} with the reduction '{}' needs opset {}, and {} was asked for", node.scope,
                            node.op, reduction, since, b.opset()),
                fmt::format("pass --opset {} or above", since));
  }
  ir::Attributes attributes = node.attributes;
  if (since == 13) attributes.erase("reduction");
  return b.graph().add_node({"", node.op, node.scope, node.inputs, {}, std::move(attributes), ""});
}

constexpr RuleRow rows[] = {
    {"", "ScatterElements", 18, scatter},
    {"", "ScatterND", 18, scatter},
};

}  // namespace

std::span<const RuleRow> scatter_rules() {
  return rows;
}

}  // namespace onnxport
