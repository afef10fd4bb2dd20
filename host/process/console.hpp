// SPDX-License-Identifier: Apache-2.0
// What the command says and where: a report for people, one JSON object for programs, or nothing.
#pragma once

#include <chrono>
#include <exception>
#include <memory>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "core/progress.hpp"

namespace onnxport {

class Console {
 public:
  enum class Mode {
    report,  ///< lines on standard output, progress on standard error where that is a terminal
    quiet,   ///< errors only
    json,    ///< one object on standard output, for success and for failure
  };
  explicit Console(Mode mode);
  ~Console();
  Console(const Console&) = delete;
  Console& operator=(const Console&) = delete;

  Mode mode() const { return mode_; }
  void set_mode(Mode mode) { mode_ = mode; }

  // All that is said is made printable here and nowhere else (core/printable.hpp), whoever wrote the words.

  /// A line of the report.
  void line(const std::string& text);
  /// Lines of the report, such as an error's: the first is set in by so many columns, the others by two more.
  void block(const std::string& text, size_t indent);
  /// Something that the user should know though nothing failed; in the object an entry of "notes". May have several lines.
  void note(const std::string& text);
  /// What is going on, and how far in bytes (total 0: no measure). A bar on a terminal, else one line for each new
  /// phase. [any-thread]
  void progress(const std::string& phase, uint64_t done, uint64_t total);
  /// Takes the bar away.
  void end_progress();

  /// The object that --json prints; commands fill it.
  nlohmann::ordered_json& result() { return *result_; }
  bool result_is_empty() const;
  /// Reports a failure. `kind` is the name of its exit status.
  void fail(int exit_status, const std::string& kind, const std::string& cause, const std::string& hint);
  /// Prints the object in JSON mode.
  void finish(int exit_status);

 private:
  void draw(const std::string& phase, uint64_t done, uint64_t total);

  Mode mode_;
  bool terminal_;
  std::mutex mutex_;
  std::string phase_;
  bool bar_shown_ = false;
  std::chrono::steady_clock::time_point drawn_{};
  std::unique_ptr<nlohmann::ordered_json> result_;
};

/// Progress that is shown on the console and ends where the user interrupts.
Progress progress_on(Console& console);

/// Maps a failure to the message on standard error (or in the object of --json) and the exit status.
int report_failure(Console& console, std::exception_ptr failure);

}  // namespace onnxport
