// SPDX-License-Identifier: Apache-2.0
// Whether numbers are numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "core/tensor/dtype.hpp"

namespace onnxport {

/// The place of the first element that is NaN or an infinity, in elements from the first of `bytes`; none where all are
/// finite, or of a type that has neither or is not looked at (the 8-bit floats). As fast as memory is read.
std::optional<uint64_t> first_not_finite(ir::DType dtype, std::span<const std::byte> bytes);

}  // namespace onnxport
