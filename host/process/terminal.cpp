// SPDX-License-Identifier: Apache-2.0
#include "host/process/terminal.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/error.hpp"
#include "core/format_bytes.hpp"
#include "core/printable.hpp"
#include "host/process/interrupt.hpp"

namespace onnxport {
namespace {

/// Printable, with the lines after the first set in by two columns more than that one: what a file says, line feeds
/// included, never begins a line of its own.
std::string set_in(std::string text, size_t indent) {
  const std::string margin(indent + 2, ' ');
  for (size_t at = text.find('\n'); at != std::string::npos; at = text.find('\n', at + 1)) text.insert(at + 1, margin);
  return printable_lines(text);
}

/// Where standard error cannot be written there is nowhere left to say so.
template <class... Values>
void tell_error(fmt::format_string<Values...> form, Values&&... values) {
  const std::string text = fmt::format(form, std::forward<Values>(values)...);
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
}

/// A line on standard output, at once: in a pipe or a log lines come when they are said. Who has closed the pipe, as
/// `head` does, wants no more of them, and the work goes on.
void say(const std::string& text) {
  errno = 0;
  const bool is_said =
      std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fputc('\n', stdout) != EOF;
  if (is_said && std::fflush(stdout) == 0) return;
  if (errno != EPIPE) {
    throw Error(Failure::output, std::string("standard output cannot be written: ") + std::strerror(errno),
                "make room where it goes to, or pass --quiet");
  }
}

}  // namespace

Terminal::Terminal(Mode mode) : Console(interrupt_flag()), mode_(mode), is_terminal_(isatty(STDERR_FILENO) == 1) {}

Terminal::~Terminal() {
  end_progress();
}

void Terminal::line(const std::string& text) {
  if (mode_ != Mode::report) return;
  end_progress();
  say(printable(text));
}

void Terminal::block(const std::string& text, size_t indent) {
  if (mode_ != Mode::report) return;
  end_progress();
  say(std::string(indent, ' ') + set_in(text, indent));
}

void Terminal::note(const std::string& text) {
  result()["notes"].push_back(text);
  block("note: " + text, 0);
}

void Terminal::progress(const std::string& phase, uint64_t done, uint64_t total) {
  if (mode_ != Mode::report) return;
  const std::lock_guard lock(mutex_);
  const bool changed = phase != phase_;
  phase_ = phase;
  if (!is_terminal_) {
    if (changed) say(printable(phase) + " …");
    return;
  }
  const auto now = std::chrono::steady_clock::now();
  if (!changed && done != total && now - drawn_ < std::chrono::milliseconds(100)) return;
  drawn_ = now;
  draw(phase, done, total);
}

void Terminal::draw(const std::string& phase, uint64_t done, uint64_t total) {
  const std::string shown = printable(phase);
  std::string text = shown;
  if (total > 0) {
    constexpr uint64_t width = 30;
    const uint64_t full = std::min(done, total) * width / total;
    text = fmt::format("{:<24} [{:=<{}}{:{}}] {:>3} %  {} of {}", shown, "", full, "", width - full,
                       std::min(done, total) * 100 / total, format_bytes(done), format_bytes(total));
  }
  tell_error("\r{}\033[K", text);
  bar_shown_ = true;
}

void Terminal::end_progress() {
  const std::lock_guard lock(mutex_);
  if (bar_shown_) tell_error("\r\033[K");
  bar_shown_ = false;
}

void Terminal::drop_progress() {
  bar_shown_ = is_terminal_ && mode_ == Mode::report;
  end_progress();
}

void Terminal::reserve_output() {
  if (mode_ != Mode::json || reserved_ >= 0) return;
  std::fflush(stdout);
  reserved_ = ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
  if (reserved_ >= 0) ::dup2(STDERR_FILENO, STDOUT_FILENO);
}

void Terminal::fail(int exit_status, const std::string& kind, const std::string& cause, const std::string& hint) {
  end_progress();
  fill_failure(exit_status, kind, cause, hint);
  if (mode_ == Mode::json) return;
  tell_error("onnxport: error: {}\n", set_in(cause, 0));
  if (!hint.empty()) tell_error("  {}\n", set_in(hint, 0));
}

int Terminal::finish(int exit_status) {
  end_progress();
  if (mode_ != Mode::json) return exit_status;
  // What a reader wants first, stands first.
  nlohmann::ordered_json printed{{"status", result().value("status", "ok")}, {"exit_status", exit_status}};
  printed.update(result());
  // Paths need not be UTF-8; what is not, is replaced.
  const std::string document = printed.dump(indent_, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  if (reserved_ >= 0) {
    std::fflush(stdout);
    ::dup2(reserved_, STDOUT_FILENO);
  }
  try {
    say(printable_json(document));
  } catch (const Error& error) {
    tell_error("onnxport: error: {}\n", error.what());
    return exit_status == 0 ? static_cast<int>(error.failure()) : exit_status;
  }
  return exit_status;
}

}  // namespace onnxport
