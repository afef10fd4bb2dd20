// SPDX-License-Identifier: Apache-2.0
// How much memory this process may still take.
#pragma once

#include <cstdint>
#include <string>

namespace onnxport {

struct AvailableMemory {
  uint64_t bytes = 0;
  std::string limited_by;  ///< "the machine", "the control group", "the address space limit (ulimit -v)"
};

/// The least that the machine, the process's control groups (a container) and its own limits leave.
AvailableMemory available_memory();

}  // namespace onnxport
