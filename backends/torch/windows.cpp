// SPDX-License-Identifier: Apache-2.0
// Operators that slide a window over signals, images and videos.
#include <limits>

#include "backends/torch/evaluator.hpp"

namespace onnxport::reference {
namespace {

using at::Tensor;
using Ints = std::vector<int64_t>;

/// A window's options for each axis that it slides over; pads name all begins, then all ends.
struct Window {
  Ints strides, pads, dilations;

  explicit Window(const Call& c) {
    const auto axes = static_cast<size_t>(c.in(0).dim() - 2);
    const auto integers_or = [&](const char* name, size_t count, int64_t fallback) {
      Ints values = c.integers(name);
      return values.empty() ? Ints(count, fallback) : values;
    };
    strides = integers_or("strides", axes, 1);
    pads = integers_or("pads", 2 * axes, 0);
    dilations = integers_or("dilations", axes, 1);
  }
  size_t axes() const { return strides.size(); }
};

/// Pads before and behind each axis, in the order in which ATen takes them: the last axis first.
Tensor bordered(const Tensor& x, const Ints& pads, double value) {
  const size_t axes = pads.size() / 2;
  Ints reversed;
  for (size_t i = axes; i-- > 0;) reversed.insert(reversed.end(), {pads[i], pads[i + axes]});
  return at::constant_pad_nd(x, reversed, value);
}

/// As TensorFlow pads: as many places as strides fit into the size, and the odd one behind (or before).
void pad_as_needed(const Call& c, Window& window) {
  const std::string how = c.text("auto_pad", "NOTSET");
  if (how == "NOTSET") return;
  for (size_t i = 0; i < window.axes(); ++i) {
    const auto axis = static_cast<int64_t>(i + 2);
    const int64_t size = c.in(0).size(axis), reach = window.dilations[i] * (c.in(1).size(axis) - 1) + 1;
    const int64_t rest = size % window.strides[i];
    const int64_t total = std::max<int64_t>(0, reach - (rest == 0 ? window.strides[i] : rest));
    const int64_t less = total / 2, more = total - less;
    window.pads[i] = how == "SAME_UPPER" ? less : more;
    window.pads[i + window.axes()] = how == "SAME_UPPER" ? more : less;
  }
}

Tensor bias_of(const Call& c) {
  return c.has(2) ? c.in(2) : Tensor();
}

Results conv(const Call& c) {
  Window window(c);
  pad_as_needed(c, window);
  const Ints zeros(window.axes(), 0);
  return {at::convolution(bordered(c.in(0), window.pads, 0), c.in(1), bias_of(c), window.strides, zeros,
                          window.dilations, false, zeros, c.integer("group", 1))};
}

/// Without pads, which then take away from the whole.
Results conv_transpose(const Call& c) {
  const Window window(c);
  const size_t axes = window.axes();
  const Ints zeros(axes, 0), further = c.integers("output_padding");
  Tensor y = at::convolution(c.in(0), c.in(1), Tensor(), window.strides, zeros, window.dilations, true, zeros,
                             c.integer("group", 1));
  for (size_t i = 0; i < axes; ++i) {
    const auto axis = static_cast<int64_t>(i + 2);
    const int64_t more = further.empty() ? 0 : further[i];
    if (more > 0) {
      Ints shape(y.sizes().begin(), y.sizes().end());
      shape[i + 2] = more;
      y = at::cat({y, at::zeros(shape, y.options())}, axis);
    }
    y = y.slice(axis, window.pads[i], y.size(axis) - window.pads[i + axes]);
  }
  if (c.has(2)) {
    Ints beside(axes + 1, 1);
    beside[0] = c.in(2).size(0);
    y = y + c.in(2).reshape(beside);
  }
  return {y};
}

/// What ATen's pools take: as wide a border on both sides of an axis, of at most half a window. A signal is an image of
/// one row.
struct Pool {
  Tensor x;
  Ints kernel, strides, pads, dilations;
  bool rounds_up, is_signal;
  bool has_border = false;  // of our own making

  /// `outside` fills a border that ATen does not make itself.
  Pool(const Call& c, const Tensor& of, double outside)
      : x(of), kernel(c.integers("kernel_shape")), rounds_up(c.integer("ceil_mode", 0) != 0), is_signal(of.dim() == 3) {
    const Window window(c);
    strides = window.strides;
    dilations = window.dilations;
    pads.assign(window.pads.begin(), window.pads.begin() + static_cast<std::ptrdiff_t>(window.axes()));
    for (size_t i = 0; i < window.axes(); ++i)
      has_border = has_border || pads[i] != window.pads[i + window.axes()] || 2 * pads[i] > kernel[i];
    if (has_border) {
      x = bordered(x, window.pads, outside);
      pads.assign(window.axes(), 0);
    }
    if (!is_signal) return;
    x = x.unsqueeze(2);
    for (Ints* sizes : {&kernel, &strides, &dilations}) sizes->insert(sizes->begin(), 1);
    pads.insert(pads.begin(), 0);
  }

  Tensor as_given(const Tensor& y) const { return is_signal ? y.squeeze(2) : y; }

  Tensor largest() const {
    return as_given(x.dim() == 5 ? at::max_pool3d(x, kernel, strides, pads, dilations, rounds_up)
                                 : at::max_pool2d(x, kernel, strides, pads, dilations, rounds_up));
  }
  Tensor mean(bool border_counts) const {
    return as_given(x.dim() == 5 ? at::avg_pool3d(x, kernel, strides, pads, rounds_up, border_counts)
                                 : at::avg_pool2d(x, kernel, strides, pads, rounds_up, border_counts));
  }
};

Results max_pool(const Call& c) {
  return {Pool(c, c.in(0), -std::numeric_limits<double>::infinity()).largest()};
}

/// A border that was made here and does not count is taken out by the mean of ones.
Results average_pool(const Call& c) {
  const bool border_counts = c.integer("count_include_pad", 0) != 0;
  const Pool pool(c, c.in(0), 0);
  const Tensor means = pool.mean(border_counts);
  if (border_counts || !pool.has_border) return {means};
  return {means / Pool(c, at::ones_like(c.in(0)), 0).mean(false)};
}

Ints spatial_axes(const Call& c) {
  Ints axes;
  for (int64_t i = 2; i < c.in(0).dim(); ++i) axes.push_back(i);
  return axes;
}

Results global_average_pool(const Call& c) {
  return {at::mean(c.in(0), spatial_axes(c), true)};
}

Results adaptive_average_pool(const Call& c) {
  const Ints size = c.integers("size");
  if (size.size() == 1) return {at::adaptive_avg_pool1d(c.in(0), size)};
  return {size.size() == 2 ? at::adaptive_avg_pool2d(c.in(0), size) : at::adaptive_avg_pool3d(c.in(0), size)};
}

}  // namespace

const Table& window_operator_table() {
  static const Table table{
      {"Conv", conv},
      {"ConvTranspose", conv_transpose},
      {"MaxPool", max_pool},
      {"AveragePool", average_pool},
      {"GlobalAveragePool", global_average_pool},
  };
  return table;
}

const Table& window_composite_table() {
  static const Table table{{"AdaptiveAveragePool", adaptive_average_pool}};
  return table;
}

}  // namespace onnxport::reference
