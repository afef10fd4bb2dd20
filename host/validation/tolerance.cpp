// SPDX-License-Identifier: Apache-2.0
#include "host/validation/tolerance.hpp"

#include <fmt/format.h>

namespace onnxport {

Tolerance tolerance_for(const OnnxConfig& config, ir::DType dtype, std::optional<double> atol) {
  return tolerance_for(config.atol_for_validation(), dtype, atol);
}

Tolerance tolerance_for(double usual, ir::DType dtype, std::optional<double> atol) {
  if (atol) return {.absolute = *atol, .relative = usual_relative};
  // 16 units in the last place of the type: dozens of layers each round a few times.
  const double units = 16 * (dtype == ir::DType::f16 ? 0x1p-11 : dtype == ir::DType::bf16 ? 0x1p-8 : 0x1p-24);
  return {.absolute = usual, .relative = usual_relative, .of_largest = units};
}

std::string describe(const Tolerance& tolerance) {
  std::string text = fmt::format("{:.1e}", tolerance.absolute);
  if (tolerance.relative > 0) text += fmt::format(" + {:.0e} of each value", tolerance.relative);
  if (tolerance.of_largest > 0) text += fmt::format(" + {:.0e} of an output's largest", tolerance.of_largest);
  return text;
}

}  // namespace onnxport
