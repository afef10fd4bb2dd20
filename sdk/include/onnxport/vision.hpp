// SPDX-License-Identifier: Apache-2.0
// The vocabulary of models that see and hear: images are f[batch, channels, height, width], signals
// f[batch, channels, length], and tokens made from either f[batch, n, width].
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <string>
#include <utility>
#include <vector>

#include <onnxport/channel_norms.hpp>
#include <onnxport/convolutions.hpp>
#include <onnxport/onnx_config.hpp>
#include <onnxport/resampling.hpp>

namespace onnxport::sdk {

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

/// The same of one size alone, for which a model has weights.
inline TensorSpec pixel_values(const Extent& size) {
  return input::pixels("pixel_values", {axis::batch, axis::num_channels, Dim::open(size.height, axis::height),
                                        Dim::open(size.width, axis::width)});
}

/// f[batch, channels, height, width] -> f[batch, channels]
inline Value mean_of_image(const Operand& x) {
  return x.graph().op("ReduceMean", {x}, {{"axes", {2, 3}}, {"keepdims", false}});
}

// ----------------------------------------------------------------------------------- layouts and sizes

/// f[batch, channels, height, width] -> f[batch, height, width, channels]
inline Value channels_last(const Operand& x) {
  return transpose(x, {0, 2, 3, 1});
}
/// And back.
inline Value channels_first(const Operand& x) {
  return transpose(x, {0, 3, 1, 2});
}
/// f[batch, n, height, width] -> tokens f[batch, height·width, n], row by row.
inline Value tokens_of(const Operand& image) {
  return transpose(reshape(image, {0, image.fixed(1), -1}), {0, 2, 1});
}
/// Tokens f[1, height·width, n] -> f[1, n, height, width].
inline Value image_of(const Operand& tokens, const Extent& grid) {
  return reshape(transpose(tokens, {0, 2, 1}), {1, tokens.fixed(2), grid.height, grid.width});
}
/// Tokens of every image f[batch, rows·columns, n] -> f[batch, n, rows, columns], for a size i64[2].
inline Value image_of(const Operand& tokens, const Value& size) {
  const Value kept = tokens.graph().integers({0, tokens.fixed(2)});
  return reshape(transpose(tokens, {0, 2, 1}), concat({kept, size}, 0));
}
/// f[1, k, n] before the tokens of every image: f[batch, m, n] -> f[batch, k + m, n].
inline Value prepend(const std::vector<Value>& firsts, const Operand& tokens) {
  Graph& g = tokens.graph();
  const Value one_each = concat({shape_of(tokens, 0, 1), g.integers({1, 1})}, 0);
  std::vector<Value> parts;
  for (const Value& first : firsts) parts.push_back(g.op("Expand", {first, one_each}));
  parts.push_back(tokens);
  return concat(parts, 1);
}

}  // namespace onnxport::sdk
