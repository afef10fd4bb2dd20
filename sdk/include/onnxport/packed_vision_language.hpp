// SPDX-License-Identifier: Apache-2.0
// Decoders that read images of any size, whose patches stand in one row: the inputs that Qwen2-VL brought.
// Source: Qwen2VLForConditionalGeneration, transformers 5.24.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <onnxport/blocks/packed_images.hpp>
#include <onnxport/vision_language.hpp>

namespace onnxport::sdk {

/// A VisionLanguage that is given pixel_values f32[patches, n] and image_grid_thw i64[images, 3].
class PackedVisionLanguage : public VisionLanguage {
 public:
  using VisionLanguage::VisionLanguage;

  std::vector<AxisSize> axis_sizes() const override {
    const int64_t token = merge() * merge();
    std::vector<AxisSize> axes = axes_of_further_features();
    axes.push_back({.axis = images, .usual = 2});
    axes.push_back({.axis = image_sequence, .usual = 2});
    axes.push_back({.axis = patches, .usual = 8 * token, .minimum = token, .step = token});
    return axes;
  }
  std::vector<TensorSpec> image_inputs() const override {
    TensorSpec grid{"image_grid_thw", DType::i64, {images, 3}};
    return {input::features("pixel_values", {patches, patch().pixels()}), std::move(grid)};
  }
  OutputSpec image_features() const override { return {"image_features", {{0, "image_sequence"}}}; }
  int64_t vectors_of(const std::map<std::string, int64_t>& sizes) const override {
    return length(sizes, patches) / (merge() * merge());
  }

  /// Frames of images whose patches are as many as there are: the first is as wide as it takes.
  std::vector<DummyTensor> generate_dummy_inputs(const DummyRequest& request) const override {
    std::vector<DummyTensor> made = VisionLanguage::generate_dummy_inputs(request);
    if (!request.part.empty() && request.part != "vision_encoder") return made;
    const int64_t count = length(request.sizes, images), all = length(request.sizes, patches), side = merge(),
                  token = side * side;
    const int64_t others = std::max<int64_t>(0, std::min(count - 1, all / token - 1));
    std::vector<int64_t> grid;
    for (int64_t i = 0; i < count; ++i) {
      const int64_t own = i == 0 ? all - others * token : i <= others ? token : 0;
      grid.insert(grid.end(), {own > 0 ? 1 : 0, side, own > 0 ? own / side : side});
    }
    const std::map<std::string, std::string> names = names_of_vision_encoder();
    const auto own = names.find("image_grid_thw");
    const bool is_own = !request.part.empty() && own != names.end();
    made.push_back(DummyTensor::of(is_own ? own->second : "image_grid_thw", DType::i64, {count, 3}, grid));
    return made;
  }

 protected:
  /// How many patches on a side become one token, and what a patch is.
  virtual int64_t merge() const = 0;
  virtual PackedPatch patch() const = 0;

  /// The axis along which patches stand.
  static constexpr const char* patches = "patches";
};

}  // namespace onnxport::sdk
