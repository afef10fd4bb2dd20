// SPDX-License-Identifier: Apache-2.0
// Layers that slide a window: convolutions over signals f[batch, channels, length], images f[batch, channels, height,
// width] and videos f[batch, channels, frames, height, width], their transposes, and pools.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <onnxport/operations.hpp>

namespace onnxport::sdk {

/// Height and width: of an image, a kernel, a stride.
struct Extent {
  int64_t height, width;
  Extent(int64_t side) : height(side), width(side) {}       // NOLINT: a number is a square
  Extent(int side) : Extent(static_cast<int64_t>(side)) {}  // NOLINT
  Extent(int64_t rows, int64_t columns) : height(rows), width(columns) {}
  int64_t area() const { return height * width; }
};

namespace detail {

inline std::vector<int64_t> sides(const Extent& extent) {
  return {extent.height, extent.width};
}
/// ONNX's order: all that stands before, then all that stands behind.
inline std::vector<int64_t> pads(const Extent& before, const Extent& behind) {
  return {before.height, before.width, behind.height, behind.width};
}

/// The inputs of a convolution: x, the weight (the module's unless one is given), the bias.
struct Filter {
  std::vector<int64_t> shape;
  Value weight{};
  int64_t biases = 0;  // 0: none
};
inline std::vector<Value> filtered(const Scope& scope, const Operand& x, const Filter& filter) {
  std::vector<Value> inputs{x, filter.weight ? filter.weight : scope.weight("weight", filter.shape)};
  if (filter.biases > 0) inputs.push_back(scope.weight("bias", {filter.biases}));
  return inputs;
}

}  // namespace detail

// ---------------------------------------------------------------------------------------------- weights

/// A weight that is stored as a direction and a length for each entry of an axis: v · g / ‖v‖ -> f[shape].
/// Weights: weight_v f[shape], weight_g f[1, ..., shape[axis], ..., 1], or as parametrizations.weight.original1 and
/// original0. Source: torch.nn.utils.weight_norm and torch.nn.utils.parametrizations.weight_norm.
inline Value weight_norm(const Scope& scope, const std::vector<int64_t>& shape, int64_t axis = 0) {
  std::vector<int64_t> lengths(shape.size(), 1), others;
  lengths.at(static_cast<size_t>(axis)) = shape.at(static_cast<size_t>(axis));
  for (int64_t i = 0; i < static_cast<int64_t>(shape.size()); ++i) {
    if (i != axis) others.push_back(i);
  }
  const Scope kept = scope / "parametrizations" / "weight";
  const bool newer = kept.has("original0");
  const Value length = newer ? kept.weight("original0", lengths) : scope.weight("weight_g", lengths);
  const Value direction = newer ? kept.weight("original1", shape) : scope.weight("weight_v", shape);
  return (direction * (length / scope.op("ReduceL2", {direction}, {{"axes", others}}))).in(scope);
}

/// The module's weight f[shape], which some checkpoints store as a direction and a length.
inline Value stored_weight(const Scope& scope, const std::vector<int64_t>& shape, int64_t axis = 0) {
  const bool is_normed =
      !scope.has("weight") && (scope.has("weight_v") || (scope / "parametrizations" / "weight").has("original1"));
  return is_normed ? weight_norm(scope, shape, axis) : scope.weight("weight", shape);
}

// ----------------------------------------------------------------------------------------- convolutions

struct ConvOptions {
  int64_t out;
  Extent kernel = 1;
  Extent stride = 1;
  Extent padding = 0;                      ///< on both sides
  std::optional<Extent> padding_behind{};  ///< below and on the right, where that differs
  bool same = false;  ///< as much padding as ⌈size/stride⌉ places take, the odd one behind: TensorFlow's "SAME"
  Extent dilation = 1;
  int64_t groups = 1;
  bool bias = true;
  int64_t in = 0;  ///< 0: as many channels as x is known to have
  Value weight{};  ///< where it is not the module's tensor
};
/// -> f[batch, out, …, …]. Weights: weight f[out, in/groups, kernel], bias f[out]. Source: torch.nn.Conv2d; `same` as
/// apply_tf_padding of MobileNet, transformers 4.30.
inline Value conv2d(const Scope& scope, const Operand& x, const ConvOptions& options) {
  const int64_t in = options.in > 0 ? options.in : x.fixed(1);
  const detail::Filter filter{{options.out, in / options.groups, options.kernel.height, options.kernel.width},
                              options.weight,
                              options.bias ? options.out : 0};
  std::vector<Attribute> attributes{{"strides", detail::sides(options.stride)},
                                    {"dilations", detail::sides(options.dilation)},
                                    {"group", options.groups}};
  if (options.same)
    attributes.emplace_back("auto_pad", "SAME_UPPER");
  else
    attributes.emplace_back("pads", detail::pads(options.padding, options.padding_behind.value_or(options.padding)));
  return scope.op("Conv", detail::filtered(scope, x, filter), attributes).in(scope.parent());
}

struct Conv1dOptions {
  int64_t out;
  int64_t kernel = 1, stride = 1;
  int64_t padding = 0;                      ///< on both sides
  std::optional<int64_t> padding_behind{};  ///< at the end, where that differs
  int64_t dilation = 1, groups = 1;
  bool bias = true;
  int64_t in = 0;  ///< 0: as many channels as x is known to have
  Value weight{};  ///< where it is not the module's tensor
};
/// A signal f[batch, in, length] -> f[batch, out, …]. Weights: weight f[out, in/groups, kernel], bias f[out].
/// Source: torch.nn.Conv1d.
inline Value conv1d(const Scope& scope, const Operand& x, const Conv1dOptions& options) {
  const int64_t in = options.in > 0 ? options.in : x.fixed(1);
  const detail::Filter filter{
      {options.out, in / options.groups, options.kernel}, options.weight, options.bias ? options.out : 0};
  return scope
      .op("Conv", detail::filtered(scope, x, filter),
          {{"strides", {options.stride}},
           {"pads", {options.padding, options.padding_behind.value_or(options.padding)}},
           {"dilations", {options.dilation}},
           {"group", options.groups}})
      .in(scope.parent());
}

struct Conv3dOptions {
  int64_t out;
  std::vector<int64_t> kernel;  ///< frames, height, width
  std::vector<int64_t> stride;
  bool bias = true;
};
/// A video f[batch, in, frames, height, width] -> f[batch, out, …, …, …]. Weights: weight f[out, in, kernel], bias
/// f[out]. Source: torch.nn.Conv3d, as patch embeddings have it.
inline Value conv3d(const Scope& scope, const Operand& x, const Conv3dOptions& options) {
  std::vector<int64_t> shape{options.out, x.fixed(1)};
  shape.insert(shape.end(), options.kernel.begin(), options.kernel.end());
  const detail::Filter filter{std::move(shape), {}, options.bias ? options.out : 0};
  return scope.op("Conv", detail::filtered(scope, x, filter), {{"strides", options.stride}}).in(scope.parent());
}

// ------------------------------------------------------------------------------------------- transposes

struct ConvTransposeOptions {
  int64_t out;
  Extent kernel = 1;
  Extent stride = 1;
  Extent padding = 0;         ///< taken away on both sides
  Extent output_padding = 0;  ///< added below and on the right
  Extent dilation = 1;
  int64_t groups = 1;
  bool bias = true;
};
/// -> f[batch, out, (height - 1)·stride + dilation·(kernel - 1) + 1 + output_padding - 2·padding, …].
/// Weights: weight f[in, out/groups, kernel], bias f[out]. Source: torch.nn.ConvTranspose2d.
inline Value conv_transpose2d(const Scope& scope, const Operand& x, const ConvTransposeOptions& options) {
  const detail::Filter filter{{x.fixed(1), options.out / options.groups, options.kernel.height, options.kernel.width},
                              {},
                              options.bias ? options.out : 0};
  return scope
      .op("ConvTranspose", detail::filtered(scope, x, filter),
          {{"strides", detail::sides(options.stride)},
           {"pads", detail::pads(options.padding, options.padding)},
           {"output_padding", detail::sides(options.output_padding)},
           {"dilations", detail::sides(options.dilation)},
           {"group", options.groups}})
      .in(scope.parent());
}

struct ConvTranspose1dOptions {
  int64_t out;
  int64_t kernel = 1, stride = 1;
  int64_t padding = 0;         ///< taken away on both sides
  int64_t output_padding = 0;  ///< added at the end
  int64_t dilation = 1, groups = 1;
  bool bias = true;
  Value weight{};  ///< where it is not the module's tensor
};
/// A signal f[batch, in, length] -> f[batch, out, …]. Weights: weight f[in, out/groups, kernel], bias f[out].
/// Source: torch.nn.ConvTranspose1d.
inline Value conv_transpose1d(const Scope& scope, const Operand& x, const ConvTranspose1dOptions& options) {
  const detail::Filter filter{
      {x.fixed(1), options.out / options.groups, options.kernel}, options.weight, options.bias ? options.out : 0};
  return scope
      .op("ConvTranspose", detail::filtered(scope, x, filter),
          {{"strides", {options.stride}},
           {"pads", {options.padding, options.padding}},
           {"output_padding", {options.output_padding}},
           {"dilations", {options.dilation}},
           {"group", options.groups}})
      .in(scope.parent());
}

// ------------------------------------------------------------------------------------------------ pools

struct PoolOptions {
  Extent kernel;
  Extent stride;
  Extent padding = 0;          ///< on both sides
  bool ceil_mode = false;      ///< a last window that is partly outside counts as well
  bool padding_counts = true;  ///< for means
};
namespace detail {
inline std::vector<Attribute> window(const PoolOptions& options) {
  std::vector<Attribute> attributes{{"kernel_shape", sides(options.kernel)},
                                    {"strides", sides(options.stride)},
                                    {"pads", pads(options.padding, options.padding)}};
  if (options.ceil_mode) attributes.emplace_back("ceil_mode", true);
  return attributes;
}
}  // namespace detail
/// Source: torch.nn.MaxPool2d.
inline Value max_pool(const Operand& x, const PoolOptions& options) {
  return x.graph().op("MaxPool", {x}, detail::window(options));
}
/// Source: torch.nn.AvgPool2d.
inline Value average_pool(const Operand& x, const PoolOptions& options) {
  std::vector<Attribute> attributes = detail::window(options);
  attributes.emplace_back("count_include_pad", options.padding_counts);
  return x.graph().op("AveragePool", {x}, attributes);
}

struct Pool1dOptions {
  int64_t kernel, stride;
  int64_t padding = 0;  ///< on both sides
};
/// A signal f[batch, channels, length] -> f[batch, channels, …]. Source: torch.nn.MaxPool1d.
inline Value max_pool1d(const Operand& x, const Pool1dOptions& options) {
  return x.graph().op("MaxPool", {x},
                      {{"kernel_shape", {options.kernel}},
                       {"strides", {options.stride}},
                       {"pads", {options.padding, options.padding}}});
}
/// The same by means, in which the padding counts. Source: torch.nn.AvgPool1d.
inline Value average_pool1d(const Operand& x, const Pool1dOptions& options) {
  return x.graph().op("AveragePool", {x},
                      {{"kernel_shape", {options.kernel}},
                       {"strides", {options.stride}},
                       {"pads", {options.padding, options.padding}},
                       {"count_include_pad", true}});
}

/// f[batch, channels, height, width] -> f[batch, channels, 1, 1]. Source: torch.nn.AdaptiveAvgPool2d(1).
inline Value global_average_pool(const Operand& x) {
  return x.graph().op("GlobalAveragePool", {x});
}
/// f[batch, channels, height, width] -> f[batch, channels, size]: means over windows that share the image out, whatever
/// its size. Source: torch.nn.AdaptiveAvgPool2d.
inline Value adaptive_average_pool(const Operand& x, const Extent& size) {
  return x.graph().composite("AdaptiveAveragePool", {x}, {{"size", detail::sides(size)}});
}

}  // namespace onnxport::sdk
