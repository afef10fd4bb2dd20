// SPDX-License-Identifier: Apache-2.0
// What validation accepts.
#pragma once

#include <optional>
#include <string>

#include "core/definition/onnx_config.hpp"
#include "core/tensor/dtype.hpp"
#include "core/validate/compare.hpp"

namespace onnxport {

/// `atol` where the user gave one, else the model's own and, for models in 16 bits, a part of each output's largest
/// value that fits the type's precision.
Tolerance tolerance_for(const OnnxConfig& config, ir::DType dtype, std::optional<double> atol);
/// The same for a model of which that is usual.
Tolerance tolerance_for(double usual, ir::DType dtype, std::optional<double> atol);
/// "1e-05", "1e-05 + 1e-05 of each value + 8e-03 of an output's largest"
std::string describe(const Tolerance& tolerance);

}  // namespace onnxport
