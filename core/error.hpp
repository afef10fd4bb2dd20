// SPDX-License-Identifier: Apache-2.0
// The one exception type of the host side, and the exit status that belongs to it.
#pragma once

#include <exception>
#include <stdexcept>
#include <string>

namespace onnxport {

/// What kind of failure it is. The numbers are the exit statuses of the command.
enum class Failure : int {
  differs = 1,     ///< validation found a difference above the tolerance
  usage = 2,       ///< unknown option, type or feature
  checkpoint = 3,  ///< config or weights unreadable or not matching
  plugin = 4,      ///< a plugin was refused or failed
  output = 5,      ///< the output could not be written
  internal = 70,   ///< a defect of onnxport itself
};

/// What was found and what was expected, and in `hint` what to do next.
class Error : public std::runtime_error {
 public:
  Error(Failure failure, const std::string& cause, std::string hint = {})
      : std::runtime_error(cause), failure_(failure), hint_(std::move(hint)) {}
  Failure failure() const { return failure_; }
  /// The next step for the user; may be empty.
  const std::string& hint() const { return hint_; }

 private:
  Failure failure_;
  std::string hint_;
};

/// What a problem that was caught elsewhere says of itself.
inline std::string text_of(const std::exception_ptr& problem) {
  try {
    std::rethrow_exception(problem);
  } catch (const std::exception& thrown) {
    return thrown.what();
  }
}

}  // namespace onnxport
