// SPDX-License-Identifier: Apache-2.0
#include "core/ir/scalar.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "core/checkpoint/convert.hpp"
#include "core/error.hpp"

namespace onnxport::ir {

double bound_of(DType dtype) {
  switch (dtype) {
    case DType::f16:
      return 0x1.ff8p15;
    case DType::bf16:
      return 0x1.fcp127;
    case DType::f64:
      return std::numeric_limits<double>::max();
    default:
      return std::numeric_limits<float>::max();
  }
}

Tensor float_scalar(double value, DType dtype) {
  if (!is_floating(dtype)) throw Error(Failure::internal, "a number with a fraction as " + std::string(name_of(dtype)));
  if (dtype == DType::f64) return Tensor::of<double>(dtype, {}, {value});
  const double bound = bound_of(dtype);
  const auto bounded = static_cast<float>(std::isfinite(value) ? std::clamp(value, -bound, bound) : value);
  Tensor scalar{dtype, {}, std::vector<std::byte>(size_of(dtype))};
  convert_elements(DType::f32, reinterpret_cast<const std::byte*>(&bounded), dtype, scalar.data.data(), 1);
  return scalar;
}

}  // namespace onnxport::ir
