// SPDX-License-Identifier: Apache-2.0
// Operators that slide a window over a signal f[batch, channels, length], an image f[batch, channels, height, width] or
// a video f[batch, channels, frames, height, width]: convolutions, their transposes, pools.
#include <fmt/format.h>

#include <algorithm>

#include "core/ir/builder.hpp"
#include "core/ir/inference.hpp"
#include "core/operators/areas.hpp"
#include "core/operators/sampling.hpp"

namespace onnxport::ir {
namespace {

using Ints = std::vector<int64_t>;

/// A window that slides over one or more axes, from a node's attributes.
struct Window {
  std::vector<int64_t> kernel, strides, pads, dilations;
  /// The places that the window covers from its first to its last along an axis.
  int64_t reach(size_t axis) const { return dilations[axis] * (kernel[axis] - 1) + 1; }
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
  return window;
}

/// The number of axes of a signal, an image or a video that a window slides over.
size_t sliding_axes(const Inference& x) {
  const size_t rank = x.shape(0).size();
  if (rank < 3 || rank > 5)
    refuse(fmt::format("input 0 is of rank {}; expected 3 (a signal), 4 (an image) or 5 (a video)", rank));
  return rank - 2;
}

/// How many places the window has along each axis: ⌊(size + pads - reach)/stride⌋ + 1. With `rounds_up` a last window
/// that is partly outside counts as well, unless it begins in the padding behind the axis.
Shape places(const Shape& image, const Window& window, bool rounds_up) {
  Shape shape;
  const size_t axes = window.kernel.size();
  for (size_t i = 0; i < axes; ++i) {
    const Dim& size = image[i + 2];
    const int64_t before = window.pads[i], behind = window.pads[i + axes], stride = window.strides[i];
    const Dim room = size + Dim(before + behind - window.reach(i));
    if (room.is_static() && room.size() < 0) {
      refuse(fmt::format("a window of {} does not fit into {} with its padding", window.reach(i), size.to_string()));
    }
    if (!rounds_up) {
      shape.push_back(floor_divide(room, stride) + Dim(1));
      continue;
    }
    const Dim count = floor_divide(room + Dim(stride - 1), stride) + Dim(1);
    if (count.is_static())
      shape.emplace_back(count.size() - ((count.size() - 1) * stride >= size.size() + before ? 1 : 0));
    else if (behind + stride > window.reach(i))
      shape.push_back(Dim::symbol(fmt::format("windows over {}", size.to_string())));
    else
      shape.push_back(count);
  }
  return shape;
}

std::vector<int64_t> kernel_of(const Inference& x) {
  const Shape& weight = x.shape(1);
  if (!element_count(weight)) refuse("the shape of its weight must be known");
  std::vector<int64_t> kernel;
  for (size_t i = 2; i < weight.size(); ++i) kernel.push_back(weight[i].size());
  return kernel;
}

/// ⌈size/stride⌉ places along each axis, whatever the kernel is.
Shape places_of_same(const Inference& x, const Window& window) {
  const std::string pad = x.node.text("auto_pad", "");
  if (pad != "SAME_UPPER" && pad != "SAME_LOWER")
    refuse("there is no auto_pad '" + pad + "'; known: SAME_UPPER, SAME_LOWER");
  if (x.node.has("pads")) refuse("has pads and auto_pad; give one of them");
  Shape shape;
  for (size_t i = 0; i < window.kernel.size(); ++i) {
    if (window.strides[i] > 1 && window.dilations[i] > 1) refuse("auto_pad takes strides or dilations, not both");
    shape.push_back(floor_divide(x.shape(0)[i + 2] + Dim(window.strides[i] - 1), window.strides[i]));
  }
  return shape;
}

void infer_conv(Inference& x) {
  sliding_axes(x);
  const Shape &image = x.shape(0), &weight = x.shape(1);
  require_rank(x, 1, image.size());
  if (dtype_of(x, 0) != dtype_of(x, 1)) refuse("image and weight have two element types; cast one");
  const Window window = window_of(x, kernel_of(x));
  const int64_t group = x.node.integer("group", 1), outputs = weight[0].size();
  if (group < 1 || outputs % group != 0)
    refuse(fmt::format("{} channels do not divide into {} groups", outputs, group));
  // A symbolic number of channels is left to the run time.
  if (image[1].is_static()) require_same(image[1], Dim(weight[1].size() * group), "the channels of the image");
  if (x.has(2)) require_same(x.shape(2).at(0), weight[0], "the bias");
  Shape shape = x.node.has("auto_pad") ? places_of_same(x, window) : places(image, window, false);
  shape.insert(shape.begin(), {image[0], weight[0]});
  set(x, dtype_of(x), std::move(shape));
}

/// Each entry is spread over a window: (size - 1)·stride + reach + output_padding - pads places along each axis.
void infer_conv_transpose(Inference& x) {
  const size_t axes = sliding_axes(x);
  const Shape &image = x.shape(0), &weight = x.shape(1);
  require_rank(x, 1, image.size());
  if (dtype_of(x, 0) != dtype_of(x, 1)) refuse("image and weight have two element types; cast one");
  const Window window = window_of(x, kernel_of(x));
  const std::vector<int64_t> further = attribute_of(x, "output_padding", axes, 0);
  const int64_t group = x.node.integer("group", 1), inputs = weight[0].size();
  if (group < 1 || inputs % group != 0) refuse(fmt::format("{} channels do not divide into {} groups", inputs, group));
  if (image[1].is_static()) require_same(image[1], weight[0], "the channels of the image");
  const Dim outputs(weight[1].size() * group);
  if (x.has(2)) require_same(x.shape(2).at(0), outputs, "the bias");
  Shape shape{image[0], outputs};
  for (size_t i = 0; i < axes; ++i) {
    if (further[i] < 0 || further[i] >= std::max(window.strides[i], window.dilations[i]))
      refuse(fmt::format("output_padding is {}; it must be below the stride or the dilation", further[i]));
    const int64_t rest = window.reach(i) + further[i] - window.pads[i] - window.pads[i + axes];
    const Dim size = (image[i + 2] - Dim(1)) * Dim(window.strides[i]) + Dim(rest);
    if (size.is_static() && size.size() < 1) refuse("nothing is left within its pads");
    shape.push_back(size);
  }
  set(x, dtype_of(x), std::move(shape));
}

void infer_pool(Inference& x) {
  const size_t axes = sliding_axes(x);
  if (!is_floating(dtype_of(x))) refuse("takes a floating-point tensor");
  const Window window = window_of(x, attribute_of(x, "kernel_shape", axes, 0));
  if (x.node.op == "AveragePool" && window.dilations != std::vector<int64_t>(axes, 1))
    refuse("an average over a dilated window is not supported");
  // Otherwise a window could lie in the padding alone.
  for (size_t i = 0; i < window.pads.size(); ++i) {
    if (window.pads[i] >= window.reach(i % axes)) refuse("pads must be smaller than the window");
  }
  const bool rounds_up = x.node.integer("ceil_mode", 0) != 0;
  for (size_t i = 0; rounds_up && i < axes; ++i) {
    if (window.pads[i] != window.pads[i + axes]) refuse("ceil_mode takes pads that are alike on both sides of an axis");
  }
  Shape shape = places(x.shape(0), window, rounds_up);
  shape.insert(shape.begin(), {x.shape(0)[0], x.shape(0)[1]});
  set(x, dtype_of(x), std::move(shape));
}

void infer_global_pool(Inference& x) {
  const size_t axes = sliding_axes(x);
  if (!is_floating(dtype_of(x))) refuse("takes a floating-point tensor");
  Shape shape(axes + 2, Dim(1));
  shape[0] = x.shape(0)[0];
  shape[1] = x.shape(0)[1];
  set(x, dtype_of(x), std::move(shape));
}

void infer_adaptive_pool(Inference& x) {
  const size_t axes = sliding_axes(x);
  if (!is_floating(dtype_of(x))) refuse("takes a floating-point tensor");
  require_attribute(x, "size");
  Shape shape{x.shape(0)[0], x.shape(0)[1]};
  for (int64_t size : attribute_of(x, "size", axes, 1)) {
    if (size < 1) refuse("its sizes must be above 0");
    shape.emplace_back(size);
  }
  set(x, dtype_of(x), std::move(shape));
}

// ------------------------------------------------------------------------------------------------- lowering

/// The window is the weight's; files say it besides, for readers that look for it there.
Results convolution(Builder& b) {
  const Node& node = b.node();
  Attributes attributes = node.attributes;
  const Shape& weight = b.shape(node.input(1));
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
  return b.keep(std::move(attributes));
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
  const Attributes number{{"to", static_cast<int64_t>(b.dtype(x))}};
  return b.op("Div", {b.op("Cast", {inside}, number), b.op("Cast", {b.op("Sub", {end, begin})}, number)});
}

/// Windows of one size where all sizes are known and divide; else a product with a matrix of means along each axis.
Results adaptive_pool(Builder& b) {
  ValueId x = b.node().input(0);
  const Ints size = b.node().integers("size");
  const Shape image = b.shape(x);
  if (std::all_of(size.begin(), size.end(), [](int64_t side) { return side == 1; }))
    return {b.op("GlobalAveragePool", {x})};
  Ints kernel;
  for (size_t i = 0; i < size.size(); ++i) {
    const Dim& side = image[i + 2];
    if (side.is_static() && side.size() % size[i] == 0) kernel.push_back(side.size() / size[i]);
  }
  if (kernel.size() == size.size()) return {b.op("AveragePool", {x}, {{"kernel_shape", kernel}, {"strides", kernel}})};
  for (size_t i = 0; i < size.size(); ++i) x = multiplied_along(b, x, i + 2, pooling_matrix(b, x, i + 2, size[i]));
  return {x};
}

}  // namespace

const std::vector<Operator>& window_operators() {
  using enum AttributeKind;
  static const char* const as_conv = "x as Conv's";
  static const Precision since_22{.wide_in_bf16_below = 22};
  static const AttributeSpec strides{"strides", integers, "1 …"}, dilations{"dilations", integers, "1 …"},
      group{"group", integer, "1"}, kernel{"kernel_shape", integers},
      its_kernel{"kernel_shape", integers, "the weight's"};
  static const std::vector<Operator> rows{
      {.name = "Conv",
       .inputs = {2, 3},
       .infer = infer_conv,
       .attributes = {strides,
                      {"pads", integers, "top, left, bottom, right; 0"},
                      {"auto_pad", text, "in place of pads: SAME_UPPER or SAME_LOWER"},
                      dilations,
                      group,
                      its_kernel},
       .lowering = {{convolution}},
       .precision = since_22,
       .documentation = {"x: f[batch, c, height, width], weight: f[n, c/group, kh, kw], [bias: f[n]]; the same of "
                         "signals f[batch, c, length] and of videos f[batch, c, frames, height, width]",
                         "each side is ⌊(size + pads - dilation·(kernel - 1) - 1)/stride⌋ + 1 long; with auto_pad "
                         "⌈size/stride⌉, the odd pad behind (UPPER) or before"}},
      {.name = "ConvTranspose",
       .inputs = {2, 3},
       .infer = infer_conv_transpose,
       .attributes = {strides,
                      {"pads", integers, "taken away; 0"},
                      {"output_padding", integers, "added behind; 0"},
                      dilations,
                      group,
                      its_kernel},
       .lowering = {{convolution}},
       .precision = since_22,
       .documentation = {"x as Conv's, weight: f[c, n/group, kh, kw], [bias: f[n]]",
                         "each side is (size - 1)·stride + dilation·(kernel - 1) + 1 + output_padding - pads long"}},
      {.name = "MaxPool",
       .infer = infer_pool,
       .attributes = {kernel,
                      strides,
                      {"pads", integers, "0"},
                      dilations,
                      {"ceil_mode", integer, "0; with equal pads on both sides"}},
       .precision = since_22,
       .documentation = {as_conv,
                         "sizes as Conv's; the padding never wins. ceil_mode counts a last window that is partly "
                         "outside, unless it begins behind the image"}},
      {.name = "AveragePool",
       .infer = infer_pool,
       .attributes = {kernel,
                      strides,
                      {"pads", integers, "0"},
                      {"dilations", integers, "1 …; nothing else is supported"},
                      {"ceil_mode", integer, "0; as MaxPool's"},
                      {"count_include_pad", integer, "0"}},
       .precision = since_22,
       .documentation = {as_conv, "what ceil_mode adds behind the padding never counts"}},
      {.name = "GlobalAveragePool",
       .infer = infer_global_pool,
       .precision = since_22,
       .documentation = {as_conv, "f[batch, c, 1, 1]"}},
      {.domain = composite_domain,
       .name = "AdaptiveAveragePool",
       .infer = infer_adaptive_pool,
       .attributes = {{"size", integers}},
       .lowering = {{adaptive_pool}},
       .precision = since_22,
       .documentation = {as_conv,
                         "f[batch, c, size...]: window i is [⌊i·length/size⌋, ⌈(i + 1)·length/size⌉), whatever the "
                         "length is"}},
  };
  return rows;
}

}  // namespace onnxport::ir
