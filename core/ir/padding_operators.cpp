// SPDX-License-Identifier: Apache-2.0
// A border around a tensor.
#include <algorithm>

#include "core/ir/inference.hpp"

namespace onnxport::ir {
namespace {

/// The axes that are padded: those of the attribute, or all.
std::vector<size_t> padded_axes(const Inference& x) {
  const size_t rank = x.shape(0).size();
  std::vector<size_t> axes;
  for (int64_t axis : x.node.integers("axes")) axes.push_back(axis_index(axis, rank));
  for (size_t i = 0; i < rank && !x.node.has("axes"); ++i) axes.push_back(i);
  for (size_t i = 0; i < axes.size(); ++i) {
    if (std::count(axes.begin(), axes.end(), axes[i]) > 1) refuse(fmt::format("axis {} is named twice", axes[i]));
  }
  return axes;
}

/// What stands before each padded axis, then what stands behind.
Shape pads_of(const Inference& x, size_t count) {
  if (x.has(1) && x.node.has("pads")) refuse("has pads as an attribute and as an input");
  if (x.has(1)) {
    require_rank(x, 1, 1);
    if (dtype_of(x, 1) != DType::i64) refuse("its pads must be i64");
    require_same(x.shape(1)[0], Dim(static_cast<int64_t>(count)), "the number of its pads");
    if (x.in(1).contents) return *x.in(1).contents;
    Shape unknown;
    for (size_t i = 0; i < count; ++i) unknown.push_back(Dim::symbol(fmt::format("pad {} of {}", i, x.node.scope)));
    return unknown;
  }
  Shape pads;
  for (int64_t pad : x.node.integers("pads")) pads.emplace_back(pad);
  if (pads.size() != count)
    refuse(fmt::format("its attribute 'pads' has {} entries; expected {}, two an axis", pads.size(), count));
  return pads;
}

void infer_pad(Inference& x) {
  const std::string mode = x.node.text("mode", "constant");
  if (mode != "constant" && mode != "reflect" && mode != "edge" && mode != "wrap")
    refuse("there is no mode '" + mode + "'; known: constant, reflect, edge, wrap");
  if (x.node.has("value") && mode != "constant") refuse("has a value, and mode " + mode + " takes none");
  const std::vector<size_t> axes = padded_axes(x);
  const Shape pads = pads_of(x, 2 * axes.size());
  Shape shape = x.shape(0);
  for (size_t i = 0; i < axes.size(); ++i) {
    Dim& size = shape[axes[i]];
    for (const Dim& pad : {pads[i], pads[i + axes.size()]}) {
      if (!pad.is_static()) continue;
      if (pad.size() < 0) refuse(fmt::format("a pad of {} takes away; use Slice", pad.size()));
      const int64_t most = mode == "reflect" ? size.constant() - 1 : size.constant();
      if ((mode == "reflect" || mode == "wrap") && size.is_static() && pad.size() > most)
        refuse(fmt::format("a pad of {} in mode {} of an axis of length {}", pad.size(), mode, size.to_string()));
    }
    size = size + pads[i] + pads[i + axes.size()];
  }
  set(x, dtype_of(x), std::move(shape));
}

}  // namespace

const std::vector<Operator>& padding_operators() {
  using enum AttributeKind;
  static const std::vector<Operator> rows{
      {"", "Pad", 1, 2, 1, infer_pad, {{"pads", integers}, {"axes", integers}, {"mode", text}, {"value", real}}},
  };
  return rows;
}

}  // namespace onnxport::ir
