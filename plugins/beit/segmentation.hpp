// SPDX-License-Identifier: Apache-2.0
// Classes of pixels, by a pyramid that is made of four layers of the encoder. Source: BeitForSemanticSegmentation,
// transformers 4.57 (modeling_beit.py); Data2VecVisionForSemanticSegmentation, 4.57 and, for the names of its modules,
// 5.24 (modeling_data2vec_vision.py).
#pragma once

#include <string>
#include <vector>

#include <onnxport/families/beit.hpp>
#include <onnxport/families/pyramid_head.hpp>

namespace beit {

using namespace onnxport::family;

class Segmentation {
 public:
  explicit Segmentation(const Config& c) : head_(c, 768) {}

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
  Value operator()(Graph& g, const std::vector<Value>& maps) const {
    g.unused("auxiliary_head.*");  // of training
    const Scope head = g.root() / "decode_head";
    return head_(head, head.has("bottleneck.conv.weight") ? plain : renamed, beit_pyramid(g.root(), maps));
  }

 private:
  static constexpr PyramidModules plain{"bottleneck", "psp_modules", "1", "conv", "bn"};
  static constexpr PyramidModules renamed{"psp_bottleneck", "psp_modules.blocks", "conv", "convolution",
                                          "normalization"};
  PyramidHead head_;
};

}  // namespace beit
