// SPDX-License-Identifier: Apache-2.0
// The lowering rules of operators on images.
#include "core/passes/rules.hpp"

namespace onnxport {
namespace {

using ir::ValueId;
using Results = std::vector<ValueId>;

/// A normalisation that could not be folded into a convolution before it.
Results batch_norm(Builder& b) {
  return {b.op("BatchNormalization", b.node().inputs, {{"epsilon", b.node().real("epsilon", 1e-5)}})};
}

/// Resize of the last two axes as torch.nn.functional.interpolate places the samples; from opset 18 it takes sizes of
/// these axes alone.
Results interpolate(Builder& b) {
  const ValueId x = b.node().input(0), size = b.node().input(1);
  const std::string mode = b.node().text("mode", "nearest");
  ir::Attributes attributes{{"mode", std::string("nearest")}};
  if (mode == "nearest") {
    attributes["coordinate_transformation_mode"] = std::string("asymmetric");
    attributes["nearest_mode"] = std::string("floor");
  } else {
    const bool corners = b.node().integer("align_corners", 0) != 0;
    attributes["mode"] = std::string(mode == "bicubic" ? "cubic" : "linear");
    attributes["coordinate_transformation_mode"] = std::string(corners ? "align_corners" : "half_pixel");
    if (mode == "bicubic") attributes["cubic_coeff_a"] = -0.75;
  }
  if (b.opset() >= 18) {
    attributes["axes"] = std::vector<int64_t>{2, 3};
    return {b.op("Resize", {x, ir::absent, ir::absent, size}, attributes)};
  }
  const ValueId sizes = b.op("Concat", {b.length(x, 0), b.length(x, 1), size}, {{"axis", int64_t{0}}});
  return {b.op("Resize", {x, ir::absent, ir::absent, sizes}, attributes)};
}

/// The window is the weight's; files say it besides, for readers that look for it there.
Results convolution(Builder& b) {
  ir::Attributes attributes = b.node().attributes;
  const ir::Shape& weight = b.shape(b.node().input(1));
  std::vector<int64_t> kernel;
  for (size_t i = 2; i < weight.size(); ++i) kernel.push_back(weight[i].size());
  attributes["kernel_shape"] = std::move(kernel);
  return b.graph().add_node({"", "Conv", b.node().scope, b.node().inputs, {}, std::move(attributes), ""});
}

constexpr RuleRow rows[] = {
    {"", "Conv", every_opset, convolution},
    {ir::composite_domain, "BatchNorm", every_opset, batch_norm},
    {ir::composite_domain, "Interpolate", every_opset, interpolate},
};

}  // namespace

std::span<const RuleRow> image_rules() {
  return rows;
}

}  // namespace onnxport
