// SPDX-License-Identifier: Apache-2.0
// The head of DETR that makes a mask of each object: where it looks, and convolutions that grow that stage by stage.
// Source: DetrForSegmentation and ConditionalDetrForSegmentation, transformers 4.57.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include <onnxport/families/detr.hpp>

namespace onnxport::family {

/// A DETR with masks.
class DetrWithMasks : public DetrOnnxConfig {
 public:
  using DetrOnnxConfig::DetrOnnxConfig;

 protected:
  // A mask of each object, of the size of the finest stage: f32[batch, queries, …, …]
  Value masks_of(const Scope& root, const Found& found) const override {
    Graph& g = root.graph();
    const DetrImage& seen = found.image;
    if (seen.stages.size() < 4) {
      throw Error(ONNXPORT_CONFIG, "the backbone yields " + std::to_string(seen.stages.size()) +
                                       " stages; segmentation reads 4. See config field "
                                       "'backbone_config.out_features'");
    }
    // The image and where an object looks, for each object of each image.
    const auto each = [&](const Value& image) {
      const Value repeated = expand(unsqueeze(image, {1}), {1, c.queries, 1, 1, 1});
      return reshape(repeated, concat({g.integers({-1}), shape_of(image, 1, 4)}, 0));
    };
    const Value image = each(seen.projected);
    const Value looks = where_objects_look(root / "bbox_attention", found);
    const Value of_each = concat({shape_of(image, 0, 1), g.integers({c.encoder.heads}), seen.size}, 0);
    const Value given = concat({image, reshape(looks, of_each)}, 1);
    const Value masks = mask_head(root / "mask_head", given, seen, each);
    const Value per_image = concat({shape_of(found.objects, 0, 1), g.integers({c.queries}), shape_of(masks, 2, 4)}, 0);
    return reshape(masks, per_image);
  }

 private:
  // Probabilities over all heads and places together: f32[batch, queries, heads·rows·columns].
  // Source: DetrMHAttentionMap.
  Value where_objects_look(const Scope& s, const Found& found) const {
    Graph& g = s.graph();
    const int64_t heads = c.encoder.heads;
    const double scale = 1 / std::sqrt(static_cast<double>(c.width / heads));
    const Value query = split_heads(linear(s / "q_linear", found.objects, {.out = c.width}) * scale, heads);
    const Value key = split_heads(linear(s / "k_linear", found.memory, {.out = c.width}), heads);
    const Value scores = transpose(matmul(query, transpose(key, {0, 1, 3, 2})), {0, 2, 1, 3});
    const Value counts = equal(unsqueeze(found.image.mask, {1, 2}), 1);
    const Value masked = where(counts, scores, g.scalar(std::numeric_limits<float>::lowest()));
    return softmax(reshape(masked, {0, 0, -1}));
  }

  // Convolutions that grow the image stage by stage, looking at what the backbone saw there.
  // Source: DetrMaskHeadSmallConv.
  template <class Each>
  Value mask_head(const Scope& s, const Value& given, const DetrImage& seen, const Each& each) const {
    const auto block = [&](int64_t number, const Value& x, int64_t out) {
      const std::string index = std::to_string(number);
      const Value h = conv2d(s / ("lay" + index), x, {.out = out, .kernel = 3, .padding = 1});
      return activation(group_norm(s / ("gn" + index), h, {.groups = std::min<int64_t>(8, out)}), c.mask_activation);
    };
    Value x = block(2, block(1, given, given.fixed(1)), c.width / 2);
    int64_t width = c.width / 2;
    for (int64_t i = 1; i <= 3; ++i) {
      const Value finer =
          conv2d(s / ("adapter" + std::to_string(i)), seen.stages[static_cast<size_t>(3 - i)], {.out = width});
      x = each(finer) + interpolate(x, shape_of(finer, 2, 4), Interpolation::nearest);
      width /= 2;
      x = block(i + 2, x, width);
    }
    return conv2d(s / "out_lay", x, {.out = 1, .kernel = 3, .padding = 1});
  }
};

}  // namespace onnxport::family
