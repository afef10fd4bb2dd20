// SPDX-License-Identifier: Apache-2.0
// Which patch of an image stands for the object that is to be found in another one. Source: embed_image_query of
// OwlViTForObjectDetection and Owlv2ForObjectDetection, transformers 4.57 and 5.24.
#pragma once

#include <limits>

#include <onnxport/plugin.hpp>

namespace onnxport::family {

using namespace onnxport::sdk;

/// OWLv2's since version 5: the patch that shows an object most likely. f[batch, patches] -> i64[batch, 1]
inline Value likeliest_object(const Value& objectness) {
  return objectness.graph().op("ArgMax", {objectness}, {{"axis", 1}, {"keepdims", true}});
}

/// How much of the whole image each box holds, as intersection over union. Its centre lies within the image, so that
/// each box meets it. boxes: f[batch, patches, 4], centre and size -> f[batch, patches].
inline Value share_of_image(const Value& boxes) {
  Graph& g = boxes.graph();
  const Value zero = g.scalar(0, boxes.dtype()), one = g.scalar(1, boxes.dtype());
  const auto size = [&](int64_t axis) { return pick(boxes, 2, axis + 2); };
  const auto within = [&](int64_t axis) {
    const Value centre = pick(boxes, 2, axis), half = size(axis) * 0.5;
    return g.op("Min", {centre + half, one}) - g.op("Max", {centre - half, zero});
  };
  const Value shared = within(0) * within(1);
  return shared / (1.0 + size(0) * size(1) - shared);
}

/// OWL-ViT's: of the boxes that hold nearly as much of the image as the largest does, the one that is least like the
/// mean of all patches. boxes: f[batch, patches, 4], vectors: f[batch, patches, n] -> i64[batch, 1]
inline Value most_distinct_box(const Value& boxes, const Value& vectors) {
  Graph& g = boxes.graph();
  const Value share = share_of_image(boxes);
  const Value is_large = g.op("GreaterOrEqual", {share, largest(share, {1}, true) * 0.8});
  const Value average = g.op("ReduceMean", {vectors}, {{"axes", {1}}, {"keepdims", true}});
  const Value unlikeness = -sum(vectors * average, {2});
  const Value least = g.scalar(static_cast<double>(std::numeric_limits<float>::lowest()), unlikeness.dtype());
  return g.op("ArgMax", {where(is_large, unlikeness, least)}, {{"axis", 1}, {"keepdims", true}});
}

}  // namespace onnxport::family
