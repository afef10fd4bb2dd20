// SPDX-License-Identifier: Apache-2.0
// To whom the steps of a command say what they do and find, and who may stop them.
#pragma once

#include <atomic>
#include <exception>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "core/progress.hpp"

namespace onnxport {

/// What a command's steps talk to: a terminal (terminal.hpp), or the report of a program that embeds them. Of one run,
/// and told by one thread but for progress().
class Console {
 public:
  /// `cancel` is set by whoever wants the work to end, and outlives the object.
  explicit Console(const std::atomic<bool>& cancel);
  virtual ~Console();
  Console(const Console&) = delete;
  Console& operator=(const Console&) = delete;

  /// A line of the report.
  virtual void line(const std::string& text) = 0;
  /// Many of them, at once.
  virtual void lines(const std::vector<std::string>& texts) {
    for (const std::string& text : texts) line(text);
  }
  /// Lines of the report, such as an error's: the first is set in by so many columns, the others by two more.
  virtual void block(const std::string& text, size_t indent) = 0;
  /// Something that the user should know though nothing failed. May have several lines.
  virtual void note(const std::string& text) = 0;
  /// What is going on, and how far in bytes (total 0: no measure). [any-thread]
  virtual void progress(const std::string& phase, uint64_t done, uint64_t total) = 0;
  /// Takes away what progress() shows.
  virtual void end_progress() = 0;
  /// Reports a failure. `kind` is the name of its exit status.
  virtual void fail(int exit_status, const std::string& kind, const std::string& cause, const std::string& hint) = 0;

  /// Whether limits may be set for the whole process: nothing else runs in it.
  virtual bool owns_process() const = 0;

  /// The result as an object, which commands fill.
  nlohmann::ordered_json& result() { return *result_; }
  bool result_is_empty() const;

  const std::atomic<bool>& cancel_flag() const { return cancel_; }
  /// Throws Error(output, "interrupted") where somebody wants the work to end.
  void stop_if_cancelled() const;

 protected:
  /// The failure as entries of the result.
  void fill_failure(int exit_status, const std::string& kind, const std::string& cause, const std::string& hint);

 private:
  const std::atomic<bool>& cancel_;
  std::unique_ptr<nlohmann::ordered_json> result_;
};

/// Progress that is shown on the console and ends where the user interrupts.
Progress progress_on(Console& console);

/// Tells a failure with its kind and its hint. Yields the exit status.
int report_failure(Console& console, std::exception_ptr failure);

}  // namespace onnxport
