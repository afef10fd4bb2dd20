// SPDX-License-Identifier: Apache-2.0
#include "core/files/bus_guard.hpp"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>

namespace onnxport {
namespace {

/// A guarded range. The handler may run on any thread at any time, so that it reads atomics only.
struct Slot {
  std::atomic<uintptr_t> begin{0}, end{0};
  std::atomic<bool> hit{false};
};
static_assert(std::atomic<uintptr_t>::is_always_lock_free, "read by a signal handler");

// A checkpoint has a few dozen files at most; one without a slot is not guarded.
constexpr size_t slot_count = 1024;
std::array<Slot, slot_count> slots;
std::mutex mutex;  // over taking and giving back slots
uintptr_t page_size = 4096;
struct sigaction before {};

void on_bus_error(int signal, siginfo_t* info, void* context) {
  const auto address = reinterpret_cast<uintptr_t>(info->si_addr);
  for (Slot& slot : slots) {
    const uintptr_t begin = slot.begin.load(), end = slot.end.load();
    if (address < begin || address >= end) continue;
    // Pages of zeros from the missing one to the end of the mapping. mmap is no listed async-signal-safe function, but
    // on Linux it is a plain system call.
    const uintptr_t page = address / page_size * page_size;
    // NOLINTNEXTLINE(performance-no-int-to-ptr): an address that the kernel tells
    void* zeros = ::mmap(reinterpret_cast<void*>(page), end - page, PROT_READ,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    if (zeros == MAP_FAILED) break;
    slot.hit.store(true);
    return;
  }
  if ((before.sa_flags & SA_SIGINFO) != 0 && before.sa_sigaction != nullptr)
    return before.sa_sigaction(signal, info, context);
  // Not ours: the default ends the process when the instruction is tried again.
  ::signal(SIGBUS, SIG_DFL);
}

/// Whoever else has taken the signal since the last mapping is asked after us. Called with the mutex held.
void install() {
  page_size = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  struct sigaction present {};
  if (::sigaction(SIGBUS, nullptr, &present) != 0) return;
  if ((present.sa_flags & SA_SIGINFO) != 0 && present.sa_sigaction == on_bus_error) return;
  before = present;
  struct sigaction action {};
  action.sa_sigaction = on_bus_error;
  action.sa_flags = SA_SIGINFO;
  sigemptyset(&action.sa_mask);
  ::sigaction(SIGBUS, &action, nullptr);
}

}  // namespace

BusGuard::BusGuard(std::span<const std::byte> mapping) : slot_(slot_count) {
  const std::lock_guard lock(mutex);
  install();
  for (size_t i = 0; i < slot_count; ++i) {
    if (slots[i].end.load() != 0) continue;
    slot_ = i;
    slots[i].hit.store(false);
    slots[i].begin.store(reinterpret_cast<uintptr_t>(mapping.data()));
    slots[i].end.store(reinterpret_cast<uintptr_t>(mapping.data()) + mapping.size());
    break;
  }
}

BusGuard::~BusGuard() {
  if (slot_ == slot_count) return;
  const std::lock_guard lock(mutex);
  slots[slot_].begin.store(0);
  slots[slot_].end.store(0);
}

bool BusGuard::hit() const {
  return slot_ < slot_count && slots[slot_].hit.load();
}

}  // namespace onnxport
