// SPDX-License-Identifier: Apache-2.0
// Swin as the backbone of other models: each stage before its patches are merged, normed. Every other layer attends
// within shifted windows, whatever the size of the image.
// Source: SwinBackbone and MaskFormerSwinBackbone, transformers 4.57 (modeling_swin.py, modeling_maskformer_swin.py).
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <algorithm>
#include <string>
#include <vector>

#include <onnxport/backbone.hpp>
#include <onnxport/blocks/window_layer.hpp>
#include <onnxport/families/swin.hpp>

namespace onnxport::family {

namespace detail {

/// Where the modules of a backbone are.
struct SwinBackboneNames {
  std::string model{};          ///< what holds the layers; empty: the backbone itself
  bool numbered_norms = false;  ///< norms are numbered from 0 and not called stage1, stage2, …
};

class SwinBackbone {
 public:
  /// `stages`: those that are read, 0 being the stem; none: those that the config names.
  SwinBackbone(const Config& own, SwinBackboneNames called, std::vector<size_t> stages = {})
      : c(own.with_names({{"num_heads", "num_attention_heads"}})),
        read(stages.empty() ? stages_read(own, c.depths.size()) : std::move(stages)),
        names(std::move(called)) {}

  FeatureMaps operator()(const Scope& at, const Value& pixels) const {
    Graph& g = at.graph();
    // Counted; the norm of an encoder that is no backbone; and norms of stages that are not read.
    for (const char* name : {"*relative_position_index", "*layernorm.weight", "*layernorm.bias", "*states_norms.*"})
      g.unused(name);
    const Scope model = names.model.empty() ? at : at / names.model;
    const Patches patches = swin_patches(model / "embeddings", pixels, c);
    TokenGrid grid{pick(patches.size, 0, 0), pick(patches.size, 0, 1)};
    FeatureMaps made;
    const auto keep = [&](size_t stage, const Value& x) {
      if (std::find(read.begin(), read.end(), stage) != read.end())
        made.stages.push_back(image_of(norm(at / "hidden_states_norms" / norm_of(stage), x, {}), grid));
    };
    // A padded image has lost the name of its batch.
    Value x = reshape(patches.tokens, concat({shape_of(pixels, 0, 1), g.integers({-1, c.embedding})}, 0));
    keep(0, x);
    for (size_t i = 0; i < c.depths.size(); ++i) {
      const Scope stage = model / "encoder.layers" / static_cast<int64_t>(i);
      const Windows plain = windows_over(grid, {.size = c.window});
      const Windows shifted = windows_over(grid, {.size = c.window, .shift = g.integer(c.window / 2)});
      const auto inner = static_cast<int64_t>(c.ratio * static_cast<double>(x.fixed(2)));
      for (int64_t j = 0; j < c.depths[i]; ++j)
        x = window_layer(stage / "blocks" / j, x, {c.heads[i], inner, c.activation, c.qkv_bias, c.epsilon},
                         j % 2 == 0 ? plain : shifted);
      keep(i + 1, x);
      if (i + 1 == c.depths.size()) break;
      x = swin_merge(stage / "downsample", merge_neighbours(x.in(stage), grid));
      grid = {(grid.rows + 1) / 2, (grid.columns + 1) / 2};
    }
    return made;
  }
  bool reads_stem() const { return read.front() == 0; }

 private:
  std::string norm_of(size_t stage) const {
    if (names.numbered_norms) return std::to_string(stage - 1);
    return stage == 0 ? "stem" : "stage" + std::to_string(stage);
  }
  const SwinConfig c;
  const std::vector<size_t> read;
  const SwinBackboneNames names;
};

}  // namespace detail

inline Backbone swin_backbone(const Config& own) {
  return detail::SwinBackbone(own, {});
}
/// MaskFormer's own. Throws UNSUPPORTED where its stem is read, of which it has no norm.
inline Backbone maskformer_swin_backbone(const Config& own) {
  const detail::SwinBackbone made(own, {"model", true});
  if (!made.reads_stem()) return made;
  throw Error(ONNXPORT_UNSUPPORTED,
              "config field 'backbone_config.out_features' names the stem; expected stages from stage1 on");
}

/// The same of a Swin's config, of which it reads four stages. Source: MaskFormerPixelLevelModule.
inline Backbone maskformer_swin_of_all_stages(const Config& own) {
  return detail::SwinBackbone(own, {"model", true}, {1, 2, 3, 4});
}

/// What detectors see through where config.json describes no backbone: a Swin of which they read the last three stages.
inline Backbone swin_of_detector(const Config& own) {
  return detail::SwinBackbone(own, {}, {2, 3, 4});
}

}  // namespace onnxport::family
