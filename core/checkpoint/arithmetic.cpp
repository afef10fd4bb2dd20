// SPDX-License-Identifier: Apache-2.0
#include "core/checkpoint/arithmetic.hpp"

#include <fmt/format.h>

#include <cmath>
#include <type_traits>
#include <vector>

#include "core/tensor/elements.hpp"
#include "core/error.hpp"

namespace onnxport {
namespace {

bool is_narrow_float(ir::DType dtype) {
  return dtype == ir::DType::f16 || dtype == ir::DType::bf16;
}

template <class T>
T result(Arithmetic how, T left, T right) {
  switch (how) {
    case Arithmetic::add:
      return left + right;
    case Arithmetic::subtract:
      return left - right;
    case Arithmetic::multiply:
      return left * right;
    default:
      if constexpr (std::is_integral_v<T>) {
        if (right == 0) throw Error(Failure::checkpoint, "an integer constant of the model is divided by 0");
      }
      return left / right;
  }
}

template <class T>
void combine(const Operation& operation, std::byte* target, const std::byte* other, uint64_t count) {
  auto* to = reinterpret_cast<T*>(target);
  const auto* with = reinterpret_cast<const T*>(other);
  for (uint64_t i = 0; i < count; ++i) {
    to[i] = operation.reversed ? result<T>(operation.how, with[i], to[i]) : result<T>(operation.how, to[i], with[i]);
  }
}

float value(const Transform& function, float x) {
  const auto wide = static_cast<double>(x);
  if (const auto* root = std::get_if<InverseRoot>(&function))
    return static_cast<float>(1.0 / std::sqrt(wide + root->epsilon));
  switch (std::get<Apply>(function).function) {
    case Function::negation:
      return -x;
    case Function::exponential:
      return static_cast<float>(std::exp(wide));
    case Function::root:
      return std::sqrt(x);
    default:
      return 1.F / x;
  }
}

/// Does `body` to the elements as f32, and rounds what comes out.
template <class Body>
void widened(ir::DType dtype, std::byte* target, uint64_t count, Body body) {
  std::vector<float> values(count);
  auto* bytes = reinterpret_cast<std::byte*>(values.data());
  convert_elements(dtype, target, ir::DType::f32, bytes, count);
  body(bytes);
  convert_elements(ir::DType::f32, bytes, dtype, target, count);
}

[[noreturn]] void refuse(ir::DType dtype) {
  throw Error(Failure::checkpoint, fmt::format("weights of type {} cannot be computed with", ir::name_of(dtype)),
              "convert the checkpoint to f32, f16 or bf16 first");
}

}  // namespace

bool can_compute(ir::DType dtype) {
  return dtype == ir::DType::f32 || is_narrow_float(dtype) || dtype == ir::DType::i64 || dtype == ir::DType::i32;
}

void combine_elements(ir::DType dtype, const Operation& operation, std::byte* target, const std::byte* other,
                      uint64_t count) {
  if (dtype == ir::DType::f32) return combine<float>(operation, target, other, count);
  if (dtype == ir::DType::i64) return combine<int64_t>(operation, target, other, count);
  if (dtype == ir::DType::i32) return combine<int32_t>(operation, target, other, count);
  if (!is_narrow_float(dtype)) refuse(dtype);
  std::vector<float> wide(count);
  auto* with = reinterpret_cast<std::byte*>(wide.data());
  convert_elements(dtype, other, ir::DType::f32, with, count);
  widened(dtype, target, count, [&](std::byte* values) { combine<float>(operation, values, with, count); });
}

void apply_to_elements(ir::DType dtype, const Transform& function, std::byte* target, uint64_t count) {
  if (dtype != ir::DType::f32 && !is_narrow_float(dtype)) refuse(dtype);
  const auto each = [&](std::byte* bytes) {
    auto* values = reinterpret_cast<float*>(bytes);
    for (uint64_t i = 0; i < count; ++i) values[i] = value(function, values[i]);
  };
  if (dtype == ir::DType::f32)
    each(target);
  else
    widened(dtype, target, count, each);
}

}  // namespace onnxport
