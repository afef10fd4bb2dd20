// SPDX-License-Identifier: Apache-2.0
#include "host/process/memory.hpp"

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <optional>
#include <sstream>
#include <thread>

#include "core/activity.hpp"
#include "core/error.hpp"
#include "core/format_bytes.hpp"

namespace onnxport {
namespace {

namespace fs = std::filesystem;

/// The number in a file of one number; nullopt where there is none ("max").
std::optional<uint64_t> number_in(const fs::path& file) {
  std::ifstream in(file);
  uint64_t number = 0;
  return in >> number ? std::optional(number) : std::nullopt;
}

/// The number after a key in a file of "key number" lines.
uint64_t number_of(const fs::path& file, const std::string& key) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::string word;
    uint64_t number = 0;
    if (words >> word >> number && word == key) return number;
  }
  return 0;
}

void take_least(AvailableMemory& least, const AvailableMemory& other) {
  if (other.bytes < least.bytes) least = other;
}

/// What a control group leaves. Pages of files that nobody uses now are given back on demand, so they count as free.
void take_group(AvailableMemory& least, const fs::path& group, const char* limit, const char* usage,
                const char* inactive) {
  const auto most = number_in(group / limit), used = number_in(group / usage);
  if (!most || !used) return;
  const uint64_t held = *used - std::min(*used, number_of(group / "memory.stat", inactive));
  take_least(least, {*most - std::min(*most, held), "the control group of this process"});
}

void take_groups(AvailableMemory& least) {
  std::ifstream in("/proc/self/cgroup");
  for (std::string line; std::getline(in, line);) {
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const bool unified = controllers.empty();
    if (!unified && controllers.find("memory") == std::string::npos) continue;
    const fs::path root = unified ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory";
    // A limit of any group above counts as well. In a container the path may not exist; the root is then its own.
    for (fs::path path = line.substr(second + 1);; path = path.parent_path()) {
      const fs::path group = root / path.relative_path();
      if (unified)
        take_group(least, group, "memory.max", "memory.current", "inactive_file");
      else
        take_group(least, group, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file");
      if (!path.has_relative_path()) break;
    }
  }
}

/// A limit of this process; nullopt where there is none.
std::optional<uint64_t> limit_on(int resource) {
  rlimit limit{};
  if (getrlimit(resource, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return std::nullopt;
  return limit.rlim_cur;
}

/// Stacks count whole in limits, though threads touch a few pages of theirs.
uint64_t bytes_of_stacks() {
  constexpr uint64_t stack = uint64_t{8} << 20;
  return 3 * stack * std::max(1u, std::thread::hardware_concurrency());
}

/// The limits of a process, as messages call them.
constexpr const char* address_space = "the limit on the address space (ulimit -v)";
constexpr const char* data_segment = "the limit on data (ulimit -d)";

/// 0: none was set.
uint64_t limit_of_command = 0;
/// What ulimit -d left when the process began, before --max-memory made a limit of its own.
std::optional<uint64_t> data_limit_of_process;

void take_limits(AvailableMemory& least) {
  const auto take = [&](uint64_t limit, uint64_t used, const char* by) {
    take_least(least, {limit - std::min(limit, used), by, true});
  };
  // This limit counts what is mapped, and libraries of this size map far more than they touch.
  constexpr uint64_t untouched = 700'000'000;
  const uint64_t mapped = number_in("/proc/self/statm").value_or(0) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  if (const auto limit = limit_on(RLIMIT_AS)) take(*limit, untouched + mapped, address_space);
  const uint64_t data = number_of("/proc/self/status", "VmData:") * 1024;
  if (data_limit_of_process) take(*data_limit_of_process, bytes_of_stacks() + data, data_segment);
}

/// What the process has written to and cannot be given back: heap, stacks, changed pages of libraries.
uint64_t anonymous_bytes() {
  return number_of("/proc/self/status", "RssAnon:") * 1024;
}

/// Each thread of OpenBLAS asks for a buffer of 128 MB, and where it gets none asks again for ever. With one thread it
/// does without. Read when libtorch is loaded.
void calm_libraries() {
  setenv("OPENBLAS_NUM_THREADS", "1", 1);
}

struct Limit {
  uint64_t bytes;
  std::string words;
};
std::optional<Limit> least_limit() {
  std::optional<Limit> least;
  const auto take = [&](std::optional<uint64_t> bytes, const char* name) {
    if (bytes && (!least || *bytes < least->bytes)) least = {*bytes, fmt::format("{} {}", name, format_bytes(*bytes))};
  };
  if (limit_of_command > 0) take(limit_of_command, "--max-memory");
  take(limit_on(RLIMIT_AS), address_space);
  take(data_limit_of_process, data_segment);
  return least;
}

/// What a handler of signals may read.
std::atomic<uint64_t> watched_bytes{0};
char exhausted[160];

void watch_limit() {
  const auto limit = least_limit();
  if (!limit) return;
  const std::string deed = fmt::format("took more memory than {} allows", limit->words);
  exhausted[deed.copy(exhausted, sizeof exhausted - 1)] = '\0';
  watched_bytes = limit->bytes;
}

/// Whether the process gets no further quarter of its limit.
bool is_exhausted() {
  const uint64_t bytes = watched_bytes / 4;
  if (bytes == 0) return false;
  void* const probe = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (probe == MAP_FAILED) return true;
  ::munmap(probe, bytes);
  return false;
}

/// In a handler of signals.
void on_crash(int number) {
  if (is_exhausted()) {
    note_deed(exhausted);
    ::_exit(ended_for_memory);
  }
  std::signal(number, SIG_DFL);
  ::raise(number);
}

// What the program itself takes before it has seen a weight, and what it needs at least.
constexpr uint64_t program_bytes = 24'000'000, least_bytes = 32'000'000;

}  // namespace

void limit_memory(uint64_t bytes) {
  if (bytes < least_bytes) {
    throw Error(Failure::usage, "--max-memory " + format_bytes(bytes) + " is less than an export takes",
                "give at least " + format_bytes(least_bytes));
  }
  limit_of_command = bytes;
  const uint64_t most = std::min(bytes + bytes_of_stacks(), data_limit_of_process.value_or(RLIM_INFINITY));
  const rlimit limit{most, most};
  setrlimit(RLIMIT_DATA, &limit);
  calm_libraries();
  watch_limit();
}

void heed_process_limits() {
  data_limit_of_process = limit_on(RLIMIT_DATA);
  if (data_limit_of_process || limit_on(RLIMIT_AS)) calm_libraries();
  watch_limit();
}

std::string memory_limit() {
  const auto limit = least_limit();
  return limit ? limit->words : "";
}

void tell_of_exhaustion() {
  for (const int number : {SIGSEGV, SIGABRT, SIGFPE}) {
    struct sigaction before {};
    // A sanitizer has a handler of its own.
    if (::sigaction(number, nullptr, &before) == 0 && before.sa_handler == SIG_DFL) std::signal(number, on_crash);
  }
}

uint64_t tile_memory(uint64_t bytes) {
  const uint64_t left = bytes - std::min(bytes, program_bytes);
  return std::clamp<uint64_t>(left / 2, uint64_t{512} << 10, uint64_t{16} << 20);
}

AvailableMemory available_memory() {
  AvailableMemory least{std::numeric_limits<uint64_t>::max(), ""};
  if (const uint64_t kilobytes = number_of("/proc/meminfo", "MemAvailable:"))
    take_least(least, {kilobytes * 1024, "the machine"});
  take_groups(least);
  take_limits(least);
  if (limit_of_command > 0)
    take_least(least, {limit_of_command - std::min(limit_of_command, anonymous_bytes()), "--max-memory", true});
  return least;
}

}  // namespace onnxport
