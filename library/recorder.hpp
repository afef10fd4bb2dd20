// SPDX-License-Identifier: Apache-2.0
// The console of a program that embeds the commands: nothing is printed, and the result is kept as an object.
#pragma once

#include <onnxport/onnxport.h>

#include <mutex>
#include <string>

#include "host/process/console.hpp"

struct onnxport_token {
  std::atomic<bool> cancelled{false};
};

namespace onnxport {

/// Tells a listener, and keeps the words of a failure.
class Recorder final : public Console {
 public:
  /// `listener` may be null; it may be shorter than this version's where the program is older.
  explicit Recorder(const onnxport_listener* listener);

  void line(const std::string&) override {}
  void block(const std::string&, size_t) override {}
  void note(const std::string& text) override;
  void progress(const std::string& phase, uint64_t done, uint64_t total) override;
  void end_progress() override {}
  void fail(int exit_status, const std::string& kind, const std::string& cause, const std::string& hint) override;
  bool owns_process() const override { return false; }

  const std::string& message() const { return message_; }
  const std::string& hint() const { return hint_; }

 private:
  onnxport_listener listener_;
  std::mutex mutex_;  // a listener is told by one thread at a time
  std::string message_, hint_;
};

}  // namespace onnxport
