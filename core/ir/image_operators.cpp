// SPDX-License-Identifier: Apache-2.0
// Operators on images, f[batch, channels, height, width], and convolutions over signals, f[batch, channels, length], as
// well.
#include <algorithm>

#include "core/ir/inference.hpp"

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

void infer_batch_norm(Inference& x) {
  if (x.shape(0).size() < 2) refuse("its input has no axis of channels");
  for (size_t i = 1; i < 5; ++i) {
    require_rank(x, i, 1);
    require_same(x.shape(i)[0], x.shape(0)[1], "the channels");
  }
  set(x, dtype_of(x), x.shape(0));
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

}  // namespace

const std::vector<Operator>& image_operators() {
  using enum AttributeKind;
  static const std::vector<AttributeSpec> conv{{"kernel_shape", integers},
                                               {"strides", integers},
                                               {"pads", integers},
                                               {"dilations", integers},
                                               {"group", integer}};
  static const std::vector<AttributeSpec> max_pool{{"kernel_shape", integers},
                                                   {"strides", integers},
                                                   {"pads", integers},
                                                   {"dilations", integers},
                                                   {"ceil_mode", integer}};
  static const std::vector<AttributeSpec> average_pool{{"kernel_shape", integers}, {"strides", integers},
                                                       {"pads", integers},         {"dilations", integers},
                                                       {"ceil_mode", integer},     {"count_include_pad", integer}};
  static const std::vector<AttributeSpec> resize{{"mode", text},
                                                 {"coordinate_transformation_mode", text},
                                                 {"nearest_mode", text},
                                                 {"cubic_coeff_a", real},
                                                 {"axes", integers},
                                                 {"antialias", integer},
                                                 {"exclude_outside", integer},
                                                 {"extrapolation_value", real},
                                                 {"keep_aspect_ratio_policy", text}};
  static const std::vector<Operator> rows{
      {"", "Conv", 2, 3, 1, infer_conv, conv},
      {"", "MaxPool", 1, 1, 1, infer_pool, max_pool},
      {"", "AveragePool", 1, 1, 1, infer_pool, average_pool},
      {"", "GlobalAveragePool", 1, 1, 1, infer_global_pool},
      {"", "BatchNormalization", 5, 5, 1, infer_batch_norm, {{"epsilon", real}}},
      {"", "Resize", 1, 4, 1, infer_resize, resize},
      {composite_domain, "BatchNorm", 5, 5, 1, infer_batch_norm, {{"epsilon", real}}},
      {composite_domain, "Interpolate", 2, 2, 1, infer_interpolate, {{"mode", text}, {"align_corners", integer}}},
  };
  return rows;
}

}  // namespace onnxport::ir
