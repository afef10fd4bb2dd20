// SPDX-License-Identifier: Apache-2.0
// The lowering rules of operators that slide a window.
#include <algorithm>

#include "core/passes/rules.hpp"
#include "core/passes/sampling.hpp"

namespace onnxport {
namespace {

using ir::ValueId;
using Results = std::vector<ValueId>;
using Ints = std::vector<int64_t>;

/// The window is the weight's; files say it besides, for readers that look for it there.
Results convolution(Builder& b) {
  const ir::Node& node = b.node();
  ir::Attributes attributes = node.attributes;
  const ir::Shape& weight = b.shape(node.input(1));
  Ints kernel;
  for (size_t i = 2; i < weight.size(); ++i) kernel.push_back(weight[i].size());
  // At a stride of 1 what is missing does not depend on the size, and runtimes know no dilation beside auto_pad.
  const Ints strides = node.integers("strides"), dilations = node.integers("dilations");
  const auto above_one = [](const Ints& values) {
    return std::any_of(values.begin(), values.end(), [](int64_t value) { return value > 1; });
  };
  if (node.has("auto_pad") && !above_one(strides)) {
    Ints before, behind;
    for (size_t i = 0; i < kernel.size(); ++i) {
      const int64_t total = (dilations.empty() ? 1 : dilations[i]) * (kernel[i] - 1), half = total / 2;
      const bool upper = node.text("auto_pad", "") == "SAME_UPPER";
      before.push_back(upper ? half : total - half);
      behind.push_back(upper ? total - half : half);
    }
    before.insert(before.end(), behind.begin(), behind.end());
    attributes.erase("auto_pad");
    attributes["pads"] = std::move(before);
  }
  attributes["kernel_shape"] = std::move(kernel);
  return b.graph().add_node({"", node.op, node.scope, node.inputs, {}, std::move(attributes), ""});
}

/// f32[size, length]: row i is the mean over [⌊i·length/size⌋, ⌈(i + 1)·length/size⌉).
ValueId pooling_matrix(Builder& b, ValueId x, size_t axis, int64_t size) {
  const ValueId length = b.length(x, axis), to = b.integer(size);
  Ints rows, ends;
  for (int64_t i = 0; i < size; ++i) {
    rows.push_back(i);
    ends.push_back(i + 1);
  }
  const auto cut = [&](Ints at, int64_t up) {
    const ValueId scaled = b.op("Mul", {b.integers(std::move(at)), length});
    return b.unsqueeze(b.op("Div", {up == 0 ? scaled : b.op("Add", {scaled, b.integer(up)}), to}), {1});
  };
  const ValueId begin = cut(rows, 0), end = cut(ends, size - 1);
  const ValueId places = counted(b, length);
  const ValueId inside = b.op("And", {b.op("GreaterOrEqual", {places, begin}), b.op("Less", {places, end})});
  const ir::Attributes number{{"to", static_cast<int64_t>(b.dtype(x))}};
  return b.op("Div", {b.op("Cast", {inside}, number), b.op("Cast", {b.op("Sub", {end, begin})}, number)});
}

/// Windows of one size where all sizes are known and divide; else a product with a matrix of means along each axis.
Results adaptive_pool(Builder& b) {
  ValueId x = b.node().input(0);
  const Ints size = b.node().integers("size");
  const ir::Shape image = b.shape(x);
  if (std::all_of(size.begin(), size.end(), [](int64_t side) { return side == 1; }))
    return {b.op("GlobalAveragePool", {x})};
  Ints kernel;
  for (size_t i = 0; i < size.size(); ++i) {
    const ir::Dim& side = image[i + 2];
    if (side.is_static() && side.size() % size[i] == 0) kernel.push_back(side.size() / size[i]);
  }
  if (kernel.size() == size.size()) return {b.op("AveragePool", {x}, {{"kernel_shape", kernel}, {"strides", kernel}})};
  for (size_t i = 0; i < size.size(); ++i) x = multiplied_along(b, x, i + 2, pooling_matrix(b, x, i + 2, size[i]));
  return {x};
}

constexpr RuleRow rows[] = {
    {"", "Conv", every_opset, convolution},
    {"", "ConvTranspose", every_opset, convolution},
    {ir::composite_domain, "AdaptiveAveragePool", every_opset, adaptive_pool},
};

}  // namespace

std::span<const RuleRow> window_rules() {
  return rows;
}

}  // namespace onnxport
