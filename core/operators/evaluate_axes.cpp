// SPDX-License-Identifier: Apache-2.0
// Constants along axes: sums and their like, products of matrices, what counts.
#include <algorithm>
#include <cmath>
#include <map>
#include <string_view>

#include "core/ir/inference.hpp"
#include "core/operators/evaluation.hpp"

namespace onnxport::ir {

/// How a reduction begins, what an element adds, and what becomes of it at the end.
struct Reduction {
  double begin;
  double (*add)(double sum, double number);
  double (*finish)(double sum, double count);
};

namespace {

constexpr int64_t most_products = 1 << 24;  // of a matrix product that is worth the time

const std::map<std::string_view, Reduction>& reductions() {
  const auto same = [](double sum, double) { return sum; };
  const auto plus = [](double sum, double number) { return sum + number; };
  static const std::map<std::string_view, Reduction> table{
      {"ReduceSum", {0, plus, same}},
      {"ReduceMean", {0, plus, [](double sum, double count) { return sum / count; }}},
      {"ReduceProd", {1, [](double sum, double number) { return sum * number; }, same}},
      {"ReduceMax", {-INFINITY, [](double sum, double number) { return std::max(sum, number); }, same}},
      {"ReduceMin", {INFINITY, [](double sum, double number) { return std::min(sum, number); }, same}},
      {"ReduceL2",
       {0, [](double sum, double number) { return sum + number * number; },
        [](double sum, double) { return std::sqrt(sum); }}},
  };
  return table;
}

int64_t count_of(const std::vector<int64_t>& shape) {
  int64_t count = 1;
  for (int64_t size : shape) count *= size;
  return count;
}

/// The place of the matrix that broadcasting takes for the nth one of a stack.
int64_t matrix_at(const std::vector<int64_t>& shape, const std::vector<int64_t>& stack, int64_t n) {
  int64_t place = 0, step = 1;
  for (size_t i = 0; i < stack.size(); ++i) {
    const int64_t index = n % stack.end()[-1 - static_cast<std::ptrdiff_t>(i)];
    n /= stack.end()[-1 - static_cast<std::ptrdiff_t>(i)];
    if (i + 2 >= shape.size()) continue;
    const int64_t size = shape.end()[-3 - static_cast<std::ptrdiff_t>(i)];
    if (size != 1) place += index * step;
    step *= size;
  }
  return place;
}

}  // namespace

Reducer::Reducer(const std::string& op, const std::vector<int64_t>& shape, const std::vector<int64_t>& axes)
    : how_(reductions().at(op)), shape_(shape), strides_(shape.size(), 1) {
  for (int64_t axis : axes) strides_[axis_index(axis, shape.size())] = 0;
  if (axes.empty()) std::fill(strides_.begin(), strides_.end(), 0);
  int64_t step = 1;
  for (size_t axis = shape.size(); axis-- > 0;) {
    if (strides_[axis] == 0) {
      reduced_ *= static_cast<double>(shape[axis]);
    } else {
      strides_[axis] = step;
      step *= shape[axis];
    }
  }
  sums_.assign(static_cast<size_t>(step), how_.begin);
}

bool Reducer::knows(const std::string& op) {
  return reductions().contains(op);
}

void Reducer::add(uint64_t first, std::span<const double> numbers) {
  std::vector<int64_t> index(shape_.size(), 0);
  int64_t place = 0;
  for (size_t axis = shape_.size(); axis-- > 0;) {
    index[axis] = static_cast<int64_t>(first % static_cast<uint64_t>(shape_[axis]));
    first /= static_cast<uint64_t>(shape_[axis]);
    place += index[axis] * strides_[axis];
  }
  for (double number : numbers) {
    double& sum = sums_[static_cast<size_t>(place)];
    sum = how_.add(sum, number);
    for (size_t axis = shape_.size(); axis-- > 0;) {
      place += strides_[axis];
      if (++index[axis] < shape_[axis]) break;
      place -= strides_[axis] * shape_[axis];
      index[axis] = 0;
    }
  }
}

std::vector<double> Reducer::results() const {
  std::vector<double> results = sums_;
  for (double& sum : results) sum = how_.finish(sum, reduced_);
  return results;
}

Evaluated evaluate_reduction(const Known& x) {
  const auto numbers = numbers_of(x.in(0));
  if (!numbers || numbers->empty() || !Reducer::knows(x.node.op)) return std::nullopt;
  Reducer reducer(x.node.op, x.in(0).shape, x.node.integers("axes"));
  reducer.add(0, *numbers);
  return as_result(x, reducer.results());
}

Evaluated evaluate_range(const Known& x) {
  const auto start = numbers_of(x.in(0)), step = numbers_of(x.in(2));
  if (!start || !step) return std::nullopt;
  std::vector<double> numbers(static_cast<size_t>(count_of(x.shape())));
  for (size_t i = 0; i < numbers.size(); ++i) numbers[i] = (*start)[0] + static_cast<double>(i) * (*step)[0];
  return as_result(x, numbers);
}

Evaluated evaluate_trilu(const Known& x) {
  std::optional<std::vector<double>> numbers = numbers_of(x.in(0));
  if (!numbers) return std::nullopt;
  const std::vector<int64_t> shape = x.shape();
  const int64_t rows = shape.end()[-2], columns = shape.back(), k = x.node.integer("k", 0);
  const bool upper = x.node.integer("upper", 1) != 0;
  for (size_t i = 0; i < numbers->size(); ++i) {
    const auto at = static_cast<int64_t>(i);
    const int64_t from_diagonal = at % columns - at / columns % rows;
    if (upper ? from_diagonal < k : from_diagonal > k) (*numbers)[i] = 0;
  }
  return as_result(x, *numbers);
}

Evaluated evaluate_cumulative_sum(const Known& x) {
  std::optional<std::vector<double>> numbers = numbers_of(x.in(0));
  if (!numbers || x.node.inputs.size() > 1) return std::nullopt;
  const std::vector<int64_t> shape = x.shape();
  const size_t axis = axis_index(x.node.integer("axis", 0), shape.size());
  const bool exclusive = x.node.integer("exclusive", 0) != 0, reverse = x.node.integer("reverse", 0) != 0;
  const int64_t length = shape[axis], inner = row_major_strides(shape)[axis];
  for (int64_t row = 0; length > 0 && row < count_of(shape) / length; ++row) {
    const int64_t first = row / inner * inner * length + row % inner;
    double sum = 0;
    for (int64_t i = 0; i < length; ++i) {
      double& number = (*numbers)[static_cast<size_t>(first + (reverse ? length - 1 - i : i) * inner)];
      const double before = sum;
      sum += number;
      number = exclusive ? before : sum;
    }
  }
  return as_result(x, *numbers);
}

Evaluated evaluate_matmul(const Known& x) {
  const std::vector<int64_t>&a_shape = x.in(0).shape, &b_shape = x.in(1).shape, shape = x.shape();
  const int64_t rows = shape.end()[-2], columns = shape.back(), inner = a_shape.back();
  if (count_of(shape) * inner > most_products) return std::nullopt;
  const auto a = numbers_of(x.in(0)), b = numbers_of(x.in(1));
  if (!a || !b) return std::nullopt;
  const std::vector<int64_t> stack(shape.begin(), shape.end() - 2);
  std::vector<double> numbers(static_cast<size_t>(count_of(shape)));
  for (int64_t n = 0; n < count_of(stack); ++n) {
    const double* left = a->data() + matrix_at(a_shape, stack, n) * rows * inner;
    const double* right = b->data() + matrix_at(b_shape, stack, n) * inner * columns;
    double* to = numbers.data() + n * rows * columns;
    for (int64_t row = 0; row < rows; ++row) {
      for (int64_t i = 0; i < inner; ++i) {
        const double factor = left[row * inner + i];
        for (int64_t column = 0; column < columns; ++column)
          to[row * columns + column] += factor * right[i * columns + column];
      }
    }
  }
  return as_result(x, numbers);
}

}  // namespace onnxport::ir
