// SPDX-License-Identifier: Apache-2.0
// Tensors put together, cut into parts, and padded.
#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "core/import/numbers.hpp"
#include "core/import/rows.hpp"

namespace onnxport::script {
namespace {

std::vector<ValueId> of_one_type(Call& call, const Items& items) {
  Items kept;
  for (const Item& item : items) {
    const ValueId one = call.tensor_of(item);
    // An empty tensor of one axis is nothing, whatever the others are.
    if (call.rank(one) == 1 && call.shape(one)[0] == Dim(0) && items.size() > 1) continue;
    kept.push_back(Tensor{one});
  }
  if (kept.empty()) call.refuse("joins nothing");
  return promoted(call, kept);
}

Items cat(Call& call) {
  const std::vector<ValueId> parts = of_one_type(call, call.list(0));
  if (parts.size() == 1) return {Tensor{parts[0]}};
  const auto axis = static_cast<int64_t>(call.axis(call.integer(1, 0), call.rank(parts[0])));
  return {Tensor{call.op("Concat", parts, {{"axis", axis}})}};
}

Items stack(Call& call) {
  std::vector<ValueId> parts = promoted(call, call.list(0));
  const auto axis = static_cast<int64_t>(call.axis(call.integer(1, 0), call.rank(parts.at(0)) + 1));
  for (ValueId& part : parts) part = call.unsqueeze(part, {axis});
  return {Tensor{parts.size() == 1 ? parts[0] : call.op("Concat", parts, {{"axis", axis}})}};
}

Items split_into(Call& call, ValueId x, int64_t axis, const Ints& sizes) {
  Items parts;
  if (sizes.size() == 1) {
    parts.push_back(Tensor{x});
  } else {
    for (ValueId part : call.ops("", "Split", {x}, {{"axis", axis}, {"split", sizes}}, sizes.size()))
      parts.push_back(Tensor{part});
  }
  return {Item::list(std::move(parts))};
}

int64_t known_length(Call& call, ValueId x, int64_t axis) {
  const Dim& dim = call.shape(x)[static_cast<size_t>(axis)];
  if (!dim.is_static())
    call.refuse(fmt::format("cuts an axis of {}, whose number of parts the run alone knows", dim.to_string()),
                "give the axis a size in --input");
  return dim.size();
}

Ints parts_of(int64_t length, int64_t each) {
  Ints sizes;
  for (int64_t begin = 0; begin < length; begin += each) sizes.push_back(std::min(each, length - begin));
  return sizes;
}

Items split(Call& call) {
  const ValueId x = call.tensor(0);
  const int64_t axis = static_cast<int64_t>(call.axis(call.integer(2, 0), call.rank(x)));
  if (call.at(1).as<List>() == nullptr)
    return split_into(call, x, axis, parts_of(known_length(call, x, axis), call.integer(1)));
  const std::vector<Integer> sizes = call.sizes(1);
  if (std::all_of(sizes.begin(), sizes.end(), [](const Integer& size) { return size.dim.is_static(); }))
    return split_into(call, x, axis, call.integers(1));
  Items parts;
  Integer begin{Dim(0)};
  for (const Integer& size : sizes) {
    const Integer end = add(call, begin, size);
    parts.push_back(
        Tensor{call.op("Slice", {x, call.shape_tensor({begin}), call.shape_tensor({end})}, {{"axes", Ints{axis}}})});
    begin = end;
  }
  return {Item::list(std::move(parts))};
}

Items chunk(Call& call) {
  const ValueId x = call.tensor(0);
  const int64_t axis = static_cast<int64_t>(call.axis(call.integer(2, 0), call.rank(x)));
  const int64_t length = known_length(call, x, axis), count = call.integer(1);
  return split_into(call, x, axis, parts_of(length, (length + count - 1) / count));
}

Items unbind(Call& call) {
  const ValueId x = call.tensor(0);
  const int64_t axis = static_cast<int64_t>(call.axis(call.integer(1, 0), call.rank(x)));
  const int64_t length = known_length(call, x, axis);
  Items parts = split_into(call, x, axis, Ints(static_cast<size_t>(length), 1));
  for (Item& part : *parts[0].as<List>()->items) part = Tensor{call.squeeze(call.tensor_of(part), {axis})};
  return parts;
}

/// The last entries come first.
Items roll(Call& call) {
  ValueId x = call.tensor(0);
  const std::vector<Integer> shifts = call.sizes(1);
  const Ints axes = call.has(2) ? call.integers(2) : Ints{};
  if (axes.empty()) call.refuse("is known along axes that are named");
  for (size_t i = 0; i < axes.size(); ++i) {
    const auto axis = static_cast<int64_t>(call.axis(axes[i], call.rank(x)));
    if (shifts.at(i).dim == Dim(0)) continue;
    ValueId last = 0, first = 0;
    if (shifts[i].dim.is_static()) {
      last = call.slice(x, axis, -shifts[i].dim.size(), std::numeric_limits<int64_t>::max());
      first = call.slice(x, axis, 0, -shifts[i].dim.size());
    } else {
      const ValueId cut =
          call.shape_tensor({subtract(call, call.size_of_axis(x, static_cast<size_t>(axis)), shifts[i])});
      const ValueId end = call.integers_of({std::numeric_limits<int64_t>::max()});
      last = call.op("Slice", {x, cut, end}, {{"axes", Ints{axis}}});
      first = call.op("Slice", {x, call.integers_of({0}), cut}, {{"axes", Ints{axis}}});
    }
    x = call.op("Concat", {last, first}, {{"axis", axis}});
  }
  return {Tensor{x}};
}

/// torch tells pads from the last axis on, before and behind.
ValueId padded(Call& call, const std::string& mode, double value) {
  ValueId x = call.tensor(0);
  const std::vector<Integer> given = call.sizes(1);
  const size_t rank = call.rank(x);
  std::vector<Integer> pads(2 * rank, {Dim(0)});
  bool is_known = true, is_above = true, is_none = true;
  for (size_t i = 0; i < given.size(); ++i) {
    const size_t axis = rank - 1 - i / 2;
    pads[axis + (i % 2) * rank] = given[i];
    is_known = is_known && given[i].dim.is_static();
    is_above = is_above && (!given[i].dim.is_static() || given[i].dim.size() >= 0);
    is_none = is_none && given[i].dim == Dim(0);
  }
  if (is_none) return x;
  ir::Attributes attributes{{"mode", mode}};
  if (mode == "constant") attributes["value"] = value;
  if (!is_above) {
    // What is below 0 is cut off.
    if (!is_known) call.refuse("cuts and pads by sizes that the run alone knows");
    for (size_t axis = 0; axis < rank; ++axis) {
      int64_t begin = 0, end = std::numeric_limits<int64_t>::max();
      if (pads[axis].dim.size() < 0) begin = -pads[axis].dim.size();
      if (pads[axis + rank].dim.size() < 0) end = pads[axis + rank].dim.size();
      if (begin != 0 || end < 0) x = call.slice(x, static_cast<int64_t>(axis), begin, end);
      for (size_t side : {axis, axis + rank}) pads[side] = {Dim(std::max<int64_t>(0, pads[side].dim.size()))};
    }
  }
  if (!is_known) {
    Ints axes;
    std::vector<Integer> before, behind;
    for (size_t axis = 0; axis < rank; ++axis) {
      if (pads[axis].dim == Dim(0) && pads[axis + rank].dim == Dim(0)) continue;
      axes.push_back(static_cast<int64_t>(axis));
      before.push_back(pads[axis]);
      behind.push_back(pads[axis + rank]);
    }
    before.insert(before.end(), behind.begin(), behind.end());
    attributes["axes"] = axes;
    return call.op("Pad", {x, call.shape_tensor(before)}, attributes);
  }
  Ints sizes;
  for (const Integer& pad : pads) sizes.push_back(pad.dim.size());
  attributes["pads"] = sizes;
  return call.op("Pad", {x}, attributes);
}

Items pad(Call& call) {
  const std::string mode = call.has(2) && call.at(2).as<std::string>() != nullptr ? call.text(2) : "constant";
  const std::string known = mode == "replicate" ? "edge" : mode == "circular" ? "wrap" : mode;
  return {Tensor{padded(call, known, mode == "constant" ? call.number(3, 0) : 0)}};
}
Items constant_pad(Call& call) {
  return {Tensor{padded(call, "constant", call.number(2, 0))}};
}
Items reflection_pad(Call& call) {
  return {Tensor{padded(call, "reflect", 0)}};
}
Items replication_pad(Call& call) {
  return {Tensor{padded(call, "edge", 0)}};
}

}  // namespace

const std::vector<Row>& joining_rows() {
  static const std::vector<Row> rows{
      {"aten::cat", cat},
      {"aten::concat", cat},
      {"aten::concatenate", cat},
      {"aten::stack", stack},
      {"aten::split", split},
      {"aten::split_with_sizes", split},
      {"aten::chunk", chunk},
      {"aten::unbind", unbind},
      {"aten::roll", roll},
      {"aten::pad", pad},
      {"aten::constant_pad_nd", constant_pad},
      {"aten::reflection_pad1d", reflection_pad},
      {"aten::reflection_pad2d", reflection_pad},
      {"aten::replication_pad1d", replication_pad},
      {"aten::replication_pad2d", replication_pad},
  };
  return rows;
}

}  // namespace onnxport::script
