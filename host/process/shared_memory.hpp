// SPDX-License-Identifier: Apache-2.0
// Memory that a process and its children see alike.
#pragma once

#include <sys/mman.h>

#include <memory>
#include <new>

namespace onnxport {

/// An object of plain memory and lock-free atomics, all zeros, made before the child; null where there is no memory. It
/// stays until the process ends, since handlers of signals may look at it.
template <class Object>
Object* make_shared_object() {
  void* memory = ::mmap(nullptr, sizeof(Object), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  // Fresh pages are zeros; to write some would make the system find memory for all of a large one.
  return memory == MAP_FAILED ? nullptr : new (memory) Object;
}

}  // namespace onnxport
