// SPDX-License-Identifier: Apache-2.0
#include "core/guarded_memory.hpp"

#include <sys/mman.h>

namespace onnxport {
namespace {

struct Region {
  void* begin = nullptr;
  size_t size = 0;

  void allow(int rights) const {
    if (begin != nullptr) ::mprotect(begin, size, rights);
  }
} guarded;
std::mutex writing;

}  // namespace

void guard_memory(void* memory, size_t size) {
  guarded = {memory, size};
  guarded.allow(PROT_READ);
}

WriteAccess::WriteAccess() : lock_(writing) {
  guarded.allow(PROT_READ | PROT_WRITE);
}

WriteAccess::~WriteAccess() {
  guarded.allow(PROT_READ);
}

}  // namespace onnxport
