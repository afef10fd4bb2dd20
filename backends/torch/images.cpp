// SPDX-License-Identifier: Apache-2.0
// Operators on images, f[batch, channels, height, width].
#include <limits>

#include "backends/torch/evaluator.hpp"

namespace onnxport::reference {
namespace {

using at::Tensor;
using Ints = std::vector<int64_t>;

Ints integers_or(const Call& c, const char* name, const Ints& fallback) {
  Ints values = c.integers(name);
  return values.empty() ? fallback : values;
}

/// The image or signal with a border of `value`; ATen pads both sides of an axis alike, ONNX each by its own width, and
/// names the last axis first.
Tensor padded(const Call& c, double value) {
  const auto axes = static_cast<size_t>(c.in(0).dim() - 2);
  const Ints pads = integers_or(c, "pads", Ints(2 * axes, 0));  // all begins, then all ends
  Ints reversed;
  for (size_t i = axes; i-- > 0;) reversed.insert(reversed.end(), {pads[i], pads[i + axes]});
  return at::constant_pad_nd(c.in(0), reversed, value);
}

Results conv(const Call& c) {
  const Ints ones(static_cast<size_t>(c.in(0).dim() - 2), 1), zeros(ones.size(), 0);
  return {at::convolution(padded(c, 0), c.in(1), c.has(2) ? c.in(2) : Tensor(), integers_or(c, "strides", ones), zeros,
                          integers_or(c, "dilations", ones), false, zeros, c.integer("group", 1))};
}

Results max_pool(const Call& c) {
  return {at::max_pool2d(padded(c, -std::numeric_limits<double>::infinity()), c.integers("kernel_shape"),
                         integers_or(c, "strides", {1, 1}), {0, 0}, integers_or(c, "dilations", {1, 1}))};
}

/// Where the border does not count, the sum is divided by what lies inside the image.
Results average_pool(const Call& c) {
  const Ints kernel = c.integers("kernel_shape"), strides = integers_or(c, "strides", {1, 1});
  const Tensor means = at::avg_pool2d(padded(c, 0), kernel, strides);
  if (c.integer("count_include_pad", 0) != 0) return {means};
  const std::vector<Tensor> ones{at::ones_like(c.in(0))};
  return {means / at::avg_pool2d(padded({c.node, ones, c.bodies}, 0), kernel, strides)};
}

Results global_average_pool(const Call& c) {
  return {at::mean(c.in(0), {2, 3}, true)};
}

Results batch_norm(const Call& c) {
  return {at::batch_norm(c.in(0), c.in(1), c.in(2), c.in(3), c.in(4), false, 0.0, c.real("epsilon", 1e-5), false)};
}

Results interpolate(const Call& c) {
  const Tensor size = c.in(1).to(at::kLong).contiguous();
  const Ints to{size.data_ptr<int64_t>()[0], size.data_ptr<int64_t>()[1]};
  const std::string mode = c.node.text("mode", "nearest");
  const bool align_corners = c.integer("align_corners", 0) != 0;
  if (mode == "bicubic") return {at::upsample_bicubic2d(c.in(0), to, align_corners)};
  if (mode == "bilinear") return {at::upsample_bilinear2d(c.in(0), to, align_corners)};
  return {at::upsample_nearest2d(c.in(0), to)};
}

}  // namespace

const Table& image_operator_table() {
  static const Table table{
      {"Conv", conv},
      {"MaxPool", max_pool},
      {"AveragePool", average_pool},
      {"GlobalAveragePool", global_average_pool},
  };
  return table;
}

const Table& image_composite_table() {
  static const Table table{
      {"BatchNorm", batch_norm},
      {"Interpolate", interpolate},
  };
  return table;
}

}  // namespace onnxport::reference
