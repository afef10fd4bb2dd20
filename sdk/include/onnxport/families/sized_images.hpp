// SPDX-License-Identifier: Apache-2.0
// Images of different sizes in one batch, padded on their right and below, with the size of each beside it: the inputs
// that Pixtral brought. Source: PixtralVisionModel and Mistral3Model, transformers 5.24.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include <onnxport/onnx_config.hpp>

namespace onnxport::family {

using namespace onnxport::sdk;

/// pixel_values f32[batch, channels, height, width] and image_sizes i64[batch, 2], the height and width of each in
/// pixels.
struct SizedImages {
  const char* batch;  ///< the axis along which images stand
  int64_t channels;
  int64_t step;  ///< sides are multiples of it, in pixels

  std::vector<TensorSpec> inputs() const {
    TensorSpec sizes{"image_sizes", DType::i64, {batch, 2}};
    return {input::pixels("pixel_values", {batch, axis::num_channels, axis::height, axis::width}), std::move(sizes)};
  }
  std::vector<AxisSize> sizes() const {
    return {{.axis = batch, .usual = 2},
            {.axis = axis::num_channels, .usual = channels},
            {.axis = axis::height, .usual = 3 * step, .minimum = step, .step = step},
            {.axis = axis::width, .usual = 4 * step, .minimum = step, .step = step}};
  }

  /// The size of a dummy image in steps: the first is as large as there is room for, others are lower.
  int64_t rows_of(int64_t image, const std::map<std::string, int64_t>& sizes) const {
    return std::max<int64_t>(1, sizes.at(axis::height) / step - image % 2);
  }
  int64_t columns_of(const std::map<std::string, int64_t>& sizes) const { return sizes.at(axis::width) / step; }
  /// Of how many squares of a step on a side all dummy images are.
  int64_t squares(const std::map<std::string, int64_t>& sizes) const {
    int64_t count = 0;
    for (int64_t i = 0; i < sizes.at(batch); ++i) count += rows_of(i, sizes) * columns_of(sizes);
    return count;
  }
  DummyTensor dummies(const std::map<std::string, int64_t>& sizes) const {
    std::vector<int64_t> sides;
    for (int64_t i = 0; i < sizes.at(batch); ++i)
      sides.insert(sides.end(), {rows_of(i, sizes) * step, columns_of(sizes) * step});
    return DummyTensor::of("image_sizes", DType::i64, {sizes.at(batch), 2}, sides);
  }
};

}  // namespace onnxport::family
