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
  /// Whether pages of files that a library maps for writing count too, though the system could give them back.
  bool counts_mapped_files = false;
};

/// Makes libraries that are loaded later heed the limits that this process was started with (ulimit -v, ulimit -d).
void heed_process_limits();

/// Bounds what this process takes for itself: available_memory() leaves no more than the rest, and allocations beyond
/// fail. Throws Error(usage) for less than an export takes.
void limit_memory(uint64_t bytes);

/// The least limit that this process was given, in words: "--max-memory 500 MB", "the limit on the address space
/// (ulimit -v) 2.0 GB"; empty where there is none.
std::string memory_limit();

/// The exit status of a process that tell_of_exhaustion() ended; its deed says the limit.
inline constexpr int ended_for_memory = 12;

/// Libraries that get no memory may crash instead of saying so. From now on a crash of this process while most of its
/// limit is used up ends it with that status.
void tell_of_exhaustion();

/// What to do where memory does not suffice.
inline constexpr const char* memory_hint =
    "give it more memory, or pass --no-validate to export without being checked, which needs little";

/// Bytes for tiles on their way, of a process that may take so much in all.
uint64_t tile_memory(uint64_t bytes);

/// The least that the machine, the process's control groups (a container) and its own limits leave.
AvailableMemory available_memory();

}  // namespace onnxport
