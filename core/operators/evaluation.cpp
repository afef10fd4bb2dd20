// SPDX-License-Identifier: Apache-2.0
#include "core/operators/evaluation.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

#include "core/error.hpp"
#include "core/tensor/elements.hpp"

namespace onnxport::ir {
namespace {

constexpr double exact_integers = 9007199254740992.0;  // 2^53

template <class T>
std::optional<std::vector<double>> widened(const Tensor& tensor) {
  const auto values = tensor.as<T>();
  std::vector<double> numbers(values.begin(), values.end());
  const auto fits = [](double number) { return std::fabs(number) <= exact_integers; };
  if (sizeof(T) == 8 && !std::all_of(numbers.begin(), numbers.end(), fits)) return std::nullopt;
  return numbers;
}

template <class T>
std::optional<Tensor> narrowed(const std::vector<double>& numbers, Tensor tensor) {
  const auto to = tensor.as<T>();
  const double lowest = std::max(-exact_integers, static_cast<double>(std::numeric_limits<T>::lowest())),
               highest = std::min(exact_integers, static_cast<double>(std::numeric_limits<T>::max()));
  for (size_t i = 0; i < numbers.size(); ++i) {
    const double whole = std::trunc(numbers[i]);
    if (!(whole >= lowest && whole <= highest)) return std::nullopt;
    to[i] = static_cast<T>(whole);
  }
  return tensor;
}

/// The weight that the row's rule makes of the constants, as a tensor.
std::optional<Tensor> by_rule(const Operator& op, const Known& known) {
  if (op.fold.rule == nullptr || known.results.size() != 1) return std::nullopt;
  std::vector<Weight> inputs;
  for (const Tensor* input : known.inputs) {
    if (input == nullptr) return std::nullopt;
    // Borrowed: it outlives the weight.
    inputs.push_back(constant_weight(std::shared_ptr<const Tensor>(std::shared_ptr<void>(), input)));
  }
  if (inputs.empty()) return std::nullopt;
  const std::optional<Weight> weight = op.fold.rule({known.node, inputs, known.shape()});
  return weight ? std::optional(materialize(*weight)) : std::nullopt;
}

}  // namespace

std::vector<int64_t> Known::shape(size_t result) const {
  std::vector<int64_t> shape;
  for (const Dim& dim : results.at(result).shape) shape.push_back(dim.size());
  return shape;
}

std::optional<std::vector<double>> numbers_of(const Tensor& tensor) {
  switch (tensor.dtype) {
    case DType::i64:
      return widened<int64_t>(tensor);
    case DType::u64:
      return widened<uint64_t>(tensor);
    case DType::i32:
      return widened<int32_t>(tensor);
    case DType::u32:
      return widened<uint32_t>(tensor);
    case DType::i16:
      return widened<int16_t>(tensor);
    case DType::u16:
      return widened<uint16_t>(tensor);
    case DType::i8:
      return widened<int8_t>(tensor);
    case DType::u8:
    case DType::boolean:
      return widened<uint8_t>(tensor);
    default:
      break;
  }
  if (!can_convert(tensor.dtype, DType::f64)) return std::nullopt;
  std::vector<double> numbers(static_cast<size_t>(tensor.element_count()));
  convert_elements(tensor.dtype, tensor.data.data(), DType::f64, reinterpret_cast<std::byte*>(numbers.data()),
                   numbers.size());
  return numbers;
}

std::optional<Tensor> tensor_of(const std::vector<double>& numbers, DType dtype, std::vector<int64_t> shape) {
  Tensor tensor{dtype, std::move(shape), std::vector<std::byte>(numbers.size() * size_of(dtype))};
  switch (dtype) {
    case DType::i64:
      return narrowed<int64_t>(numbers, std::move(tensor));
    case DType::u64:
      return narrowed<uint64_t>(numbers, std::move(tensor));
    case DType::i32:
      return narrowed<int32_t>(numbers, std::move(tensor));
    case DType::u32:
      return narrowed<uint32_t>(numbers, std::move(tensor));
    case DType::i16:
      return narrowed<int16_t>(numbers, std::move(tensor));
    case DType::u16:
      return narrowed<uint16_t>(numbers, std::move(tensor));
    case DType::i8:
      return narrowed<int8_t>(numbers, std::move(tensor));
    case DType::u8:
      return narrowed<uint8_t>(numbers, std::move(tensor));
    case DType::boolean:
      std::transform(numbers.begin(), numbers.end(), tensor.as<uint8_t>().begin(),
                     [](double number) { return static_cast<uint8_t>(number != 0); });
      return tensor;
    default:
      break;
  }
  if (!can_convert(DType::f64, dtype)) return std::nullopt;
  convert_elements(DType::f64, reinterpret_cast<const std::byte*>(numbers.data()), dtype, tensor.data.data(),
                   numbers.size());
  return tensor;
}

Evaluated as_result(const Known& x, const std::vector<double>& numbers) {
  std::optional<Tensor> tensor = tensor_of(numbers, x.dtype(), x.shape());
  return tensor ? Evaluated({*std::move(tensor)}) : std::nullopt;
}

Evaluated evaluate(const Known& known) {
  const Operator* op = find_operator(known.node.domain, known.node.op);
  if (op == nullptr || !known.node.bodies.empty()) return std::nullopt;
  for (const TensorType& result : known.results) {
    if (!element_count(result.shape)) return std::nullopt;
  }
  if (std::optional<Tensor> tensor = by_rule(*op, known)) return std::vector<Tensor>{*std::move(tensor)};
  return op->fold.evaluate == nullptr ? std::nullopt : op->fold.evaluate(known);
}

}  // namespace onnxport::ir
