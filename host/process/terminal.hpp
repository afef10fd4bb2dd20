// SPDX-License-Identifier: Apache-2.0
// What the command says and where: a report for people, one JSON object for programs, or nothing.
#pragma once

#include <chrono>
#include <mutex>
#include <string>
#include <vector>

#include "host/process/console.hpp"
#include "host/process/outbox.hpp"

namespace onnxport {

/// Standard output and standard error, and Ctrl-C.
class Terminal final : public Console {
 public:
  enum class Mode {
    report,  ///< lines on standard output, progress on standard error where that is a terminal
    quiet,   ///< errors only
    json,    ///< one object on standard output, for success and for failure
  };
  explicit Terminal(Mode mode);
  ~Terminal() override;

  Mode mode() const { return mode_; }
  void set_mode(Mode mode) { mode_ = mode; }
  /// Of the object that is printed; -1: one line.
  void set_indent(int columns) { indent_ = columns; }

  // All that is said is made printable here and nowhere else (core/printable.hpp), whoever wrote the words.

  void line(const std::string& text) override;
  void lines(const std::vector<std::string>& texts) override;
  void block(const std::string& text, size_t indent) override;
  /// An entry of "notes" in the object as well.
  void note(const std::string& text) override;
  /// A bar on a terminal, else one line for each new phase. [any-thread]
  void progress(const std::string& phase, uint64_t done, uint64_t total) override;
  void end_progress() override;
  /// The same with one that another process may have drawn.
  void drop_progress();
  /// Of a child: errors and the object of --json are left there for its parent to tell(), and under --json what others
  /// of this process print on standard output goes to standard error.
  void leave_words_in(Outbox& outbox);
  /// What a child left. Yields the exit status, another one where the object cannot be printed.
  int tell(const Outbox& outbox, int exit_status);
  void tell_errors(const Outbox& outbox);
  /// In the object and, unless that is printed, on standard error.
  void fail(int exit_status, const std::string& kind, const std::string& cause, const std::string& hint) override;
  bool owns_process() const override { return true; }
  /// Prints the object in JSON mode. Yields the exit status, another one where that fails.
  int finish(int exit_status);

 private:
  void draw(const std::string& phase, uint64_t done, uint64_t total);
  int tell_object(const std::string& document, int exit_status);

  Mode mode_;
  int indent_ = 2;
  bool is_terminal_;
  Outbox* outbox_ = nullptr;
  std::mutex mutex_;
  std::string phase_;
  bool bar_shown_ = false;
  std::chrono::steady_clock::time_point drawn_{};
};

}  // namespace onnxport
