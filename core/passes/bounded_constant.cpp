// SPDX-License-Identifier: Apache-2.0
#include "core/passes/bounded_constant.hpp"

#include <algorithm>
#include <cmath>

#include "core/checkpoint/convert.hpp"
#include "core/ir/scalar.hpp"

namespace onnxport {

bool is_beyond(const ir::Tensor& constant, ir::DType dtype) {
  const double bound = ir::bound_of(dtype);
  const auto numbers = constant.as<float>();
  return std::any_of(numbers.begin(), numbers.end(), [bound](float number) { return std::fabs(number) > bound; });
}

ir::Tensor bounded_as(const ir::Tensor& constant, ir::DType dtype) {
  ir::Tensor bounded = constant;
  const auto bound = static_cast<float>(ir::bound_of(dtype));
  for (float& number : bounded.as<float>()) {
    if (std::isfinite(number)) number = std::clamp(number, -bound, bound);
  }
  ir::Tensor narrow{dtype, constant.shape, {}};
  const auto count = static_cast<uint64_t>(constant.element_count());
  narrow.data.resize(count * ir::size_of(dtype));
  convert_elements(ir::DType::f32, bounded.data.data(), dtype, narrow.data.data(), count);
  return narrow;
}

}  // namespace onnxport
