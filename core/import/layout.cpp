// SPDX-License-Identifier: Apache-2.0
// What gives a tensor another shape, type or order of axes, and what leaves it as it is.
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "core/import/numbers.hpp"
#include "core/import/rows.hpp"

namespace onnxport::script {
namespace {

Items view(Call& call) {
  // view(dtype) looks at the bytes as another type.
  if (call.at(1).as<List>() == nullptr) call.refuse("looks at a tensor's bytes as another type");
  return {Tensor{call.reshape(call.tensor(0), call.sizes(1))}};
}

Items like_other(Call& call) {
  const std::vector<Integer> sizes = call.sizes_of(call.tensor(1));
  const bool expands = call.name() == "expand_as";
  return {Tensor{expands ? call.expand(call.tensor(0), sizes) : call.reshape(call.tensor(0), sizes)}};
}

Items expand(Call& call) {
  return {Tensor{call.expand(call.tensor(0), call.sizes(1))}};
}

/// Axes from one to another become one.
Items flatten(Call& call) {
  const ValueId x = call.tensor(0);
  const std::vector<Integer> from = call.sizes_of(x);
  if (from.empty()) return {Tensor{call.reshape(x, {{Dim(1)}})}};
  const size_t first = call.axis(call.integer(1, 0), from.size()), last = call.axis(call.integer(2, -1), from.size());
  std::vector<Integer> to(from.begin(), from.begin() + static_cast<std::ptrdiff_t>(first));
  Integer joined{Dim(1)};
  for (size_t i = first; i <= last; ++i) joined = multiply(call, joined, from[i]);
  to.push_back(joined);
  to.insert(to.end(), from.begin() + static_cast<std::ptrdiff_t>(last) + 1, from.end());
  return {Tensor{call.reshape(x, to)}};
}

/// An axis becomes several, of which one may be -1.
Items unflatten(Call& call) {
  const ValueId x = call.tensor(0);
  std::vector<Integer> to = call.sizes_of(x);
  const auto axis = static_cast<std::ptrdiff_t>(call.axis_of(x, 1));
  std::vector<Integer> parts = call.sizes(2);
  Integer known{Dim(1)};
  for (const Integer& part : parts) {
    if (!(part.dim == Dim(-1))) known = multiply(call, known, part);
  }
  for (Integer& part : parts) {
    if (part.dim == Dim(-1)) part = floor_divide(call, to[static_cast<size_t>(axis)], known);
  }
  to.erase(to.begin() + axis);
  to.insert(to.begin() + axis, parts.begin(), parts.end());
  return {Tensor{call.reshape(x, to)}};
}

Items permute(Call& call) {
  const ValueId x = call.tensor(0);
  Ints order = call.integers(1);
  for (int64_t& axis : order) axis = static_cast<int64_t>(call.axis(axis, call.rank(x)));
  return {Tensor{call.transpose(x, order)}};
}

Ints in_order(size_t rank) {
  Ints order(rank);
  std::iota(order.begin(), order.end(), 0);
  return order;
}

Items transpose(Call& call) {
  const ValueId x = call.tensor(0);
  Ints order = in_order(call.rank(x));
  std::swap(order.at(static_cast<size_t>(call.axis_of(x, 1))), order.at(static_cast<size_t>(call.axis_of(x, 2))));
  return {Tensor{call.transpose(x, order)}};
}

Items reversed_axes(Call& call) {
  const ValueId x = call.tensor(0);
  if (call.name() == "mT") return {Tensor{call.turned(x)}};
  Ints order = in_order(call.rank(x));
  std::reverse(order.begin(), order.end());
  return {Tensor{call.transpose(x, order)}};
}

Items move_axes(Call& call) {
  const ValueId x = call.tensor(0);
  const Ints from = call.integers(1), to = call.integers(2);
  Ints order(call.rank(x), -1);
  std::vector<bool> is_moved(call.rank(x));
  for (size_t i = 0; i < from.size(); ++i) {
    const size_t axis = call.axis(from[i], call.rank(x));
    order[call.axis(to.at(i), call.rank(x))] = static_cast<int64_t>(axis);
    is_moved[axis] = true;
  }
  int64_t next = 0;
  for (int64_t& axis : order) {
    if (axis >= 0) continue;
    while (is_moved[static_cast<size_t>(next)]) ++next;
    axis = next++;
  }
  return {Tensor{call.transpose(x, order)}};
}

Items unsqueeze(Call& call) {
  const ValueId x = call.tensor(0);
  return {Tensor{call.unsqueeze(x, {static_cast<int64_t>(call.axis(call.integer(1), call.rank(x) + 1))})}};
}

Items squeeze(Call& call) {
  const ValueId x = call.tensor(0);
  Ints wanted, axes;
  if (call.has(1))
    wanted = call.integers(1);
  else
    wanted = in_order(call.rank(x));
  for (int64_t one : wanted) {
    const size_t axis = call.axis(one, call.rank(x));
    if (call.rank(x) > 0 && call.shape(x)[axis] == Dim(1)) axes.push_back(static_cast<int64_t>(axis));
  }
  return {Tensor{call.squeeze(x, axes)}};
}

/// A number that a trace takes for a tensor.
Item converted_number(Call& call) {
  const auto known = call.known_number(call.at(0));
  for (size_t i = 1; i < call.count() && i < 5; ++i) {
    if (call.at(i).as<bool>() != nullptr) break;
    if (call.at(i).as<Integer>() == nullptr) continue;
    const DType dtype = call.element_type(i);
    if (dtype == DType::boolean) break;
    if (!known) return ir::is_floating(dtype) ? Item(Tensor{call.cast(call.tensor(0), dtype)}) : call.at(0);
    return ir::is_floating(dtype) ? Item(*known) : Item(static_cast<int64_t>(*known));
  }
  return call.at(0);
}

/// to(dtype, …), to(device, dtype, …), to(other, …), type_as(other)
Items convert(Call& call) {
  if (call.at(0).is_number()) return {converted_number(call)};
  const ValueId x = call.tensor(0);
  for (size_t i = 1; i < call.count() && i < 5; ++i) {
    if (call.at(i).as<Tensor>() != nullptr) return {Tensor{call.cast(x, call.dtype(call.tensor(i)))}};
    if (call.at(i).as<Integer>() != nullptr) return {Tensor{call.cast(x, call.element_type(i))}};
    // What follows a device is a type; a flag begins what a graph has no use for.
    if (call.at(i).as<bool>() != nullptr) break;
    if (call.at(i).is_none() && i > 1) continue;
  }
  return {Tensor{x}};
}

template <DType dtype>
Items convert_to(Call& call) {
  return {Tensor{call.cast(call.tensor(0), dtype)}};
}

/// Copies as many times along each axis.
Items repeat(Call& call) {
  ValueId x = call.tensor(0);
  std::vector<Integer> times = call.sizes(1);
  if (times.size() < call.rank(x)) {  // of tile()
    times.insert(times.begin(), call.rank(x) - times.size(), {Dim(1)});
  }
  Ints added(times.size() - call.rank(x));
  std::iota(added.begin(), added.end(), 0);
  x = call.unsqueeze(x, added);
  const std::vector<Integer> from = call.sizes_of(x);
  std::vector<Integer> wide, to;
  Ints new_axes;
  for (size_t i = 0; i < times.size(); ++i) {
    if (!(times[i].dim == Dim(1)) && !(from[i].dim == Dim(1))) {
      new_axes.push_back(static_cast<int64_t>(wide.size()));
      wide.push_back(times[i]);
      wide.push_back({Dim(-1)});
    } else {
      wide.push_back(times[i].dim == Dim(1) ? Integer{Dim(-1)} : times[i]);
    }
    to.push_back(multiply(call, from[i], times[i]));
  }
  return {Tensor{call.reshape(call.expand(call.unsqueeze(x, new_axes), wide), to)}};
}

/// Each entry of an axis as many times in a row.
Items repeat_interleave(Call& call) {
  ValueId x = call.tensor(0);
  if (call.at(1).as<Tensor>() != nullptr && !call.known_number(call.at(1)))
    call.refuse("repeats entries as often as the run alone knows");
  if (!call.has(2)) x = call.reshape(x, {{Dim(-1)}});
  const size_t axis = call.has(2) ? call.axis(call.integer(2), call.rank(x)) : 0;
  const Integer times = call.size(1);
  std::vector<Integer> to = call.sizes_of(x);
  to[axis] = multiply(call, to[axis], times);
  std::vector<Integer> wide(call.rank(x) + 1, {Dim(-1)});
  wide[axis + 1] = times;
  x = call.expand(call.unsqueeze(x, {static_cast<int64_t>(axis) + 1}), wide);
  return {Tensor{call.reshape(x, to)}};
}

/// Of square blocks of pixels, channels.
Items pixel_unshuffle(Call& call) {
  const ValueId x = call.tensor(0);
  if (call.rank(x) != 4) call.refuse("is known of f[batch, channels, height, width]");
  const int64_t size = call.integer(1);
  const std::vector<Integer> from = call.sizes_of(x);
  const Integer side{Dim(size)};
  const Integer rows = floor_divide(call, from[2], side), columns = floor_divide(call, from[3], side);
  const ValueId apart = call.reshape(x, {from[0], from[1], rows, side, columns, side});
  return {Tensor{call.reshape(call.transpose(apart, {0, 1, 3, 5, 2, 4}),
                              {from[0], multiply(call, from[1], {Dim(size * size)}), rows, columns})}};
}

Items pixel_shuffle(Call& call) {
  return {Tensor{
      call.op("DepthToSpace", {call.tensor(0)}, {{"blocksize", call.integer(1)}, {"mode", std::string("CRD")}})}};
}

Items flip(Call& call) {
  const ValueId x = call.tensor(0);
  Ints axes = call.integers(1);
  for (int64_t& axis : axes) axis = static_cast<int64_t>(call.axis(axis, call.rank(x)));
  return {Tensor{call.op("Slice", {x},
                         {{"starts", Ints(axes.size(), -1)},
                          {"ends", Ints(axes.size(), std::numeric_limits<int64_t>::min())},
                          {"axes", axes},
                          {"steps", Ints(axes.size(), -1)}})}};
}

/// The lower or the upper triangle.
Items triangle(Call& call) {
  const bool is_upper = call.name().starts_with("triu");
  ValueId x = call.tensor(0);
  const DType dtype = call.dtype(x);
  if (dtype == DType::boolean) x = call.cast(x, DType::i64);  // runtimes know no triangles of flags
  const ir::Attributes attributes{{"upper", int64_t{is_upper}}, {"k", call.integer(1, 0)}};
  return {Tensor{call.cast(call.op("Trilu", {x}, attributes), dtype)}};
}

}  // namespace

const std::vector<Row>& layout_rows() {
  static const std::vector<Row> rows{
      {"aten::detach", as_it_is},
      {"aten::contiguous", as_it_is},
      {"aten::alias", as_it_is},
      {"aten::lift_fresh", as_it_is},
      {"aten::lift", as_it_is},
      {"aten::requires_grad_", as_it_is},
      {"aten::cpu", as_it_is},
      {"aten::cuda", as_it_is},
      {"aten::resolve_conj", as_it_is},
      {"aten::resolve_neg", as_it_is},
      {"prim::data", as_it_is},
      {"aten::clone", as_it_is},
      {"aten::view", view},
      {"aten::reshape", view},
      {"aten::_unsafe_view", view},
      {"aten::_reshape_alias", view},
      {"aten::view_as", like_other},
      {"aten::reshape_as", like_other},
      {"aten::expand_as", like_other},
      {"aten::expand", expand},
      {"aten::broadcast_to", expand},
      {"aten::flatten", flatten},
      {"aten::unflatten", unflatten},
      {"aten::permute", permute},
      {"aten::transpose", transpose},
      {"aten::swapaxes", transpose},
      {"aten::swapdims", transpose},
      {"aten::t", reversed_axes},
      {"aten::numpy_T", reversed_axes},
      {"aten::mT", reversed_axes},
      {"aten::movedim", move_axes},
      {"aten::moveaxis", move_axes},
      {"aten::unsqueeze", unsqueeze},
      {"aten::squeeze", squeeze},
      {"aten::to", convert},
      {"aten::type_as", convert},
      {"aten::float", convert_to<DType::f32>},
      {"aten::double", convert_to<DType::f64>},
      {"aten::half", convert_to<DType::f16>},
      {"aten::long", convert_to<DType::i64>},
      {"aten::int", convert_to<DType::i32>},
      {"aten::bool", convert_to<DType::boolean>},
      {"aten::repeat", repeat},
      {"aten::tile", repeat},
      {"aten::repeat_interleave", repeat_interleave},
      {"aten::pixel_shuffle", pixel_shuffle},
      {"aten::pixel_unshuffle", pixel_unshuffle},
      {"aten::flip", flip},
      {"aten::tril", triangle},
      {"aten::triu", triangle},
  };
  return rows;
}

}  // namespace onnxport::script
