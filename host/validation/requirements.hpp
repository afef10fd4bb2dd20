// SPDX-License-Identifier: Apache-2.0
// What validation needs of the machine, known before it begins.
#pragma once

#include <cstdint>
#include <optional>

namespace onnxport {

/// Throws Error(usage) naming what is missing where a back end is not installed.
void require_backends(bool reference);
/// Opens them and what they need, so that one that does not work is known before anything is written. Throws
/// Error(usage) with what the system says.
void probe_backends(bool reference);

/// What the two back ends take, in bytes.
struct ValidationMemory {
  uint64_t weights;                 // in f32
  uint64_t file;                    // the weights as they are written
  uint64_t activations = 0;         // of the run that takes most; 0 where no run is known yet
  std::optional<uint64_t> limit{};  // --max-memory
};
/// Throws Error(usage) with the figures where both back ends would not fit into memory, or into the limit.
void require_memory(const ValidationMemory& memory);

}  // namespace onnxport
