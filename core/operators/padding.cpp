// SPDX-License-Identifier: Apache-2.0
// A border around a tensor. ONNX's Pad takes some axes only since opset 18, and wraps around since opset 19.
#include <fmt/format.h>

#include <algorithm>

#include "core/ir/builder.hpp"
#include "core/ir/inference.hpp"
#include "core/operators/areas.hpp"
#include "core/operators/place.hpp"

namespace onnxport::ir {
namespace {

using Ints = std::vector<int64_t>;

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
    for (size_t i = 0; i < count; ++i) unknown.push_back(Dim::symbol(fmt::format("pad {} of {}", i, place_of(x.node))));
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

// ------------------------------------------------------------------------------------------------- lowering

/// The axes that are padded, from 0.
Ints axes_of(Builder& b) {
  const auto rank = static_cast<int64_t>(b.shape(b.node().input(0)).size());
  Ints axes = b.node().integers("axes");
  for (int64_t& axis : axes) axis = axis < 0 ? axis + rank : axis;
  for (int64_t i = 0; i < rank && !b.node().has("axes"); ++i) axes.push_back(i);
  return axes;
}

/// What is left out says 0: pads of some axes -> of all.
Results of_all_axes(Builder& b, const Ints& axes) {
  const Node& node = b.node();
  const size_t rank = b.shape(node.input(0)).size(), count = axes.size();
  // Where each pad of the whole stands in those of the axes; behind them stands a 0.
  Ints places(2 * rank, static_cast<int64_t>(2 * count));
  for (size_t i = 0; i < count; ++i) {
    const auto axis = static_cast<size_t>(axes[i]);
    places[axis] = static_cast<int64_t>(i);
    places[axis + rank] = static_cast<int64_t>(i + count);
  }
  Attributes attributes = node.attributes;
  attributes.erase("axes");
  Results inputs{node.input(0)};
  if (node.input(1) == absent) {
    Ints pads = node.integers("pads"), all;
    pads.push_back(0);
    for (int64_t place : places) all.push_back(pads[static_cast<size_t>(place)]);
    attributes["pads"] = std::move(all);
  } else {
    const ValueId pads = b.op("Concat", {node.input(1), b.integers({0})}, {{"axis", int64_t{0}}});
    inputs.push_back(b.op("Gather", {pads, b.integers(places)}, {{"axis", int64_t{0}}}));
  }
  const Results padded = b.graph().add_node({"", "Pad", node.scope, std::move(inputs), {}, std::move(attributes), ""});
  // With the axes still apart one knows more: those that are not padded keep their lengths.
  std::vector<Value> results(1);
  Inference inference{b.graph(), node, results};
  infer_pad(inference);
  b.graph()[padded[0]].type = results[0].type;
  return padded;
}

/// What stands from one place of an axis to another, both i64[1].
ValueId sliced(Builder& b, ValueId x, int64_t axis, ValueId begin, ValueId end) {
  return b.op("Slice", {x, begin, end}, {{"axes", Ints{axis}}});
}

/// The last entries before the first ones, and the first behind the last, axis by axis.
Results wrapped(Builder& b) {
  const Node& node = b.node();
  ValueId x = node.input(0);
  const Ints axes = axes_of(b), known = node.integers("pads");
  const size_t count = axes.size();
  for (size_t i = 0; i < count; ++i) {
    const auto pad = [&](size_t at) {
      if (!known.empty()) return b.integers({known[at]});
      return b.op("Gather", {node.input(1), b.integers({static_cast<int64_t>(at)})}, {{"axis", int64_t{0}}});
    };
    Results parts{x};
    if (known.empty() || known[i] > 0) {
      const ValueId begin = b.op("Sub", {b.length(x, static_cast<size_t>(axes[i])), pad(i)});
      parts.insert(parts.begin(), sliced(b, x, axes[i], begin, b.integers({to_end})));
    }
    if (known.empty() || known[i + count] > 0) parts.push_back(sliced(b, x, axes[i], b.integers({0}), pad(i + count)));
    if (parts.size() > 1) x = b.op("Concat", parts, {{"axis", axes[i]}});
  }
  return {x};
}

Results pad(Builder& b) {
  const Node& node = b.node();
  const Ints axes = axes_of(b), known = node.integers("pads");
  if (node.input(1) == absent && std::all_of(known.begin(), known.end(), [](int64_t pad) { return pad == 0; }))
    return {node.input(0)};
  if (b.opset() < 19 && node.text("mode", "constant") == "wrap") return wrapped(b);
  if (b.opset() < 18 && node.has("axes")) return of_all_axes(b, axes);
  return b.keep(node.attributes);
}

}  // namespace

const std::vector<Operator>& padding_operators() {
  using enum AttributeKind;
  static const std::vector<Operator> rows{
      {.name = "Pad",
       .inputs = {1, 2},
       .infer = infer_pad,
       .attributes = {{"pads", integers, "all that stands before, then behind", {.input = 1, .since = 11}},
                      {"axes", integers, "all", {.input = 3, .since = 18}},
                      {"mode", text, "constant, reflect, edge or wrap; constant"},
                      {"value", real, "0; of a constant border", {.input = 2, .since = 11}}},
       .lowering = {{pad}},
       .documentation = {"x, [pads: i64 1-D]",
                         "pads as attribute or input, never below 0; before opset 19 wrap is made of slices"}},
  };
  return rows;
}

}  // namespace onnxport::ir
