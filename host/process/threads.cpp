// SPDX-License-Identifier: Apache-2.0
#include "host/process/threads.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/resource.h>

#include <algorithm>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "core/error.hpp"
#include "host/process/memory.hpp"

namespace onnxport {
namespace {

/// Both back ends compute with as many threads as there are cores or OMP_NUM_THREADS says, and libtorch's BLAS keeps
/// its own; beside them, what loads and runs them.
size_t threads_of_validation() {
  const char* const asked = std::getenv("OMP_NUM_THREADS");
  const int bound = asked == nullptr ? 0 : std::atoi(asked);
  return 3 * (bound > 0 ? static_cast<size_t>(bound) : std::max<size_t>(1, std::thread::hardware_concurrency())) + 1;
}

/// How many of `wanted` threads can be there at once.
size_t startable(size_t wanted) {
  std::mutex mutex;
  std::condition_variable over;
  bool is_over = false;
  std::vector<std::thread> started;
  started.reserve(wanted);
  try {
    while (started.size() < wanted) {
      started.emplace_back([&] {
        std::unique_lock lock(mutex);
        over.wait(lock, [&] { return is_over; });
      });
    }
  } catch (const std::system_error&) {  // that many it is
  }
  {
    const std::lock_guard lock(mutex);
    is_over = true;
  }
  over.notify_all();
  for (std::thread& thread : started) thread.join();
  return started.size();
}

/// What may be the reason: " (ulimit -u is 20; memory: …)". Stacks of threads count as memory.
std::string limit_text() {
  std::vector<std::string> limits;
  rlimit limit{};
  if (getrlimit(RLIMIT_NPROC, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
    limits.push_back(fmt::format("ulimit -u is {}", limit.rlim_cur));
  if (const std::string memory = memory_limit(); !memory.empty()) limits.push_back("memory: " + memory);
  return limits.empty() ? "" : fmt::format(" ({})", fmt::join(limits, "; "));
}

}  // namespace

void require_threads() {
  const size_t wanted = threads_of_validation(), found = startable(wanted);
  if (found == wanted) return;
  throw Error(Failure::usage,
              fmt::format("validation takes up to {} threads, and the system lets this process start {}{}", wanted,
                          found, limit_text()),
              no_thread_hint);
}

std::string no_thread_cause() {
  return fmt::format("the system lets this process start no further thread{}", limit_text());
}

}  // namespace onnxport
