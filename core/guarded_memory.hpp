// SPDX-License-Identifier: Apache-2.0
// Memory in which a process notes what it does, and which the code of plugins cannot write over by accident: it can be
// read only, but for the moments in which something is noted.
#pragma once

#include <cstddef>
#include <mutex>

namespace onnxport {

/// Guards these pages from now on, in this process and its children, in place of what was guarded before. `memory` is
/// the begin of a page.
void guard_memory(void* memory, size_t size);

/// The guarded memory can be written as long as this lives; nothing where none is guarded. One thread after the other
/// has it, and none twice. [any-thread]
class WriteAccess {
 public:
  WriteAccess();
  ~WriteAccess();
  WriteAccess(const WriteAccess&) = delete;
  WriteAccess& operator=(const WriteAccess&) = delete;

 private:
  std::unique_lock<std::mutex> lock_;
};

}  // namespace onnxport
