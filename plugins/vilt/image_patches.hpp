// SPDX-License-Identifier: Apache-2.0
// How ViLT sees images of several sizes in one batch: each has its own part of the patches, and positions that are
// stretched over that part. Source: ViltEmbeddings.visual_embed, transformers 4.57 (modeling_vilt.py). The original
// puts the patches in a random order, in which their positions go along; here they stay row by row.
#pragma once

#include <vector>

#include <onnxport/families/vit.hpp>

namespace onnxport::family {

struct MaskedPatches {
  Value tokens;  ///< f[batch, 1 + patches, hidden], with positions
  Value mask;    ///< i64[batch, 1 + patches]: 1 where a patch is of the image
};

/// Shares of `trained` places at the `count` places of each image, as align_corners has them: shares that a line
/// between neighbours gives, f[batch, places, trained]; 0 behind an image's last place.
/// places: i64 scalar, count: f[batch].
inline Value stretched(const Value& places, const Value& count, int64_t trained) {
  Graph& g = count.graph();
  const Value zero = g.scalar(0, DType::f32), one = g.scalar(1, DType::f32);
  const Value place = unsqueeze(cast(range(places), DType::f32), {0}), of = unsqueeze(count, {1});
  const Value step = static_cast<double>(trained - 1) / g.op("Max", {of - 1.0, one});
  const Value distance = unsqueeze(place * step, {2}) - cast(range(g.integer(trained)), DType::f32);
  const Value share = g.op("Max", {one - g.op("Abs", {distance}), zero});
  return where(unsqueeze(g.op("Less", {place, of}), {2}), share, zero);
}

struct PatchesOfImages {
  explicit PatchesOfImages(const Config& c)
      : channels(c.size("num_channels", 3)),
        image(c.size("image_size", 384)),
        patch(c.size("patch_size", 32)),
        grid(image / patch),
        layer{c.size("hidden_size", 768),   c.size("num_attention_heads", 12), c.size("intermediate_size", 3072),
              c.text("hidden_act", "gelu"), c.real("layer_norm_eps", 1e-12),   c.boolean("qkv_bias", true)} {
    if (grid == 0) throw Error(ONNXPORT_CONFIG, "config field 'patch_size' is larger than image_size");
  }

  std::vector<AxisSize> sizes() const {
    return {{.axis = axis::num_channels, .usual = channels},
            {.axis = axis::height, .usual = image, .minimum = patch},
            {.axis = axis::width, .usual = image, .minimum = patch}};
  }

  /// pixels: f[batch, channels, height, width], mask: i64[batch, height, width], 1 in the upper left part that an image
  /// fills.
  MaskedPatches operator()(const Scope& s, const Value& pixels, const Value& mask) const {
    Graph& g = s.graph();
    const int64_t width = layer.hidden;
    const Patches patches = patch_stem(s, pixels, {.width = width, .patch = patch, .channels = channels});
    const Value counts =
        squeeze(interpolate(unsqueeze(cast(mask, DType::f32), {1}), patches.size, Interpolation::nearest), {1});
    const Value rows = sum(pick(counts, 2, 0), {1}), columns = sum(pick(counts, 1, 0), {1});

    const Value table = s.weight("position_embeddings", {1, 1 + grid * grid, width});
    const Value square = reshape(slice(table, {1, 1}), {grid, grid, width});
    const Value across = einsum("bcq,pqd->bpcd", {stretched(size_of(patches.image, 3), columns, grid), square});
    const Value places = einsum("brp,bpcd->brcd", {stretched(size_of(patches.image, 2), rows, grid), across});

    const Value tokens = patches.tokens + reshape(places, {0, -1, width});
    const Value first = s.weight("cls_token", {1, 1, width}) + slice(table, {1, 0, 1});
    const Value counted = cast(reshape(counts, {0, -1}), DType::i64);
    const Value always = g.op("Expand", {g.integers({1}), concat({shape_of(counted, 0, 1), g.integers({1})}, 0)});
    return {prepend({first}, tokens), concat({always, counted}, 1)};
  }

  int64_t channels, image, patch, grid;
  ViTLayer layer;
};

}  // namespace onnxport::family
