// SPDX-License-Identifier: Apache-2.0
#include "core/operators/resampling_lowering.hpp"

#include "core/operators/sampling.hpp"

namespace onnxport::ir {
namespace {

using Ints = std::vector<int64_t>;

/// The factor of Keys' cubic convolution: torch's for samples, and Pillow's, which torch takes with antialias.
double cubic_factor(const Node& node) {
  return node.real("cubic_factor", node.integer("antialias", 0) != 0 ? -0.5 : -0.75);
}

/// The attributes of Resize that place the samples as the composite says.
Attributes placement(const Node& node) {
  const std::string mode = node.text("mode", "nearest");
  const auto text = [](const char* value) { return Attribute(std::string(value)); };
  Attributes attributes;
  attributes["coordinate_transformation_mode"] =
      node.text("coordinates", mode == "nearest" ? "asymmetric" : "half_pixel");
  if (mode == "nearest") {
    const std::string rounding = node.text("rounding", "floor");
    attributes["mode"] = text("nearest");
    attributes["nearest_mode"] = rounding == "half_down" ? text("round_prefer_floor")
                                 : rounding == "half_up" ? text("round_prefer_ceil")
                                                         : Attribute(rounding);
  } else {
    attributes["mode"] = text(mode == "bicubic" ? "cubic" : "linear");
    if (mode == "bicubic") attributes["cubic_coeff_a"] = cubic_factor(node);
  }
  return attributes;
}

/// f32[to, from]: what each pixel of an axis counts for each sample, as Pillow has it: a filter that is widened where
/// samples lie further apart than pixels, cut off at the borders, and scaled to a sum of 1.
ValueId filter_matrix(Builder& b, ValueId from, ValueId to) {
  const auto number = [&](double value) { return b.scalar(value, DType::f32); };
  const auto real = [&](ValueId x) { return b.op("Cast", {x}, {{"to", static_cast<int64_t>(DType::f32)}}); };
  const auto centres = [&](ValueId length) { return b.op("Add", {real(counted(b, length)), number(0.5)}); };
  const ValueId scale = b.op("Div", {real(from), real(to)});
  const ValueId distance = b.op("Sub", {centres(from), b.unsqueeze(b.op("Mul", {centres(to), scale}), {1})});
  const ValueId d = b.op("Abs", {b.op("Div", {distance, b.op("Max", {scale, number(1)})})});
  const ValueId weights = b.node().text("mode", "") == "bilinear" ? b.op("Relu", {b.op("Sub", {number(1), d})})
                                                                  : cubic_filter(b, d, cubic_factor(b.node()));
  const ValueId sum = b.op("ReduceSum", {weights}, {{"axes", Ints{1}}, {"keepdims", int64_t{1}}});
  return b.op("Div", {weights, sum});
}

/// Entry i of an i64[n] as i64[1].
ValueId entry(Builder& b, ValueId list, size_t i) {
  if (const auto& contents = b.value(list).contents; contents && (*contents)[i].is_static())
    return b.integers({(*contents)[i].size()});
  const auto at = static_cast<int64_t>(i);
  return b.op("Slice", {list}, {{"starts", Ints{at}}, {"ends", Ints{at + 1}}, {"axes", Ints{0}}, {"steps", Ints{1}}});
}

/// Scales of batch and channels, which stay, before those of the others.
ValueId of_all_axes(Builder& b, ValueId scales) {
  std::vector<float> all{1, 1};
  const auto known = b.value(scales).constant;
  if (known != nullptr) all.insert(all.end(), known->as<float>().begin(), known->as<float>().end());
  const auto count = static_cast<int64_t>(all.size());
  const ValueId constant = b.graph().add_constant(Tensor::of<float>(DType::f32, {count}, all));
  return known != nullptr ? constant : b.op("Concat", {constant, scales}, {{"axis", int64_t{0}}});
}

}  // namespace

Results interpolate(Builder& b) {
  const Node& node = b.node();
  ValueId x = node.input(0), size = node.input(1), scales = node.input(2);
  const size_t rank = b.shape(x).size();
  const bool antialias = node.integer("antialias", 0) != 0, by_axes = b.opset() >= 18;
  if (antialias && !by_axes) {
    for (size_t axis = 2; axis < rank; ++axis) {
      const ValueId weights = filter_matrix(b, b.length(x, axis), entry(b, size, axis - 2));
      const ValueId matrix = b.op("Cast", {weights}, {{"to", static_cast<int64_t>(b.dtype(x))}});
      x = multiplied_along(b, x, axis, matrix);
    }
    return {x};
  }
  Attributes attributes = placement(node);
  if (antialias) {
    attributes["antialias"] = int64_t{1};
    attributes["exclude_outside"] = int64_t{1};
  }
  // ONNX Runtime resamples in the layout of its convolutions only by known factors that name no axes.
  const bool known = size == absent && b.value(scales).constant != nullptr;
  if (by_axes && !known) attributes["axes"] = rank == 3 ? Ints{2} : Ints{2, 3};
  if (size != absent) {
    if (!by_axes) size = b.op("Concat", {b.length(x, 0), b.length(x, 1), size}, {{"axis", int64_t{0}}});
    return {b.op("Resize", {x, absent, absent, size}, attributes)};
  }
  if (!by_axes || known) scales = of_all_axes(b, scales);
  return {b.op("Resize", {x, absent, scales}, attributes)};
}

}  // namespace onnxport::ir
