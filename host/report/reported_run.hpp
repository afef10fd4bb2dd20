// SPDX-License-Identifier: Apache-2.0
// A command whose result is also written to a file: --report FILE.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "host/process/console.hpp"

namespace onnxport {

/// A command as the user called it, and the file for its report.
class ReportedRun {
 public:
  /// `file` may be empty: nothing is written then. `words` are those of the call. Throws Error(usage) where the file's
  /// name is none of a report.
  ReportedRun(std::filesystem::path file, std::vector<std::string> words, std::function<int(Console&)> command);

  /// Runs the command and writes the report, of a failure too. Yields the exit status.
  int work(Console& console) const;
  /// After work() was to be done by another process: writes the report where the failure of that process is all that is
  /// known. Yields `status`.
  int told(int status, Console& console) const;

 private:
  void write(int status, Console& console) const;

  std::filesystem::path file_;
  std::vector<std::string> words_;
  std::function<int(Console&)> command_;
};

}  // namespace onnxport
