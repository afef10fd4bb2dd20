// SPDX-License-Identifier: Apache-2.0
// Images of any shape that come cut into patches, as many of each as there is room for: the inputs that SigLIP 2
// brought. Source: Siglip2VisionModel and Lfm2VlModel, transformers 4.57 and 5.24.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include <onnxport/onnx_config.hpp>

namespace onnxport::family {

using namespace onnxport::sdk;

/// pixel_values f32[batch, patches, length], pixel_attention_mask i64[batch, patches] and spatial_shapes i64[batch, 2],
/// the rows and columns of each image.
struct PatchedImages {
  static constexpr const char* patches = "patches";

  const char* batch;  ///< the axis along which images stand
  int64_t length;     ///< of a patch: side² · channels
  int64_t grid;       ///< the most rows or columns that dummy images have
  int64_t step = 1;   ///< rows and columns are multiples of it

  std::vector<TensorSpec> inputs() const {
    return {input::features("pixel_values", {batch, patches, length}),
            {.name = "pixel_attention_mask", .shape = {batch, patches}, .limit = 2},
            {.name = "spatial_shapes", .shape = {batch, 2}, .limit = grid + 1}};
  }
  std::vector<AxisSize> sizes() const {
    return {{.axis = patches, .usual = grid * grid, .minimum = step * step, .step = step * step}};
  }

  /// Rows and columns of dummy images, which have as many patches as there is room for, or fewer: batch pairs.
  std::vector<int64_t> shapes(const DummyRequest& request) const {
    const int64_t places = request.sizes.at(patches);
    const auto most = static_cast<int64_t>(std::sqrt(static_cast<double>(places))) / step;
    std::vector<int64_t> made;
    for (int64_t i = 0; i < request.sizes.at(batch); ++i) {
      const int64_t rows = std::max<int64_t>(1, request.varied ? most - i % 3 : most) * step;
      made.insert(made.end(), {rows, places / rows / step * step});
    }
    return made;
  }
  std::vector<DummyTensor> dummies(const DummyRequest& request) const {
    const int64_t count = request.sizes.at(batch), places = request.sizes.at(patches);
    const std::vector<int64_t> both = shapes(request);
    std::vector<int64_t> mask;
    for (size_t i = 0; i < both.size(); i += 2) {
      for (int64_t place = 0; place < places; ++place) mask.push_back(place < both[i] * both[i + 1]);
    }
    return {DummyTensor::of("spatial_shapes", DType::i64, {count, 2}, both),
            DummyTensor::of("pixel_attention_mask", DType::i64, {count, places}, mask)};
  }
};

}  // namespace onnxport::family
