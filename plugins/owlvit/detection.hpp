// SPDX-License-Identifier: Apache-2.0
// What OWL-ViT and OWLv2 make of an image's patches: a box and a vector of classes each. Source:
// OwlViTBoxPredictionHead, OwlViTClassPredictionHead and compute_box_bias, transformers 4.57 (modeling_owlvit.py);
// Owlv2ForObjectDetection (modeling_owlv2.py).
#pragma once

#include <limits>
#include <vector>

#include <onnxport/plugin.hpp>

namespace onnxport::family {

using namespace onnxport::sdk;

/// Three layers with a gelu between them: f[..., n] -> f[..., out].
inline Value patch_perceptron(const Scope& s, const Value& x, int64_t out) {
  const int64_t width = x.fixed(-1);
  const Value first = activation(linear(s / "dense0", x, {.out = width}), "gelu");
  return linear(s / "dense2", activation(linear(s / "dense1", first, {.out = width}), "gelu"), {.out = out});
}

/// ln(p) - ln(1 - p), kept away from both ends as the original does.
inline Value box_logit(const Value& p) {
  return log(p + 1e-4) - log(1.0 + 1e-4 - p);
}

/// Where each patch of rows and columns (size: i64[2]) ends, and how large it is, as logits: f[rows·columns, 4].
inline Value box_bias(const Scope& s, const Value& size) {
  Graph& g = s.graph();
  const auto length = [&](int64_t axis) { return pick(size.in(s), 0, axis); };
  const auto real = [](const Value& x) { return cast(x, DType::f32); };
  const auto ends = [&](int64_t axis) {
    return g.op("Min", {(real(range(length(axis))) + 1.0) / real(length(axis)), g.scalar(1.0, DType::f32)});
  };
  const Value of_all = concat({size, g.integers({1})}, 0);
  const auto spread = [&](const Value& x, std::vector<int64_t> axes) {
    return reshape(g.op("Expand", {unsqueeze(x, axes), of_all}), {-1, 1});
  };
  const std::vector<Value> sides{spread(ends(1), {0, 2}), spread(ends(0), {1, 2}),
                                 spread(1.0 / real(length(1)), {0, 1, 2}), spread(1.0 / real(length(0)), {0, 1, 2})};
  return box_logit(concat(sides, 1));
}

/// A box for each patch, centre and size as shares of the image: x: f[batch, patches, n] -> f[batch, patches, 4].
inline Value patch_boxes(const Scope& root, const Value& x, const Value& size) {
  const Scope head = root / "box_head";
  return sigmoid(patch_perceptron(head, x, 4) + box_bias(head, size));
}

/// Every vector at a length of nearly 1.
inline Value nearly_unit(const Value& x) {
  return x / (x.graph().op("ReduceL2", {x}, {{"axes", {-1}}, {"keepdims", true}}) + 1e-6);
}

struct ClassScores {
  Value logits;   ///< f[batch, patches, queries]
  Value vectors;  ///< f[batch, patches, n], of length 1
};
/// How well each patch x: f[batch, patches, m] fits each query f[batch, queries, n]. A query that does not count
/// (counts: b[batch, queries], or absent) has the lowest number.
inline ClassScores patch_classes(const Scope& root, const Value& x, const Value& queries, const Value& counts = {}) {
  const Scope s = root / "class_head";
  Graph& g = s.graph();
  const Value vectors = nearly_unit(linear(s / "dense0", x, {.out = queries.fixed(-1)}));
  const Value shift = linear(s / "logit_shift", x, {.out = 1});
  const Value scale = g.op("Elu", {linear(s / "logit_scale", x, {.out = 1})}, {{"alpha", 1.0}}) + 1.0;
  const Value angles = matmul(vectors, transpose(nearly_unit(queries), {0, 2, 1}));
  Value logits = (angles + shift) * scale;
  if (counts) {
    const Value lowest = g.scalar(static_cast<double>(std::numeric_limits<float>::lowest()), logits.dtype());
    logits = where(unsqueeze(counts, {1}), logits, lowest);
  }
  return {logits, vectors};
}

}  // namespace onnxport::family
