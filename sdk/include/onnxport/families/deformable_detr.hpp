// SPDX-License-Identifier: Apache-2.0
// Deformable DETR and what is made like it: what a backbone sees at several scales, where its places lie, and boxes
// around them that may become queries.
// Source: DeformableDetrModel and DeformableDetrEncoder, transformers 4.57 (modeling_deformable_detr.py).
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <limits>
#include <string>
#include <vector>

#include <onnxport/blocks/deformable_attention.hpp>
#include <onnxport/families/detr.hpp>

namespace onnxport::family {

/// The encoder or the decoder of such a model, by the fields that begin with `of`.
struct DeformableSide {
  DeformableSide(const Config& c, const std::string& of, int64_t default_inner)
      : layers(c.count(of + "layers", 6)),
        heads(c.size(of + "attention_heads", 8)),
        inner(c.size(of + "ffn_dim", default_inner)),
        points(c.size(of + "n_points", 4)) {}
  DeformableAttention sampling(int64_t levels) const {
    return {.heads = heads, .points = std::vector<int64_t>(static_cast<size_t>(levels), points)};
  }
  int64_t layers, heads, inner, points;
};

/// What the backbone sees, as tokens of all scales.
struct SeenScales {
  TokenLevels image;
  Value positions;           ///< f32[batch, Σ rows·columns, width]
  Value mask;                ///< i64[batch, Σ rows·columns]
  std::vector<Value> masks;  ///< f32[batch, rows, columns] of each
  Value valid;               ///< which share of the columns and rows counts: f32[batch, levels, 2]
};

struct ScalesOptions {
  const Backbone& backbone;
  int64_t levels;                         ///< the backbone's stages, and coarser ones behind
  ImagePositions positions;               ///< of a place, and as wide as its token
  const char* projection = "input_proj";  ///< what takes a stage to that width
};

namespace detail {

/// How many columns and rows count: f32[batch, rows, columns] -> f32[batch, 2].
inline Value counted_sides(const Operand& mask) {
  return concat({unsqueeze(sum(pick(mask, 1, 0), {1}), {1}), unsqueeze(sum(pick(mask, 2, 0), {1}), {1})}, 1);
}

}  // namespace detail

/// Which share of an image's columns and rows counts: f[batch, n, rows, columns], f32[batch, rows, columns] ->
/// f32[batch, 2].
inline Value valid_share(const Operand& image, const Value& mask) {
  const Value size = gather(shape_of(image, 2, 4), image.graph().integers({1, 0}));
  return detail::counted_sides(mask) / cast(size, DType::f32);
}

/// Throws CONFIG where the backbone has more stages than there are levels.
inline SeenScales see_scales(const Scope& model, const Inputs& in, const ScalesOptions& options) {
  const int64_t width = options.positions.width;
  // The wrapper of timm's models in version 5 has one module more.
  const Scope encoder = model / "backbone.conv_encoder.model";
  const std::vector<Value> stages =
      options.backbone(first_with("conv1.weight", {encoder, encoder / "_backbone"}), in.at("pixel_values")).stages;
  if (static_cast<int64_t>(stages.size()) > options.levels) {
    throw Error(ONNXPORT_CONFIG, "the backbone yields " + std::to_string(stages.size()) +
                                     " stages, more than config field 'num_feature_levels' (" +
                                     std::to_string(options.levels) + "). See 'backbone_config.out_features'");
  }
  const Value table = model.weight("level_embed", {options.levels, width});
  std::vector<Value> levels, positions, masks, valid;
  SeenScales made;
  for (int64_t i = 0; i < options.levels; ++i) {
    const Scope at = model / options.projection / i;
    const auto own = static_cast<int64_t>(stages.size());
    // Behind the stages, coarser ones are made of the last one, and of one another.
    const Value& from = i < own ? stages[static_cast<size_t>(i)] : i == own ? stages.back() : levels.back();
    const ConvOptions small{.out = width, .kernel = 3, .stride = 2, .padding = 1};
    const Value x = conv2d(at / 0, from, i < own ? ConvOptions{.out = width} : small);
    levels.push_back(group_norm(at / 1, x, {.groups = 32}));
    const Value mask = mask_over(levels.back(), in.at("pixel_mask"));
    positions.push_back(image_positions(model, mask, options.positions) + pick(table, 0, i));
    masks.push_back(cast(reshape(mask, {0, -1}), DType::i64));
    made.masks.push_back(mask);
    valid.push_back(unsqueeze(valid_share(levels.back(), mask), {1}));
  }
  made.image = token_levels(levels);
  made.positions = concat(positions, 1);
  made.mask = concat(masks, 1);
  made.valid = concat(valid, 1);
  return made;
}

namespace detail {

/// The middle of each place of a level, as a share of the rows and columns that count: f32[batch, rows·columns, 2].
inline Value middles_in(const Scope& s, const SeenScales& seen, size_t level) {
  const Value whole = unsqueeze(counted_sides(seen.masks[level].in(s)), {1});
  return unsqueeze(middles_of(s, seen.image.levels[level]), {0}) / whole;
}

}  // namespace detail

/// Where each place looks, at every level: f32[batch, Σ rows·columns, levels, 2].
/// Source: DeformableDetrEncoder.get_reference_points.
inline Value references_of_places(const Scope& s, const SeenScales& seen) {
  std::vector<Value> places;
  for (size_t i = 0; i < seen.image.levels.size(); ++i) places.push_back(detail::middles_in(s, seen, i));
  return unsqueeze(concat(places, 1), {2}) * unsqueeze(seen.valid, {1});
}

/// Where a query looks, at every level: f32[batch, n, 2 or 4] -> f32[batch, n, levels, 2 or 4].
inline Value references_at_levels(const Operand& references, const SeenScales& seen) {
  const Value shares = references.fixed(2) == 4 ? concat({seen.valid, seen.valid}, 2) : seen.valid;
  return unsqueeze(references, {2}) * unsqueeze(shares, {1});
}

/// A box around each place, twice as large at each level as at the one before.
struct PlaceBoxes {
  Value counts;  ///< whether it lies within the image: b[batch, Σ rows·columns, 1]
  Value boxes;   ///< f32[batch, Σ rows·columns, 4]

  /// Before a sigmoid, and infinite where they do not count.
  Value unbounded() const {
    const Value infinite = boxes.graph().scalar(std::numeric_limits<float>::infinity());
    return where(counts, log(boxes / (1.0 - boxes)), infinite);
  }
};
/// Source: DeformableDetrModel.gen_encoder_output_proposals.
inline PlaceBoxes boxes_around_places(const Scope& model, const SeenScales& seen) {
  Graph& g = model.graph();
  std::vector<Value> all;
  for (size_t i = 0; i < seen.image.levels.size(); ++i) {
    const Value middle = detail::middles_in(model, seen, i);
    const Value side = g.scalar(0.05 * static_cast<double>(1 << i));
    all.push_back(concat({middle, g.op("Expand", {side, shape_of(middle, 0, 3)})}, 2));
  }
  const Value boxes = concat(all, 1);
  const auto compared = [&](const char* op, double bound) { return g.op(op, {boxes, g.scalar(bound)}); };
  const Value inside = g.op("And", {compared("Greater", 0.01), compared("Less", 0.99)});
  const Value beyond = largest(cast(logical_not(inside), DType::f32), {2}, true);
  const Value counts = g.op("And", {equal(beyond, g.scalar(0)), equal(unsqueeze(seen.mask, {2}), 1)});
  return {counts, boxes};
}
/// What an encoder made of the places, as queries: nothing of those that do not count. f32[batch, Σ rows·columns, n] ->
/// the same.
inline Value queries_of_places(const Scope& model, const Operand& memory, const PlaceBoxes& boxes, const Norm& form) {
  const Value kept = where(boxes.counts, memory, model.graph().scalar(0));
  return norm(model / "enc_output_norm", linear(model / "enc_output", kept, {.out = memory.fixed(2)}), form);
}

/// A head of a decoder's layer. Checkpoints have a copy of those below the decoder, and one for all layers where they
/// are the same.
inline Scope head_of_layer(const Scope& root, const char* name, int64_t layer) {
  const std::vector<Scope> places{root / name / layer, root / "model.decoder" / name / layer, root / name / 0};
  for (const Scope& place : places) {
    for (const char* weight : {"weight", "layers.0.weight", "bias"}) {
      if (place.has(weight)) return place;
    }
  }
  return places[0];
}

}  // namespace onnxport::family
