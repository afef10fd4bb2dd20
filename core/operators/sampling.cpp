// SPDX-License-Identifier: Apache-2.0
#include "core/operators/sampling.hpp"

namespace onnxport::ir {

ValueId counted(Builder& b, ValueId length) {
  const ValueId count = b.op("Squeeze", {length}, {{"axes", std::vector<int64_t>{0}}});
  return b.op("Range", {b.integer(0), count, b.integer(1)});
}

ValueId multiplied_along(Builder& b, ValueId x, size_t axis, ValueId matrix) {
  const size_t rank = b.shape(x).size();
  if (axis + 2 == rank) return b.op("MatMul", {matrix, x});
  const ValueId turned = b.transpose(matrix, {1, 0});
  if (axis + 1 == rank) return b.op("MatMul", {x, turned});
  std::vector<int64_t> swapped;
  for (size_t i = 0; i < rank; ++i) swapped.push_back(static_cast<int64_t>(i));
  std::swap(swapped[axis], swapped.back());
  return b.transpose(b.op("MatMul", {b.transpose(x, swapped), turned}), swapped);
}

ValueId cubic_filter(Builder& b, ValueId d, double a) {
  const auto number = [&](double value) { return b.scalar(value, b.dtype(d)); };
  const auto times = [&](ValueId x, ValueId y) { return b.op("Mul", {x, y}); };
  const auto plus = [&](ValueId x, double y) { return b.op("Add", {x, number(y)}); };
  const ValueId near = plus(times(plus(times(d, number(a + 2)), -(a + 3)), times(d, d)), 1);
  const ValueId far = times(plus(times(plus(times(plus(d, -5), d), 8), d), -4), number(a));
  const ValueId beyond = b.op("Where", {b.op("Less", {d, number(2)}), far, number(0)});
  return b.op("Where", {b.op("Less", {d, number(1)}), near, beyond});
}

}  // namespace onnxport::ir
