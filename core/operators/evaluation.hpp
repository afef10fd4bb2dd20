// SPDX-License-Identifier: Apache-2.0
// What operators yield of constants, number by number. Rows name these functions; ir::evaluate() asks a row.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/ir/operators.hpp"

namespace onnxport::ir {

/// The elements as doubles. nullopt where these do not hold them: integers beyond 2^53.
std::optional<std::vector<double>> numbers_of(const Tensor& tensor);
/// The numbers as a type's, rounded to nearest even; of integers without their fraction. nullopt where an integer type
/// does not have them.
std::optional<Tensor> tensor_of(const std::vector<double>& numbers, DType dtype, std::vector<int64_t> shape);
/// The numbers as the one result of a node, where its type has them.
Evaluated as_result(const Known& x, const std::vector<double>& numbers);

Evaluated evaluate_unary(const Known& x);
Evaluated evaluate_binary(const Known& x);
Evaluated evaluate_where(const Known& x);
Evaluated evaluate_cast(const Known& x);
Evaluated evaluate_clip(const Known& x);

Evaluated evaluate_concat(const Known& x);
Evaluated evaluate_split(const Known& x);
Evaluated evaluate_expand(const Known& x);
Evaluated evaluate_slice(const Known& x);
Evaluated evaluate_gather(const Known& x);

Evaluated evaluate_range(const Known& x);
Evaluated evaluate_trilu(const Known& x);
Evaluated evaluate_reduction(const Known& x);
Evaluated evaluate_cumulative_sum(const Known& x);
Evaluated evaluate_matmul(const Known& x);

/// A reduction over axes (ReduceSum, ReduceL2, …) of a tensor that comes in runs of elements.
class Reducer {
 public:
  /// `axes` may count from the end; none: all.
  Reducer(const std::string& op, const std::vector<int64_t>& shape, const std::vector<int64_t>& axes);
  /// Whether there is such a reduction.
  static bool knows(const std::string& op);
  /// The elements from the place `first` on, in row-major order.
  void add(uint64_t first, std::span<const double> numbers);
  /// Row-major over the axes that stay.
  std::vector<double> results() const;

 private:
  const struct Reduction& how_;
  std::vector<int64_t> shape_;
  std::vector<int64_t> strides_;  // in the result; 0 along an axis that is reduced
  std::vector<double> sums_;
  double reduced_ = 1;  // elements that make one
};

}  // namespace onnxport::ir
