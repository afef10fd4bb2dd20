// SPDX-License-Identifier: Apache-2.0
// Constants whose elements are moved, whatever their type.
#include <algorithm>
#include <cstring>
#include <limits>

#include "core/ir/inference.hpp"
#include "core/operators/evaluation.hpp"

namespace onnxport::ir {
namespace {

using Ints = std::vector<int64_t>;

int64_t product(const Ints& shape, size_t begin, size_t end) {
  int64_t count = 1;
  for (size_t i = begin; i < end; ++i) count *= shape[i];
  return count;
}

/// Where the elements of a result lie in a tensor: the first one, and steps along its axes.
struct View {
  int64_t first = 0;
  Ints strides;
};

Tensor viewed(const Tensor& from, const View& view, Ints shape) {
  const size_t size = size_of(from.dtype);
  Tensor to{from.dtype, std::move(shape), {}};
  to.data.resize(static_cast<size_t>(to.element_count()) * size);
  Ints index(to.shape.size(), 0);
  int64_t place = view.first;
  for (size_t at = 0; at < to.data.size(); at += size) {
    std::memcpy(to.data.data() + at, from.data.data() + static_cast<size_t>(place) * size, size);
    for (size_t axis = index.size(); axis-- > 0;) {
      place += view.strides[axis];
      if (++index[axis] < to.shape[axis]) break;
      place -= view.strides[axis] * to.shape[axis];
      index[axis] = 0;
    }
  }
  return to;
}

/// An attribute's numbers, or those of the input that stands for it.
Ints operand(const Known& x, const char* name, size_t input) {
  if (!x.has(input)) return x.node.integers(name);
  const auto values = x.in(input).as<int64_t>();
  return {values.begin(), values.end()};
}

}  // namespace

Evaluated evaluate_concat(const Known& x) {
  const Ints shape = x.shape();
  const size_t axis = axis_index(x.node.integer("axis", 0), shape.size()), size = size_of(x.dtype());
  Tensor to{x.dtype(), shape, {}};
  to.data.reserve(static_cast<size_t>(to.element_count()) * size);
  for (int64_t row = 0; row < product(shape, 0, axis); ++row) {
    for (const Tensor* input : x.inputs) {
      const size_t bytes = static_cast<size_t>(product(input->shape, axis, input->shape.size())) * size;
      const auto begin = input->data.begin() + row * static_cast<std::ptrdiff_t>(bytes);
      to.data.insert(to.data.end(), begin, begin + static_cast<std::ptrdiff_t>(bytes));
    }
  }
  return Evaluated({std::move(to)});
}

Evaluated evaluate_split(const Known& x) {
  const Tensor& from = x.in(0);
  const size_t axis = axis_index(x.node.integer("axis", 0), from.shape.size());
  const Ints strides = row_major_strides(from.shape);
  std::vector<Tensor> parts;
  int64_t begin = 0;
  for (size_t i = 0; i < x.results.size(); ++i) {
    parts.push_back(viewed(from, {begin * strides[axis], strides}, x.shape(i)));
    begin += parts.back().shape[axis];
  }
  return parts;
}

Evaluated evaluate_expand(const Known& x) {
  const Tensor& from = x.in(0);
  const Ints shape = x.shape(), own = row_major_strides(from.shape);
  View view{0, Ints(shape.size(), 0)};
  for (size_t i = 0; i < own.size(); ++i) {
    if (from.shape[i] != 1) view.strides[shape.size() - own.size() + i] = own[i];
  }
  return Evaluated({viewed(from, view, shape)});
}

Evaluated evaluate_slice(const Known& x) {
  const Tensor& from = x.in(0);
  const Ints starts = operand(x, "starts", 1), axes = x.node.integers("axes"), steps = x.node.integers("steps");
  View view{0, row_major_strides(from.shape)};
  for (size_t i = 0; i < axes.size(); ++i) {
    const size_t axis = axis_index(axes[i], from.shape.size());
    const int64_t size = from.shape[axis], step = steps.empty() ? 1 : steps[i];
    const int64_t start = std::clamp<int64_t>(
        starts[i] < 0 && starts[i] > std::numeric_limits<int64_t>::min() / 2 ? starts[i] + size : starts[i], 0,
        step > 0 ? size : std::max<int64_t>(0, size - 1));
    view.first += start * view.strides[axis];
    view.strides[axis] *= step;
  }
  return Evaluated({viewed(from, view, x.shape())});
}

Evaluated evaluate_gather(const Known& x) {
  const Tensor& from = x.in(0);
  const std::optional<std::vector<double>> indices = numbers_of(x.in(1));
  if (!indices) return std::nullopt;
  const size_t axis = axis_index(x.node.integer("axis", 0), from.shape.size());
  const int64_t size = from.shape[axis], inner = product(from.shape, axis + 1, from.shape.size());
  const size_t bytes = static_cast<size_t>(inner) * size_of(from.dtype);
  Tensor to{from.dtype, x.shape(), {}};
  to.data.reserve(static_cast<size_t>(to.element_count()) * size_of(from.dtype));
  for (int64_t row = 0; row < product(from.shape, 0, axis); ++row) {
    for (double number : *indices) {
      const auto wanted = static_cast<int64_t>(number), at = wanted < 0 ? wanted + size : wanted;
      if (at < 0 || at >= size) return std::nullopt;
      const auto begin = from.data.begin() + (row * size + at) * static_cast<std::ptrdiff_t>(bytes);
      to.data.insert(to.data.end(), begin, begin + static_cast<std::ptrdiff_t>(bytes));
    }
  }
  return Evaluated({std::move(to)});
}

}  // namespace onnxport::ir
