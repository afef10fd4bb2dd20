// SPDX-License-Identifier: Apache-2.0
// What validation needs of the machine, known before it begins.
#pragma once

#include <cstdint>

namespace onnxport {

/// Throws Error(usage) naming what is missing where a back end is not installed.
void require_backends(bool reference);

/// Throws Error(usage) with the figures where both back ends would not fit into memory with these weights.
void require_memory(uint64_t weight_bytes, uint64_t file_bytes);

}  // namespace onnxport
