// SPDX-License-Identifier: Apache-2.0
// Entries chosen by places, and entries put at places.
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <numeric>

#include "core/import/numbers.hpp"
#include "core/import/rows.hpp"
#include "core/ir/builder.hpp"
#include "core/ir/operators.hpp"

namespace onnxport::script {
namespace {

using ir::to_end;

/// Entries [begin, end) of an axis, each bound a number or a size.
Items slice(Call& call) {
  if (call.at(0).as<List>() != nullptr) {  // slice(list, start, end, step)
    const Items& items = call.list(0);
    const auto size = static_cast<int64_t>(items.size());
    const auto bound = [&](int64_t at) { return std::clamp<int64_t>(at < 0 ? at + size : at, 0, size); };
    const int64_t begin = bound(call.integer(1, 0)), end = bound(call.integer(2, to_end)), step = call.integer(3, 1);
    Items chosen;
    for (int64_t i = begin; i < end; i += step) chosen.push_back(items[static_cast<size_t>(i)]);
    return {Item::list(std::move(chosen))};
  }
  const ValueId x = call.tensor(0);
  const auto axis = static_cast<int64_t>(call.axis(call.integer(1, 0), call.rank(x)));
  const Dim length = call.shape(x)[static_cast<size_t>(axis)];
  // What the run alone knows is told from the beginning.
  const auto from_begin = [&](const Integer& at) {
    if (at.dim.is_static() || compare(call, at, int64_t{0}).value_or(0) >= 0) return at;
    return add(call, call.size_of_axis(x, static_cast<size_t>(axis)), at);
  };
  const Integer begin = from_begin(call.has(2) ? call.size(2) : Integer{Dim(0)});
  const Integer end = from_begin(call.has(3) ? call.size(3) : Integer{Dim(to_end)});
  const int64_t step = call.integer(4, 1);
  const bool is_whole_end =
      end.dim == length || (end.dim.is_static() && end.dim.size() >= std::numeric_limits<int32_t>::max());
  if (begin.dim == Dim(0) && is_whole_end && step == 1) return {Tensor{x}};
  ir::Attributes attributes{{"axes", Ints{axis}}};
  if (step != 1) attributes["steps"] = Ints{step};
  if (begin.dim.is_static() && (end.dim.is_static() || is_whole_end)) {
    attributes["starts"] = Ints{begin.dim.size()};
    attributes["ends"] = Ints{is_whole_end ? to_end : end.dim.size()};
    return {Tensor{call.op("Slice", {x}, attributes)}};
  }
  const Integer last = is_whole_end ? Integer{Dim(to_end)} : end;
  return {Tensor{call.op("Slice", {x, call.shape_tensor({begin}), call.shape_tensor({last})}, attributes)}};
}

Items select(Call& call) {
  const ValueId x = call.tensor(0);
  const auto axis = static_cast<int64_t>(call.axis(call.integer(1), call.rank(x)));
  return {Tensor{call.op("Gather", {x, value_of(call, call.size(2))}, {{"axis", axis}})}};
}

Items narrow(Call& call) {
  const ValueId x = call.tensor(0);
  const auto axis = static_cast<int64_t>(call.axis(call.integer(1), call.rank(x)));
  const Integer begin = call.size(2), end = add(call, begin, call.size(3));
  return {Tensor{call.op("Slice", {x, call.shape_tensor({begin}), call.shape_tensor({end})}, {{"axes", Ints{axis}}})}};
}

Items index_select(Call& call) {
  const ValueId x = call.tensor(0);
  const auto axis = static_cast<int64_t>(call.axis(call.integer(1), call.rank(x)));
  return {Tensor{call.op("Gather", {x, call.cast(call.tensor(2), DType::i64)}, {{"axis", axis}})}};
}

Items gather(Call& call) {
  const ValueId x = call.tensor(0);
  const auto axis = static_cast<int64_t>(call.axis(call.integer(1), call.rank(x)));
  return {Tensor{call.op("GatherElements", {x, call.tensor(2)}, {{"axis", axis}})}};
}

Items embedding(Call& call) {
  const ValueId table = call.tensor(0), ids = call.cast(call.tensor(1), DType::i64);
  if (call.rank(table) == 2) return {Tensor{call.composite("Embedding", {table, ids})}};
  return {Tensor{call.op("Gather", {table, ids}, {{"axis", int64_t{0}}})}};
}

/// A tensor that is indexed: what is indexed stands first, in the order of its axes, and the rest behind it.
struct Indexed {
  ValueId x = 0;                // axes in that order
  std::vector<ValueId> places;  // i64, one for each of the first axes
  Ints order;                   // of x's axes before
  bool is_apart = false;        // axes that are not neighbours: the places' axes stand in front of the result
  size_t first = 0;             // the first axis that is indexed
};

/// x[:, index, …]: a tensor of flags stands for the places where it is true.
Indexed indexed(Call& call, ValueId x, const Items& indices) {
  Indexed result;
  Ints rest;
  size_t axis = 0, last = 0;
  for (const Item& item : indices) {
    if (item.is_none()) {
      rest.push_back(static_cast<int64_t>(axis++));
      continue;
    }
    ValueId index = call.tensor_of(item);
    if (result.order.empty()) result.first = axis;
    result.is_apart = result.is_apart || (!result.order.empty() && axis != last + 1);
    if (call.dtype(index) == DType::boolean || call.dtype(index) == DType::u8) {
      const auto count = static_cast<int64_t>(call.rank(index));
      const ValueId places = call.op("NonZero", {index});
      for (int64_t i = 0; i < count; ++i) {
        result.places.push_back(call.squeeze(call.slice(places, 0, i, i + 1), {0}));
        result.order.push_back(static_cast<int64_t>(axis++));
      }
    } else {
      result.places.push_back(call.cast(index, DType::i64));
      result.order.push_back(static_cast<int64_t>(axis++));
    }
    last = axis - 1;
  }
  while (axis < call.rank(x)) rest.push_back(static_cast<int64_t>(axis++));
  result.order.insert(result.order.end(), rest.begin(), rest.end());
  result.x = call.transpose(x, result.order);
  return result;
}

/// The places of several axes, i64[..., axes].
ValueId joined_places(Call& call, const std::vector<ValueId>& places) {
  ir::Shape common;
  for (ValueId one : places) common = ir::broadcast(common, call.shape(one));
  std::vector<Integer> sizes(common.size(), {Dim(1)});
  for (ValueId one : places) {
    const size_t added = common.size() - call.rank(one);
    for (size_t axis = 0; axis < call.rank(one); ++axis) {
      if (!(call.shape(one)[axis] == Dim(1))) sizes[added + axis] = call.size_of_axis(one, axis);
    }
  }
  const auto end = static_cast<int64_t>(common.size());
  std::vector<ValueId> parts;
  for (ValueId one : places) parts.push_back(call.unsqueeze(call.expand(one, sizes), {end}));
  return parts.size() == 1 ? parts[0] : call.op("Concat", parts, {{"axis", end}});
}

Items index(Call& call) {
  const ValueId x = call.tensor(0);
  const Items& indices = call.list(1);
  const Indexed by = indexed(call, x, indices);
  if (by.places.empty()) return {Tensor{x}};
  if (by.places.size() == 1)
    return {Tensor{call.op("Gather", {x, by.places[0]}, {{"axis", static_cast<int64_t>(by.first)}})}};
  const ValueId places = joined_places(call, by.places);
  const size_t count = call.rank(places) - 1;
  ValueId y = call.op("GatherND", {by.x, places});
  if (by.is_apart || by.first == 0) return {Tensor{y}};
  // The places' axes go where the first of the axes was that they index.
  Ints order;
  for (size_t i = 0; i < by.first; ++i) order.push_back(static_cast<int64_t>(count + i));
  for (size_t i = 0; i < count; ++i) order.push_back(static_cast<int64_t>(i));
  for (size_t i = count + by.first; i < call.rank(y); ++i) order.push_back(static_cast<int64_t>(i));
  return {Tensor{call.transpose(y, order)}};
}

bool is_flags(Call& call, const Item& item) {
  return item.as<Tensor>() != nullptr && call.dtype(call.tensor_of(item)) == DType::boolean;
}

/// A tensor of the shape of another, as numpy broadcasts it.
ValueId broadcast_to(Call& call, ValueId value, ValueId like) {
  return call.expand(value, call.sizes_of(like));
}

Items index_put(Call& call) {
  const ValueId x = call.tensor(0);
  const Items& indices = call.list(1);
  const bool adds = call.flag(3, false);
  ValueId values = call.cast(call.tensor(2), call.dtype(x));
  if (indices.size() == 1 && is_flags(call, indices[0]) && !adds && call.rank(values) == 0) {
    ValueId mask = call.tensor_of(indices[0]);
    Ints behind;
    for (size_t axis = call.rank(mask); axis < call.rank(x); ++axis) behind.push_back(static_cast<int64_t>(axis));
    mask = call.unsqueeze(mask, behind);
    return {Tensor{call.op("Where", {mask, values, x})}};
  }
  const Indexed by = indexed(call, x, indices);
  if (by.is_apart || (by.first != 0 && call.rank(values) > 1))
    call.refuse("puts values along axes that are not the first");
  const ValueId places = joined_places(call, by.places);
  std::vector<Integer> sizes = call.sizes_of(places);
  sizes.pop_back();
  for (size_t axis = by.places.size(); axis < call.rank(by.x); ++axis) sizes.push_back(call.size_of_axis(by.x, axis));
  values = call.expand(values, sizes);
  ir::Attributes attributes;
  if (adds) attributes["reduction"] = std::string("add");
  const ValueId y = call.op("ScatterND", {by.x, places, values}, attributes);
  Ints back(by.order.size());
  for (size_t i = 0; i < by.order.size(); ++i) back[static_cast<size_t>(by.order[i])] = static_cast<int64_t>(i);
  return {Tensor{call.transpose(y, back)}};
}

Items scatter(Call& call) {
  const ValueId x = call.tensor(0), places = call.tensor(2);
  const auto axis = static_cast<int64_t>(call.axis(call.integer(1), call.rank(x)));
  ValueId values = call.cast(call.tensor(3), call.dtype(x));
  if (call.rank(values) == 0) values = broadcast_to(call, values, places);
  ir::Attributes attributes{{"axis", axis}};
  if (call.name().starts_with("scatter_add")) attributes["reduction"] = std::string("add");
  if (call.has(4) && call.at(4).as<std::string>() != nullptr)
    attributes["reduction"] = call.text(4) == "multiply" ? "mul" : call.text(4) == "add" ? "add" : "none";
  return {Tensor{call.op("ScatterElements", {x, places, values}, attributes)}};
}

/// index_add(x, axis, places, source, alpha)
Items index_add(Call& call) {
  const ValueId x = call.tensor(0), places = call.cast(call.tensor(2), DType::i64);
  const auto axis = static_cast<int64_t>(call.axis(call.integer(1), call.rank(x)));
  if (axis != 0 || call.number(4, 1) != 1) call.refuse("is known along the first axis");
  return {Tensor{call.op("ScatterND", {x, call.unsqueeze(places, {1}), call.cast(call.tensor(3), call.dtype(x))},
                         {{"reduction", std::string("add")}})}};
}

/// Entries where flags are true, one behind the other.
Items masked_select(Call& call) {
  const ValueId x = call.tensor(0);
  const ValueId mask = broadcast_to(call, call.tensor(1), x);
  const ValueId places = call.transpose(call.op("NonZero", {mask}), {1, 0});
  return {Tensor{call.op("GatherND", {x, places})}};
}

/// The values of a source, one by one, where flags are true.
Items masked_scatter(Call& call) {
  const ValueId x = call.tensor(0), mask = broadcast_to(call, call.tensor(1), x);
  const ValueId places = call.transpose(call.op("NonZero", {mask}), {1, 0});
  const ValueId count = call.op("Shape", {places}, {{"start", int64_t{0}}, {"end", int64_t{1}}});
  const ValueId source = call.reshape(call.cast(call.tensor(2), call.dtype(x)), {{Dim(-1)}});
  const ValueId values = call.op("Slice", {source, call.integers_of({0}), count}, {{"axes", Ints{0}}});
  return {Tensor{call.op("ScatterND", {x, places, values})}};
}

Items nonzero(Call& call) {
  const ValueId places = call.op("NonZero", {call.tensor(0)});
  if (call.name() == "nonzero") return {Tensor{call.transpose(places, {1, 0})}};
  Items axes;
  for (int64_t i = 0; i < static_cast<int64_t>(call.rank(call.tensor(0))); ++i)
    axes.push_back(Tensor{call.squeeze(call.slice(places, 0, i, i + 1), {0})});
  return {Item::list(std::move(axes))};
}

Items one_hot(Call& call) {
  const ValueId x = call.tensor(0);
  const int64_t classes = call.integer(1, -1);
  if (classes < 1) call.refuse("has as many classes as the run alone knows", "give it num_classes");
  const ValueId own = call.unsqueeze(x, {static_cast<int64_t>(call.rank(x))});
  return {Tensor{call.cast(call.op("Equal", {own, counted(call, {Dim(classes)})}), DType::i64)}};
}

/// How many boundaries are below, or not above, each value.
Items bucketize(Call& call) {
  const ValueId x = call.tensor(0), own = call.unsqueeze(x, {static_cast<int64_t>(call.rank(x))});
  const std::vector<ValueId> both = promoted(call, {Tensor{own}, call.at(1)});
  const ValueId is_above = call.op(call.flag(3, false) ? "GreaterOrEqual" : "Greater", both);
  return {
      Tensor{call.op("ReduceSum", {call.cast(is_above, DType::i64)}, {{"axes", Ints{-1}}, {"keepdims", int64_t{0}}})}};
}

/// Windows of an axis, each a row of a new last one.
Items unfold(Call& call) {
  const ValueId x = call.tensor(0);
  const size_t axis = static_cast<size_t>(call.axis_of(x, 1));
  const int64_t size = call.integer(2), step = call.integer(3);
  const Integer room = subtract(call, call.size_of_axis(x, axis), {Dim(size)});
  const Integer count = add(call, floor_divide(call, room, {Dim(step)}), {Dim(1)});
  const ValueId begin = call.op("Mul", {counted(call, count), call.scalar(static_cast<double>(step), DType::i64)});
  const ValueId places = call.op("Add", {call.unsqueeze(begin, {1}), counted(call, {Dim(size)})});
  const ValueId y = call.op("Gather", {x, places}, {{"axis", static_cast<int64_t>(axis)}});
  Ints order;
  for (size_t i = 0; i < call.rank(y); ++i) {
    if (i != axis + 1) order.push_back(static_cast<int64_t>(i));
  }
  order.push_back(static_cast<int64_t>(axis) + 1);
  return {Tensor{call.transpose(y, order)}};
}

}  // namespace

const std::vector<Row>& indexing_rows() {
  static const std::vector<Row> rows{
      {"aten::slice", slice},
      {"aten::select", select},
      {"aten::narrow", narrow},
      {"aten::index_select", index_select},
      {"aten::gather", gather},
      {"aten::take_along_dim", gather},
      {"aten::embedding", embedding},
      {"aten::index", index},
      {"aten::index_put", index_put},
      {"aten::_index_put_impl", index_put},
      {"aten::scatter", scatter},
      {"aten::scatter_add", scatter},
      {"aten::index_add", index_add},
      {"aten::masked_select", masked_select},
      {"aten::masked_scatter", masked_scatter},
      {"aten::nonzero", nonzero},
      {"aten::nonzero_numpy", nonzero},
      {"aten::one_hot", one_hot},
      {"aten::bucketize", bucketize},
      {"aten::unfold", unfold},
  };
  return rows;
}

}  // namespace onnxport::script
