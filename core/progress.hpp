// SPDX-License-Identifier: Apache-2.0
// How long work tells what it does, and how it is stopped.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>

namespace onnxport {

struct Progress {
  std::function<void(const std::string& phase, uint64_t done, uint64_t total)> report;
  /// Set from a signal handler to stop; the work then throws Error(output, "interrupted") and leaves nothing half done.
  const std::atomic<bool>* cancel = nullptr;

  bool cancelled() const { return cancel != nullptr && cancel->load(); }
  /// Throws Error(output, "interrupted") where it is.
  void stop_if_cancelled() const;
};

}  // namespace onnxport
