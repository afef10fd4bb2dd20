// SPDX-License-Identifier: Apache-2.0
// Classes of pixels, by a pyramid of the maps of an encoder. Source: UperNetHead, transformers 4.57
// (modeling_upernet.py); BeitUperHead, 4.57 (modeling_beit.py); Data2VecVisionUperHead, 4.57 and, for the names of its
// modules, 5.24 (modeling_data2vec_vision.py).
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <vector>

#include <onnxport/plugin.hpp>

namespace onnxport::family {

using namespace onnxport::sdk;

/// What the modules of such a head are called.
struct PyramidModules {
  const char *bottleneck, *pools, *pool, *convolution, *norm;
};

struct PyramidHead {
  explicit PyramidHead(const Config& c, int64_t usual_width)
      : width_(c.size("hidden_size", usual_width)),
        labels_(c.num_labels()),
        scales_(c.has("pool_scales") ? c.integers("pool_scales") : std::vector<int64_t>{1, 2, 3, 6}) {}

  /// maps: f[batch, n, rows, columns] each, the finest first -> f[batch, labels, rows, columns] of the finest.
  Value operator()(const Scope& head, const PyramidModules& modules, std::vector<Value> maps) const {
    const auto side = [&](const char* list, size_t i) { return head / list / static_cast<int64_t>(i); };
    // From the coarsest map down, each added to the next finer one.
    const size_t last = maps.size() - 1;
    for (size_t i = 0; i < last; ++i) maps[i] = block(side("lateral_convs", i), maps[i], {modules, 1});
    maps[last] = pooled(head, maps[last], modules);
    for (size_t i = last; i > 0; --i) maps[i - 1] = maps[i - 1] + resized(maps[i], maps[i - 1]);
    for (size_t i = 0; i < last; ++i) maps[i] = block(side("fpn_convs", i), maps[i], {modules, 3});
    for (size_t i = last; i > 0; --i) maps[i] = resized(maps[i], maps[0]);
    const Value fused = block(head / "fpn_bottleneck", concat(maps, 1), {modules, 3});
    return conv2d(head / "classifier", fused, {.out = labels_});
  }
  /// x as large as another image.
  static Value resized(const Value& x, const Value& like) {
    return interpolate(x, shape_of(like, 2, 4), Interpolation::bilinear);
  }

 private:
  struct BlockOptions {
    const PyramidModules& modules;
    int64_t kernel;
  };
  // A convolution, a norm and a ReLU.
  Value block(const Scope& s, const Value& x, const BlockOptions& options) const {
    const Value h = conv2d(s / options.modules.convolution, x,
                           {.out = width_, .kernel = options.kernel, .padding = options.kernel / 2, .bias = false});
    return relu(batch_norm(s / options.modules.norm, h)).in(s.parent());
  }
  // The coarsest map beside its means over parts of the image, as many on a side as each scale says.
  Value pooled(const Scope& head, const Value& x, const PyramidModules& modules) const {
    std::vector<Value> parts{x};
    for (size_t i = 0; i < scales_.size(); ++i) {
      const Scope module = head / modules.pools / static_cast<int64_t>(i) / modules.pool;
      parts.push_back(resized(block(module, adaptive_average_pool(x.in(module), scales_[i]), {modules, 1}), x));
    }
    return block(head / modules.bottleneck, concat(parts, 1), {modules, 3});
  }

  int64_t width_, labels_;
  std::vector<int64_t> scales_;
};

}  // namespace onnxport::family
