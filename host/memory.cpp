// SPDX-License-Identifier: Apache-2.0
#include "host/memory.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <limits>
#include <optional>
#include <sstream>

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

void take_least(AvailableMemory& least, uint64_t bytes, const char* by) {
  if (bytes < least.bytes) least = {bytes, by};
}

/// What a control group leaves. Pages of files that nobody uses now are given back on demand, so they count as free.
void take_group(AvailableMemory& least, const fs::path& group, const char* limit, const char* usage,
                const char* inactive) {
  const auto most = number_in(group / limit), used = number_in(group / usage);
  if (!most || !used) return;
  const uint64_t held = *used - std::min(*used, number_of(group / "memory.stat", inactive));
  take_least(least, *most - std::min(*most, held), "the control group of this process");
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

void take_limits(AvailableMemory& least) {
  rlimit limit{};
  if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return;
  // This limit counts what is mapped, and libraries of this size map far more than they touch.
  constexpr uint64_t untouched = 700'000'000;
  const uint64_t used =
      untouched + number_in("/proc/self/statm").value_or(0) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  take_least(least, limit.rlim_cur - std::min<uint64_t>(limit.rlim_cur, used),
             "the limit on the address space (ulimit -v)");
}

}  // namespace

AvailableMemory available_memory() {
  AvailableMemory least{std::numeric_limits<uint64_t>::max(), ""};
  if (const uint64_t kilobytes = number_of("/proc/meminfo", "MemAvailable:"))
    take_least(least, kilobytes * 1024, "the machine");
  take_groups(least);
  take_limits(least);
  return least;
}

}  // namespace onnxport
