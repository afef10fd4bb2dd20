// SPDX-License-Identifier: Apache-2.0
// When to ask again after a failure that may pass.
#pragma once

#include <chrono>
#include <functional>
#include <string>

namespace onnxport::hub {

struct RetryPolicy {
  int attempts = 5;                                      // in a row without a byte of progress
  std::chrono::milliseconds first_wait{1000};            // doubled with each attempt
  std::chrono::milliseconds longest_wait{16000};         // of the doubling
  std::chrono::milliseconds longest_asked_wait{300000};  // that a server may ask for
};

/// Counts the attempts at one thing.
class Backoff {
 public:
  /// `stop` ends a wait; `announce` is told what is waited for, and how long.
  struct Hooks {
    std::function<bool()> stop;
    std::function<void(const std::string& why, std::chrono::milliseconds)> announce;
  };
  Backoff(const RetryPolicy& policy, Hooks hooks) : policy_(policy), hooks_(std::move(hooks)) {}

  /// Waits before the next attempt: as long as the server asked for, or twice as long as the last time. False, without
  /// a wait, where the attempts are used up or the server asks for too long a wait. Throws Error(output,
  /// "interrupted").
  bool wait(const std::string& why, std::chrono::seconds asked = {});
  /// Something came through: the attempts count anew.
  void reset() { used_ = 0; }
  /// How often was tried, in words for a message: "5 times".
  std::string tried() const;

 private:
  RetryPolicy policy_;
  Hooks hooks_;
  int used_ = 0;
};

}  // namespace onnxport::hub
