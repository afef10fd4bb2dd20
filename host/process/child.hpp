// SPDX-License-Identifier: Apache-2.0
// Another run of this command, in a process of its own.
#pragma once

#include <chrono>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace onnxport {

/// How it ended, and what it said.
struct ChildEnd {
  int status = 0;               ///< as a shell reports it: 128 + N for signal N
  bool timed_out = false;       ///< and was ended for that
  nlohmann::ordered_json said;  ///< the object of --json; null where it printed none
  std::string errors;           ///< standard error
};

/// Runs `onnxport WORDS --json` and waits for it, `limit` at most. Throws Error(output, "interrupted") where the user
/// interrupts, once it has ended, and Error(internal) where no process can be made.
ChildEnd run_command_again(const std::vector<std::string>& words, std::chrono::seconds limit);

}  // namespace onnxport
