// SPDX-License-Identifier: Apache-2.0
// The vocabulary of models that see and hear: images are f[batch, channels, height, width], signals
// f[batch, channels, length], and tokens made from either f[batch, n, width].
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <onnxport/onnx_config.hpp>

namespace onnxport::sdk {

/// Height and width: of an image, a kernel, a stride.
struct Extent {
  int64_t height, width;
  Extent(int64_t side) : height(side), width(side) {}       // NOLINT: a number is a square
  Extent(int side) : Extent(static_cast<int64_t>(side)) {}  // NOLINT
  Extent(int64_t rows, int64_t columns) : height(rows), width(columns) {}
  int64_t area() const { return height * width; }
};

/// A field that holds one number for both sides, or [height, width].
inline Extent extent(const Config& c, std::string_view key, int64_t fallback) {
  if (c.entries(key).value_or(0) == 0) return c.size(key, fallback);
  const std::vector<int64_t> sides = c.integers(key);
  if (sides.size() != 2 || sides[0] < 1 || sides[1] < 1) {
    throw Error(ONNXPORT_CONFIG, "config field '" + std::string(key) +
                                     "' is a list of another form: expected [height, width], both above 0");
  }
  return {sides[0], sides[1]};
}

/// f32[batch, num_channels, height, width]. Source: ViTOnnxConfig and the other image models', transformers 4.30.
inline TensorSpec pixel_values() {
  return input::pixels("pixel_values", {axis::batch, axis::num_channels, axis::height, axis::width});
}

// -------------------------------------------------------------------------------- convolutions and pools

struct ConvOptions {
  int64_t out;
  Extent kernel = 1;
  Extent stride = 1;
  Extent padding = 0;  ///< on both sides
  Extent dilation = 1;
  int64_t groups = 1;
  bool bias = true;
  int64_t in = 0;  ///< 0: as many channels as x is known to have
};
/// -> f[batch, out, …, …]. Weights: weight f[out, in/groups, kernel], bias f[out]. Source: torch.nn.Conv2d.
inline Value conv2d(const Scope& scope, const Value& x, const ConvOptions& options) {
  const int64_t in = options.in > 0 ? options.in : x.fixed(1);
  const auto pair = [](const Extent& e) { return std::vector<int64_t>{e.height, e.width}; };
  const Extent& pad = options.padding;
  std::vector<Value> inputs{
      x, scope.weight("weight", {options.out, in / options.groups, options.kernel.height, options.kernel.width})};
  if (options.bias) inputs.push_back(scope.weight("bias", {options.out}));
  return scope
      .op("Conv", inputs,
          {{"strides", pair(options.stride)},
           {"pads", {pad.height, pad.width, pad.height, pad.width}},
           {"dilations", pair(options.dilation)},
           {"group", options.groups}})
      .in(scope.parent());
}

struct Conv1dOptions {
  int64_t out;
  int64_t kernel = 1, stride = 1;
  int64_t padding = 0;  ///< on both sides
  int64_t dilation = 1, groups = 1;
  bool bias = true;
  int64_t in = 0;  ///< 0: as many channels as x is known to have
};
/// A signal f[batch, in, length] -> f[batch, out, …]. Weights: weight f[out, in/groups, kernel], bias f[out].
/// Source: torch.nn.Conv1d.
inline Value conv1d(const Scope& scope, const Value& x, const Conv1dOptions& options) {
  const int64_t in = options.in > 0 ? options.in : x.fixed(1);
  std::vector<Value> inputs{x, scope.weight("weight", {options.out, in / options.groups, options.kernel})};
  if (options.bias) inputs.push_back(scope.weight("bias", {options.out}));
  return scope
      .op("Conv", inputs,
          {{"strides", {options.stride}},
           {"pads", {options.padding, options.padding}},
           {"dilations", {options.dilation}},
           {"group", options.groups}})
      .in(scope.parent());
}

/// By the statistics of the training. Weights: weight, bias, running_mean, running_var f[channels].
/// Source: torch.nn.BatchNorm2d in evaluation.
inline Value batch_norm(const Scope& scope, const Value& x, double epsilon = 1e-5) {
  const int64_t n = x.fixed(1);
  scope.graph().unused("*" + (scope / "num_batches_tracked").path());
  std::vector<Value> inputs{x};
  for (const char* name : {"weight", "bias", "running_mean", "running_var"}) inputs.push_back(scope.weight(name, {n}));
  return scope.composite("BatchNorm", inputs, {{"epsilon", epsilon}}).in(scope.parent());
}

struct PoolOptions {
  Extent kernel;
  Extent stride;
  Extent padding = 0;  ///< on both sides
};
namespace detail {
inline std::vector<Attribute> window(const PoolOptions& options) {
  const Extent& pad = options.padding;
  return {{"kernel_shape", {options.kernel.height, options.kernel.width}},
          {"strides", {options.stride.height, options.stride.width}},
          {"pads", {pad.height, pad.width, pad.height, pad.width}}};
}
}  // namespace detail
/// Source: torch.nn.MaxPool2d.
inline Value max_pool(const Value& x, const PoolOptions& options) {
  return x.graph().op("MaxPool", {x}, detail::window(options));
}
/// The padding counts. Source: torch.nn.AvgPool2d.
inline Value average_pool(const Value& x, const PoolOptions& options) {
  std::vector<Attribute> attributes = detail::window(options);
  attributes.emplace_back("count_include_pad", true);
  return x.graph().op("AveragePool", {x}, attributes);
}
/// f[batch, channels, height, width] -> f[batch, channels, 1, 1]. Source: torch.nn.AdaptiveAvgPool2d(1).
inline Value global_average_pool(const Value& x) {
  return x.graph().op("GlobalAveragePool", {x});
}
/// f[batch, channels, height, width] -> f[batch, channels]
inline Value mean_of_image(const Value& x) {
  return x.graph().op("ReduceMean", {x}, {{"axes", {2, 3}}, {"keepdims", false}});
}

// ----------------------------------------------------------------------------------- layouts and sizes

/// f[batch, channels, height, width] -> f[batch, height, width, channels]
inline Value channels_last(const Value& x) {
  return transpose(x, {0, 2, 3, 1});
}
/// And back.
inline Value channels_first(const Value& x) {
  return transpose(x, {0, 3, 1, 2});
}
/// f[batch, n, height, width] -> tokens f[batch, height·width, n], row by row.
inline Value tokens_of(const Value& image) {
  return transpose(reshape(image, {0, image.fixed(1), -1}), {0, 2, 1});
}
/// Tokens f[1, height·width, n] -> f[1, n, height, width].
inline Value image_of(const Value& tokens, const Extent& grid) {
  return reshape(transpose(tokens, {0, 2, 1}), {1, tokens.fixed(2), grid.height, grid.width});
}
/// f[1, k, n] before the tokens of every image: f[batch, m, n] -> f[batch, k + m, n].
inline Value prepend(const std::vector<Value>& firsts, const Value& tokens) {
  Graph& g = tokens.graph();
  const Value one_each = concat({shape_of(tokens, 0, 1), g.integers({1, 1})}, 0);
  std::vector<Value> parts;
  for (const Value& first : firsts) parts.push_back(g.op("Expand", {first, one_each}));
  parts.push_back(tokens);
  return concat(parts, 1);
}

enum class Interpolation { nearest, bilinear, bicubic };
/// Resamples to the size i64[2]; at the image's own size it changes nothing. Samples are the centres of pixels.
/// Source: torch.nn.functional.interpolate(size, align_corners=False).
inline Value interpolate(const Value& x, const Value& size, Interpolation how) {
  static constexpr const char* names[] = {"nearest", "bilinear", "bicubic"};
  return x.graph().composite("Interpolate", {x, size}, {{"mode", names[static_cast<size_t>(how)]}});
}

}  // namespace onnxport::sdk
