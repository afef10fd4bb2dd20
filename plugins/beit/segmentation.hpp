// SPDX-License-Identifier: Apache-2.0
// Classes of pixels, by a pyramid that is made of four layers of the encoder. Source: BeitForSemanticSegmentation,
// transformers 4.57 (modeling_beit.py); Data2VecVisionForSemanticSegmentation, 4.57 and, for the names of its modules,
// 5.24 (modeling_data2vec_vision.py).
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <onnxport/families/beit.hpp>

namespace beit {

using namespace onnxport::family;

class Segmentation {
 public:
  explicit Segmentation(const Config& c)
      : width_(c.size("hidden_size", 768)),
        labels_(c.num_labels()),
        scales_(c.has("pool_scales") ? c.integers("pool_scales") : std::vector<int64_t>{1, 2, 3, 6}) {}

  /// What the layers of these numbers read, four of them: out_indices counts them from 1 on. Throws CONFIG.
  static std::vector<size_t> layers_read(const Config& c, int64_t layers) {
    std::vector<size_t> read{3, 5, 7, 11};
    if (c.has("out_indices") || c.has("out_features")) read = stages_read(c, static_cast<size_t>(layers));
    if (read.size() != 4) {
      throw Error(ONNXPORT_CONFIG, "config field 'out_indices' has " + std::to_string(read.size()) +
                                       " entries; expected 4, the layers that a segmentation is made of");
    }
    for (size_t& one : read) {
      if (one == 0 || static_cast<int64_t>(one) > layers) {
        throw Error(ONNXPORT_CONFIG, "config field 'out_indices' has " + std::to_string(one) + "; expected 1 to " +
                                         std::to_string(layers) + " (num_hidden_layers)");
      }
      --one;
    }
    return read;
  }

  /// maps: four of f[batch, hidden, rows, columns] -> f[batch, labels, 4·rows, 4·columns]
  Value operator()(Graph& g, std::vector<Value> maps) const {
    g.unused("auxiliary_head.*");  // of training
    scale(g.root(), maps);
    const Scope head = g.root() / "decode_head";
    const Modules& modules = head.has("bottleneck.conv.weight") ? plain : renamed;
    // From the coarsest map down, each added to the next finer one.
    const size_t last = maps.size() - 1;
    const auto side = [&](const char* list, size_t i) { return head / list / static_cast<int64_t>(i); };
    for (size_t i = 0; i < last; ++i) maps[i] = block(side("lateral_convs", i), maps[i], {modules, 1});
    maps[last] = pooled(head, maps[last], modules);
    for (size_t i = last; i > 0; --i) maps[i - 1] = maps[i - 1] + resized(maps[i], maps[i - 1]);
    for (size_t i = 0; i < last; ++i) maps[i] = block(side("fpn_convs", i), maps[i], {modules, 3});
    for (size_t i = last; i > 0; --i) maps[i] = resized(maps[i], maps[0]);
    const Value fused = block(head / "fpn_bottleneck", concat(maps, 1), {modules, 3});
    return conv2d(head / "classifier", fused, {.out = labels_});
  }

 private:
  /// What the modules of a head are called.
  struct Modules {
    const char *bottleneck, *pools, *pool, *convolution, *norm;
  };
  static constexpr Modules plain{"bottleneck", "psp_modules", "1", "conv", "bn"};
  static constexpr Modules renamed{"psp_bottleneck", "psp_modules.blocks", "conv", "convolution", "normalization"};

  struct BlockOptions {
    const Modules& modules;
    int64_t kernel;
  };
  // A convolution, a norm and a ReLU. Source: BeitConvModule.
  Value block(const Scope& s, const Value& x, const BlockOptions& options) const {
    const Value h = conv2d(s / options.modules.convolution, x,
                           {.out = width_, .kernel = options.kernel, .padding = options.kernel / 2, .bias = false});
    return relu(batch_norm(s / options.modules.norm, h)).in(s.parent());
  }

  // The layers, all of one size, as a pyramid: four times as large, twice, as they are, and half.
  void scale(const Scope& s, std::vector<Value>& maps) const {
    const auto doubled = [&](const Scope& at, const Value& x) {
      return conv_transpose2d(at, x, {.out = width_, .kernel = 2, .stride = 2});
    };
    const Value finer = batch_norm(s / "fpn1.1", doubled(s / "fpn1.0", maps[0]));
    maps[0] = doubled(s / "fpn1.3", activation(finer, "gelu"));
    maps[1] = doubled(s / "fpn2.0", maps[1]);
    maps[3] = max_pool(maps[3], {.kernel = 2, .stride = 2});
  }

  // The coarsest map beside its means over parts of the image, as many on a side as each scale says.
  Value pooled(const Scope& head, const Value& x, const Modules& modules) const {
    std::vector<Value> parts{x};
    for (size_t i = 0; i < scales_.size(); ++i) {
      const Scope module = head / modules.pools / static_cast<int64_t>(i) / modules.pool;
      parts.push_back(resized(block(module, adaptive_average_pool(x.in(module), scales_[i]), {modules, 1}), x));
    }
    return block(head / modules.bottleneck, concat(parts, 1), {modules, 3});
  }

  static Value resized(const Value& x, const Value& like) {
    return interpolate(x, shape_of(like, 2, 4), Interpolation::bilinear);
  }

  int64_t width_, labels_;
  std::vector<int64_t> scales_;
};

}  // namespace beit
