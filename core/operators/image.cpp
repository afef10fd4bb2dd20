// SPDX-License-Identifier: Apache-2.0
// Operators on images, f[batch, channels, height, width], and convolutions over signals, f[batch, channels, length], as
// well.
#include <fmt/format.h>

#include <algorithm>

#include "core/ir/builder.hpp"
#include "core/ir/inference.hpp"
#include "core/operators/areas.hpp"

namespace onnxport::ir {
namespace {

constexpr size_t spatial = 2;  // axes of an image that a window slides over

/// A window that slides over one or more axes, from a node's attributes.
struct Window {
  std::vector<int64_t> kernel, strides, pads, dilations;
};

std::vector<int64_t> attribute_of(const Inference& x, const char* name, size_t count, int64_t fallback) {
  std::vector<int64_t> values = x.node.integers(name);
  if (values.empty()) values.assign(count, fallback);
  if (values.size() != count)
    refuse(fmt::format("its attribute '{}' has {} entries, not {}", name, values.size(), count));
  return values;
}

Window window_of(const Inference& x, std::vector<int64_t> kernel) {
  const size_t axes = kernel.size();
  Window window{std::move(kernel), attribute_of(x, "strides", axes, 1), attribute_of(x, "pads", 2 * axes, 0),
                attribute_of(x, "dilations", axes, 1)};
  for (const auto* sizes : {&window.kernel, &window.strides, &window.dilations}) {
    if (std::any_of(sizes->begin(), sizes->end(), [](int64_t size) { return size < 1; }))
      refuse("kernel, strides and dilations must be above 0");
  }
  if (std::any_of(window.pads.begin(), window.pads.end(), [](int64_t pad) { return pad < 0; }))
    refuse("pads must not be below 0");
  if (x.node.integer("ceil_mode", 0) != 0) refuse("ceil_mode is not supported; pad the input instead");
  return window;
}

/// How many places the window has: ⌊(size + pads - dilation·(kernel - 1) - 1) / stride⌋ + 1 along each axis.
Shape places(const Shape& image, const Window& window) {
  Shape shape;
  const size_t axes = window.kernel.size();
  for (size_t i = 0; i < axes; ++i) {
    const int64_t reach = window.dilations[i] * (window.kernel[i] - 1) + 1;
    const Dim room = image[i + 2] + Dim(window.pads[i] + window.pads[i + axes] - reach);
    if (room.is_static() && room.size() < 0)
      refuse(fmt::format("a window of {} does not fit into {} with its padding", reach, image[i + 2].to_string()));
    shape.push_back(floor_divide(room, window.strides[i]) + Dim(1));
  }
  return shape;
}

void infer_conv(Inference& x) {
  const Shape &image = x.shape(0), &weight = x.shape(1);
  if (image.size() != 3 && image.size() != 4) refuse("input 0 must be of rank 3, a signal, or of rank 4, an image");
  require_rank(x, 1, image.size());
  if (dtype_of(x, 0) != dtype_of(x, 1)) refuse("image and weight have two element types; cast one");
  const int64_t group = x.node.integer("group", 1);
  if (!element_count(weight)) refuse("the shape of its weight must be known");
  const std::optional<int64_t> outputs = weight[0].maybe_size(), inputs = weight[1].maybe_size();
  std::vector<int64_t> kernel;
  for (size_t i = 2; i < weight.size(); ++i) kernel.push_back(weight[i].size());
  if (group < 1 || *outputs % group != 0)
    refuse(fmt::format("{} channels do not divide into {} groups", *outputs, group));
  // A symbolic number of channels is left to the run time.
  if (image[1].is_static()) require_same(image[1], Dim(*inputs * group), "the channels of the image");
  if (x.has(2)) require_same(x.shape(2).at(0), weight[0], "the bias");
  Shape shape = places(image, window_of(x, kernel));
  shape.insert(shape.begin(), {image[0], weight[0]});
  set(x, dtype_of(x), std::move(shape));
}

void infer_pool(Inference& x) {
  require_rank(x, 0, 4);
  if (!is_floating(dtype_of(x))) refuse("takes a floating-point tensor");
  const Shape& image = x.shape(0);
  const Window window = window_of(x, attribute_of(x, "kernel_shape", spatial, 0));
  if (x.node.op == "AveragePool" && window.dilations != std::vector<int64_t>(spatial, 1))
    refuse("an average over a dilated window is not supported");
  // Otherwise a window could lie in the padding alone.
  for (size_t i = 0; i < window.pads.size(); ++i) {
    if (window.pads[i] >= window.dilations[i % spatial] * (window.kernel[i % spatial] - 1) + 1)
      refuse("pads must be smaller than the window");
  }
  const Shape area = places(image, window);
  set(x, dtype_of(x), {image[0], image[1], area[0], area[1]});
}

void infer_global_pool(Inference& x) {
  require_rank(x, 0, 4);
  if (!is_floating(dtype_of(x))) refuse("takes a floating-point tensor");
  set(x, dtype_of(x), {x.shape(0)[0], x.shape(0)[1], Dim(1), Dim(1)});
}

/// The lengths that an i64[count] input holds, as far as they are known.
Shape lengths_of(const Inference& x, size_t input, size_t count) {
  require_rank(x, input, 1);
  require_same(x.shape(input)[0], Dim(static_cast<int64_t>(count)), "the number of its sizes");
  if (x.in(input).contents) return *x.in(input).contents;
  Shape unknown;
  for (size_t i = 0; i < count; ++i) unknown.push_back(Dim::symbol(fmt::format("size {} of {}", i, x.node.scope)));
  return unknown;
}

void infer_interpolate(Inference& x) {
  require_rank(x, 0, 4);
  const std::string mode = x.node.text("mode", "nearest");
  if (mode != "nearest" && mode != "bilinear" && mode != "bicubic") refuse("there is no interpolation '" + mode + "'");
  const Shape size = lengths_of(x, 1, spatial);
  set(x, dtype_of(x), {x.shape(0)[0], x.shape(0)[1], size[0], size[1]});
}

/// ONNX's operator, which lowering yields: x, roi (absent), scales (absent), sizes of `axes`, or of all axes.
void infer_resize(Inference& x) {
  if (!x.has(3)) refuse("needs sizes");
  Shape shape = x.shape(0);
  std::vector<int64_t> axes = x.node.integers("axes");
  for (size_t i = 0; axes.size() < shape.size() && !x.node.has("axes"); ++i) axes.push_back(static_cast<int64_t>(i));
  const Shape sizes = lengths_of(x, 3, axes.size());
  for (size_t i = 0; i < axes.size(); ++i) shape[axis_index(axes[i], shape.size())] = sizes[i];
  set(x, dtype_of(x), std::move(shape));
}

// ------------------------------------------------------------------------------------------------- lowering

/// The window is the weight's; files say it besides, for readers that look for it there.
Results convolution(Builder& b) {
  Attributes attributes = b.node().attributes;
  const Shape& weight = b.shape(b.node().input(1));
  std::vector<int64_t> kernel;
  for (size_t i = 2; i < weight.size(); ++i) kernel.push_back(weight[i].size());
  attributes["kernel_shape"] = std::move(kernel);
  return b.keep(std::move(attributes));
}

/// Resize of the last two axes as torch.nn.functional.interpolate places the samples; from opset 18 it takes sizes of
/// these axes alone.
Results interpolate(Builder& b) {
  const ValueId x = b.node().input(0), size = b.node().input(1);
  const std::string mode = b.node().text("mode", "nearest");
  Attributes attributes{{"mode", std::string("nearest")}};
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
    return {b.op("Resize", {x, absent, absent, size}, attributes)};
  }
  const ValueId sizes = b.op("Concat", {b.length(x, 0), b.length(x, 1), size}, {{"axis", int64_t{0}}});
  return {b.op("Resize", {x, absent, absent, sizes}, attributes)};
}

}  // namespace

const std::vector<Operator>& image_operators() {
  using enum AttributeKind;
  static const char* const image = "x: f[batch, c, height, width]";
  static const std::vector<Operator> rows{
      {.name = "Conv",
       .inputs = {2, 3},
       .infer = infer_conv,
       .attributes = {{"strides", integers, "1, 1"},
                      {"pads", integers, "top, left, bottom, right; 0"},
                      {"dilations", integers, "1, 1"},
                      {"group", integer, "1"},
                      {"kernel_shape", integers, "the weight's"}},
       .lowering = {{convolution}},
       .documentation = {"x: f[batch, c, height, width], weight: f[n, c/group, kh, kw], [bias: f[n]]; or a signal: "
                         "f[batch, c, length], f[n, c/group, k]",
                         "each side is ⌊(size + pads - dilation·(kernel - 1) - 1)/stride⌋ + 1 long"}},
      {.name = "MaxPool",
       .infer = infer_pool,
       .attributes = {{"kernel_shape", integers},
                      {"strides", integers},
                      {"pads", integers},
                      {"dilations", integers},
                      {"ceil_mode", integer, "0; nothing else is supported"}},
       .documentation = {image, "sizes as Conv's; the padding never wins"}},
      {.name = "AveragePool",
       .infer = infer_pool,
       .attributes = {{"kernel_shape", integers},
                      {"strides", integers},
                      {"pads", integers},
                      {"dilations", integers, "1, 1; nothing else is supported"},
                      {"ceil_mode", integer, "0; nothing else is supported"},
                      {"count_include_pad", integer, "0"}},
       .documentation = {image}},
      {.name = "GlobalAveragePool", .infer = infer_global_pool, .documentation = {image, "f[batch, c, 1, 1]"}},
      {.domain = composite_domain,
       .name = "Interpolate",
       .inputs = {2},
       .infer = infer_interpolate,
       .attributes = {{"mode", text, "nearest, bilinear or bicubic; nearest"}, {"align_corners", integer, "0"}},
       .lowering = {{interpolate}},
       .documentation = {"x: f[batch, c, height, width], size: i64[2]",
                         "resampled as torch.nn.functional.interpolate does it, bicubic with a = -0.75; at the "
                         "image's own size nothing changes"}},
      {.name = "Resize",
       .inputs = {1, 4},
       .infer = infer_resize,
       .attributes = {{"mode", text},
                      {"coordinate_transformation_mode", text},
                      {"nearest_mode", text},
                      {"cubic_coeff_a", real},
                      {"axes", integers},
                      {"antialias", integer},
                      {"exclude_outside", integer},
                      {"extrapolation_value", real},
                      {"keep_aspect_ratio_policy", text}},
       .documentation = {.inputs = "x, roi, scales, sizes", .made_from = "Interpolate"}},
  };
  return rows;
}

}  // namespace onnxport::ir
