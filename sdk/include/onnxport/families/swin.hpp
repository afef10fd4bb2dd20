// SPDX-License-Identifier: Apache-2.0
// Swin and its second version between pixels and heads: stages of layers that attend within windows, every other one
// within shifted ones, and a merger of patches behind each stage but the last.
// Source: SwinModel and Swinv2Model, transformers 4.57 (modeling_swin.py, modeling_swinv2.py).
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <algorithm>
#include <string>
#include <vector>

#include <onnxport/blocks/layer.hpp>
#include <onnxport/blocks/stem.hpp>
#include <onnxport/plugin.hpp>
#include <onnxport/windows.hpp>

namespace onnxport::family {

using namespace onnxport::sdk;

struct SwinConfig {
  explicit SwinConfig(const Config& c)
      : channels(c.size("num_channels", 3)),
        image(extent(c, "image_size", 224)),
        patch(extent(c, "patch_size", 4)),
        embedding(c.size("embed_dim", 96)),
        depths(by_stage(c, "depths", {2, 2, 6, 2}, 1)),
        heads(by_stage(c, "num_heads", {3, 6, 12, 24}, depths.size())),
        window(c.size("window_size", 7)),
        ratio(c.real("mlp_ratio", 4)),
        qkv_bias(c.boolean("qkv_bias", true)),
        activation(c.text("hidden_act", "gelu")),
        absolute(c.boolean("use_absolute_embeddings", false)),
        epsilon(c.real("layer_norm_eps", 1e-5)),
        stride(c.size("encoder_stride", 32)),
        grid(image.height / patch.height, image.width / patch.width) {
    // Of training and of the backbone; and what follows from the stages.
    c.no_effect({"drop_path_rate", "out_features", "out_indices", "stage_names", "num_layers", "num_hidden_layers",
                 "hidden_size"});
    if (depths.size() > 20) throw Error(ONNXPORT_CONFIG, "config field 'depths' has more than 20 entries");
    for (size_t i = 0; i < depths.size(); ++i)
      require_multiple({"width of a stage", width(i)}, {"num_heads", heads[i]});
    if (absolute && c.written_before(5, 0)) {
      throw Error(ONNXPORT_UNSUPPORTED,
                  "config field 'use_absolute_embeddings' is true; before version 5 the original adds a table of one "
                  "position too many, and fails. Expected false, or a checkpoint that version 5 wrote");
    }
    if (grid.area() == 0) throw Error(ONNXPORT_CONFIG, "config field 'patch_size' is larger than image_size");
  }
  int64_t width(size_t stage) const { return embedding << stage; }

  int64_t channels;
  Extent image, patch;
  int64_t embedding;
  std::vector<int64_t> depths, heads;
  int64_t window;
  double ratio;
  bool qkv_bias;
  std::string activation;
  bool absolute;
  double epsilon;
  int64_t stride;  // of masked image modelling
  Extent grid;     // of patches, for which positions were trained
};

/// Patches, to whole ones of which an image is padded, normed; and, where the model has them, positions. Names are
/// those below `s`.
inline Patches swin_patches(const Scope& s, const Operand& pixels, const SwinConfig& c) {
  Graph& g = s.graph();
  g.unused("*" + (s / "mask_token").path());
  const auto missing = [&](int64_t axis, int64_t step) { return missing_to_multiple(size_of(pixels, axis), step); };
  const Value none = g.integer(0);
  const Value whole =
      pad(pixels, {OpenPad{2, none, missing(2, c.patch.height)}, OpenPad{3, none, missing(3, c.patch.width)}});
  Patches made = patch_stem(s, whole, {.width = c.embedding, .patch = c.patch, .channels = c.channels});
  made.tokens = norm(s / "norm", made.tokens, {});
  if (c.absolute) {
    const Value table = s.weight("position_embeddings", {1, c.grid.area(), c.embedding});
    const Value resampled = interpolate(image_of(table, c.grid), made.size, Interpolation::bicubic);
    made.tokens = made.tokens + tokens_of(resampled);
  }
  return made;
}
/// The merger of patches in Swin's first version: f[batch, n, 4·width] -> f[batch, n, 2·width].
inline Value swin_merge(const Scope& s, const Operand& x) {
  return linear(s / "reduction", norm(s / "norm", x, {}), {.out = x.fixed(2) / 2, .bias = false});
}

class SwinOnnxConfig : public ImageEncoder {
 public:
  explicit SwinOnnxConfig(const Request& request)
      : ImageEncoder(request), c(request.config.with_names({{"num_heads", "num_attention_heads"}})) {}

 protected:
  /// A stage's place, and what its layers share.
  struct Stage {
    size_t index;
    TokenGrid grid;
    Windows windows, shifted;
  };
  /// The windows of a stage.
  virtual Stage stage_over(size_t index, const TokenGrid& grid) const = 0;
  /// x: f[batch, n, width] -> the same, within these windows.
  virtual Value layer(const Scope& s, const Value& x, const Stage& stage, const Windows& windows) const = 0;
  /// f[batch, n, 4·width] -> f[batch, n, 2·width]
  virtual Value merge(const Scope& s, const Value& x, int64_t width) const = 0;
  /// What the base model yields of its last stage: f[batch, n, width] -> the same.
  virtual Value finish(const Scope& model, const Value& x) const {
    return norm(model / "layernorm", x, {.epsilon = c.epsilon});
  }

  const SwinConfig c;

  /// As a backbone its stages are what they yield before patches are merged, the stem's first, and without a norm.
  ImageFeatures encode(const Scope& model, const Value& pixels) const override {
    Graph& g = model.graph();
    g.unused("*relative_position_index");
    g.unused("*relative_coords_table");
    g.unused("*attn_mask");
    Patches patches = swin_patches(model / "embeddings", pixels, c);
    Value x = patches.tokens;
    TokenGrid grid{pick(patches.size, 0, 0), pick(patches.size, 0, 1)};
    g.mark("hidden_states.0", x);
    std::vector<Value> maps;
    const auto keep = [&] {
      if (task() == "backbone") maps.push_back(image_of(x, grid));
    };
    keep();
    for (size_t i = 0; i < c.depths.size(); ++i) {
      const Scope at = model / "encoder.layers" / static_cast<int64_t>(i);
      const Stage stage = stage_over(i, grid);
      for (int64_t j = 0; j < c.depths[i]; ++j)
        x = layer(at / "blocks" / j, x, stage, j % 2 == 0 ? stage.windows : stage.shifted);
      keep();
      if (i + 1 < c.depths.size()) {
        x = merge(at / "downsample", merge_neighbours(x.in(at), grid), 2 * x.fixed(2));
        grid = {(grid.rows + 1) / 2, (grid.columns + 1) / 2};
      }
      g.mark("hidden_states." + std::to_string(i + 1), x);
    }
    if (task() == "backbone") return {.last = x, .stages = maps};
    return {.last = finish(model, x), .size = concat({unsqueeze(grid.rows, {0}), unsqueeze(grid.columns, {0})}, 0)};
  }

 private:
  bool yields_tokens() const override { return true; }
  Value pool(const Scope&, const ImageFeatures& made) const override { return mean(made.last, {1}); }
  Value classify(const Scope& model, const ImageFeatures& made) const override {
    return linear(model.graph().root() / "classifier", mean(made.last, {1}), {.out = labels()});
  }
  Value reconstruct(const Scope& model, const ImageFeatures& made) const override {
    const Value image = image_of(made.last, {pick(made.size, 0, 0), pick(made.size, 0, 1)});
    return reconstruction(model.graph().root() / "decoder", image, {.channels = c.channels, .stride = c.stride});
  }
};

}  // namespace onnxport::family
