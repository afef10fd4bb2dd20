// SPDX-License-Identifier: Apache-2.0
// The lowering rules of Pad, which takes some axes only since opset 18, and wraps around since opset 19.
#include <algorithm>
#include <limits>

#include "core/passes/rules.hpp"

namespace onnxport {
namespace {

using ir::ValueId;
using Results = std::vector<ValueId>;
using Ints = std::vector<int64_t>;

constexpr int64_t to_end = std::numeric_limits<int64_t>::max();

/// The axes that are padded, from 0.
Ints padded_axes(Builder& b) {
  const auto rank = static_cast<int64_t>(b.shape(b.node().input(0)).size());
  Ints axes = b.node().integers("axes");
  for (int64_t& axis : axes) axis = axis < 0 ? axis + rank : axis;
  for (int64_t i = 0; i < rank && !b.node().has("axes"); ++i) axes.push_back(i);
  return axes;
}

/// What is left out says 0: pads of some axes -> of all.
Results of_all_axes(Builder& b, const Ints& axes) {
  const ir::Node& node = b.node();
  const size_t rank = b.shape(node.input(0)).size(), count = axes.size();
  // Where each pad of the whole stands in those of the axes; behind them stands a 0.
  Ints places(2 * rank, static_cast<int64_t>(2 * count));
  for (size_t i = 0; i < count; ++i) {
    const auto axis = static_cast<size_t>(axes[i]);
    places[axis] = static_cast<int64_t>(i);
    places[axis + rank] = static_cast<int64_t>(i + count);
  }
  ir::Attributes attributes = node.attributes;
  attributes.erase("axes");
  Results inputs{node.input(0)};
  if (node.input(1) == ir::absent) {
    Ints pads = node.integers("pads"), all;
    pads.push_back(0);
    for (int64_t place : places) all.push_back(pads[static_cast<size_t>(place)]);
    attributes["pads"] = std::move(all);
  } else {
    const ValueId pads = b.op("Concat", {node.input(1), b.integers({0})}, {{"axis", int64_t{0}}});
    inputs.push_back(b.op("Gather", {pads, b.integers(places)}, {{"axis", int64_t{0}}}));
  }
  return b.graph().add_node({"", "Pad", node.scope, std::move(inputs), {}, std::move(attributes), ""});
}

/// One end of a slice along an axis, at a place that is an i64[1] of the graph.
ValueId sliced(Builder& b, ValueId x, int64_t axis, ValueId begin, ValueId end) {
  return b.op("Slice", {x, begin, end}, {{"axes", Ints{axis}}});
}

/// The last entries before the first ones, and the first behind the last, axis by axis.
Results wrapped(Builder& b) {
  const ir::Node& node = b.node();
  ValueId x = node.input(0);
  const Ints axes = padded_axes(b), known = node.integers("pads");
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
  const ir::Node& node = b.node();
  const Ints axes = padded_axes(b), known = node.integers("pads");
  if (node.input(1) == ir::absent && std::all_of(known.begin(), known.end(), [](int64_t pad) { return pad == 0; }))
    return {node.input(0)};
  if (b.opset() < 19 && node.text("mode", "constant") == "wrap") return wrapped(b);
  if (b.opset() < 18 && node.has("axes")) return of_all_axes(b, axes);
  return b.graph().add_node({"", "Pad", node.scope, node.inputs, {}, node.attributes, ""});
}

constexpr RuleRow rows[] = {
    {"", "Pad", every_opset, pad},
};

}  // namespace

std::span<const RuleRow> padding_rules() {
  return rows;
}

}  // namespace onnxport
