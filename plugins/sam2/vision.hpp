// SPDX-License-Identifier: Apache-2.0
// SAM 2's image encoder: maps of a backbone, the coarser ones added to the finer. Source: Sam2VisionModel,
// transformers 5.24 (modeling_sam2.py).
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include <onnxport/blocks/sine_positions.hpp>

#include "hiera_det.hpp"

namespace sam2 {

struct VisionConfig {
  explicit VisionConfig(const Config& c)
      : width(c.size("fpn_hidden_size", 256)),
        kernel(c.size("fpn_kernel_size", 1)),
        stride(c.size("fpn_stride", 1)),
        padding(c.count("fpn_padding", 0)),
        levels(static_cast<size_t>(c.size("num_feature_levels", 3))),
        sums(c.has("fpn_top_down_levels") ? c.integers("fpn_top_down_levels") : std::vector<int64_t>{2, 3}) {
    // Of the backbone, which has its own; and the maps' sizes, which the whole model reads.
    c.no_effect({"hidden_act", "layer_norm_eps", "backbone_feature_sizes"});
    c.section("backbone_config").choice("model_type", "sam2_hiera_det_model", {"sam2_hiera_det_model"});
  }
  /// Whether to a stage's map, 0 the finest, the next coarser one is added.
  bool adds(size_t stage) const {
    return std::find(sums.begin(), sums.end(), static_cast<int64_t>(stage)) != sums.end();
  }

  int64_t width, kernel, stride, padding;
  size_t levels;  // that are put out, the finest first
  std::vector<int64_t> sums;
};

class VisionEncoder {
 public:
  explicit VisionEncoder(const Config& config) : c(config), backbone(config.section("backbone_config")) {
    const size_t stages = stage_widths().size();
    const auto read = by_stage(config, "backbone_channel_list", {768, 384, 192, 96}, stages);
    for (size_t i = 0; i < stages; ++i)
      require_equal({"backbone_channel_list", read[i]},
                    {"embed_dim_per_stage, the last first", stage_widths()[stages - 1 - i]});
    require_at_most({"num_feature_levels", static_cast<int64_t>(c.levels)},
                    {"the number of stages", static_cast<int64_t>(stages)});
  }

  struct Made {
    Value last;               ///< of the backbone: f[batch, rows, columns, n]
    std::vector<Value> maps;  ///< the finest first: f[batch, width, rows, columns]
  };
  Made operator()(const Scope& s, const Value& pixels) const {
    const std::vector<Value> stages = backbone(s / "backbone", pixels);
    const Scope neck = s / "neck";
    std::vector<Value> maps(stages.size());
    for (size_t i = stages.size() - 1; i > coarsest(); --i)
      s.graph().unused((neck / "convs" / static_cast<int64_t>(stages.size() - 1 - i)).path() + ".*");
    for (size_t i = coarsest() + 1; i-- > 0;) {
      const auto number = static_cast<int64_t>(stages.size() - 1 - i);
      maps[i] = conv2d(neck / "convs" / number, channels_first(stages[i].in(neck)),
                       {.out = c.width, .kernel = c.kernel, .stride = c.stride, .padding = c.padding})
                    .in(neck);
      if (number == 0 || !c.adds(i)) continue;
      maps[i] = maps[i] + interpolate(maps[i + 1], shape_of(maps[i], 2, 4), Interpolation::nearest);
    }
    return {stages.back(), {maps.begin(), maps.begin() + static_cast<std::ptrdiff_t>(c.levels)}};
  }

  /// A map's places as sines: f[batch, width, rows, columns]. Source: Sam2SinePositionEmbedding.
  Value places(const Scope& s, const Value& map) const {
    Graph& g = s.graph();
    const Value sizes = shape_of(map, 2, 4);
    const Value all = g.op("Expand", {g.scalar(1), concat({shape_of(map, 0, 1), sizes}, 0)});
    return image_of(sine_positions(s / "neck.position_encoding", all, {.sines = {.width = c.width / 2}}), sizes);
  }

  const VisionConfig c;
  const HieraDet backbone;

 private:
  /// The last stage that is read.
  size_t coarsest() const {
    size_t stage = c.levels - 1;
    while (stage + 1 < stage_widths().size() && c.adds(stage)) ++stage;
    return stage;
  }
  const std::vector<int64_t>& stage_widths() const { return backbone.c.widths; }
};

}  // namespace sam2
