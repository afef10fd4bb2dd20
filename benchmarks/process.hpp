// SPDX-License-Identifier: Apache-2.0
// Running a command and measuring its whole process.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace benchmarks {

struct Measured {
  double seconds = 0;
  long peak_kb = 0;            ///< resident, pages of mapped files included
  long peak_anonymous_kb = 0;  ///< the process's own memory, looked at every two milliseconds
  std::string said;            ///< the end of what it wrote
};

struct Command {
  std::vector<std::string> words;
  std::vector<std::string> environment;  ///< "NAME=value", added to this process's own
  uint64_t data_limit = 0;               ///< RLIMIT_DATA; 0: none
};

/// Runs a command without showing its output. Throws std::runtime_error with the end of it where it fails.
Measured run(const Command& command);

/// Bytes that the files below a path take for themselves: a hard link to something else takes none.
uint64_t bytes_below(const std::filesystem::path& path);

}  // namespace benchmarks
