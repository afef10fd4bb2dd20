// SPDX-License-Identifier: Apache-2.0
// How much memory this process may still take.
#pragma once

#include <cstdint>
#include <string>

namespace onnxport {

struct AvailableMemory {
  uint64_t bytes = 0;
  std::string limited_by;  ///< "the machine", "the control group", "the limit on the address space (ulimit -v)",
                           ///< "--max-memory", …
};

/// Makes libraries that are loaded later heed the limits that this process was started with (ulimit -v, ulimit -d).
void heed_process_limits();

/// Bounds what this process takes for itself: available_memory() leaves no more than the rest, and allocations beyond
/// fail. Throws Error(usage) for less than an export takes.
void limit_memory(uint64_t bytes);

/// Bytes for tiles on their way, of a process that may take so much in all.
uint64_t tile_memory(uint64_t bytes);

/// The least that the machine, the process's control groups (a container) and its own limits leave.
AvailableMemory available_memory();

}  // namespace onnxport
