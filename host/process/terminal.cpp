// SPDX-License-Identifier: Apache-2.0
#include "host/process/terminal.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string_view>
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

/// Past C's streams, whose locks the code of a plugin may hold. Yields what errno is where it fails, and 0 otherwise.
int write_whole(int to, std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = ::write(to, text.data(), text.size());
    if (count < 0 && errno == EAGAIN) {  // a caller's pipe that does not wait
      pollfd polled{to, POLLOUT, 0};
      ::poll(&polled, 1, -1);
    } else if (count < 0 && errno != EINTR) {
      return errno;
    }
    if (count > 0) text.remove_prefix(static_cast<size_t>(count));
  }
  return 0;
}

/// Where standard error cannot be written there is nowhere left to say so.
template <class... Values>
void tell_error(fmt::format_string<Values...> form, Values&&... values) {
  write_whole(STDERR_FILENO, fmt::format(form, std::forward<Values>(values)...));
}

/// A line on standard output, at once: in a pipe or a log lines come when they are said. Who has closed the pipe, as
/// `head` does, wants no more of them, and the work goes on.
void say(const std::string& text) {
  const int reason = write_whole(STDOUT_FILENO, text + "\n");
  if (reason != 0 && reason != EPIPE) {
    throw Error(Failure::output, std::string("standard output cannot be written: ") + std::strerror(reason),
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

void Terminal::lines(const std::vector<std::string>& texts) {
  if (mode_ != Mode::report || texts.empty()) return;
  end_progress();
  std::string all;
  for (const std::string& text : texts) all += (all.empty() ? "" : "\n") + printable(text);
  say(all);
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

void Terminal::leave_words_in(Outbox& outbox) {
  outbox_ = &outbox;
  // No descriptor of it is kept: a plugin may write to all that there are.
  if (mode_ == Mode::json) ::dup2(STDERR_FILENO, STDOUT_FILENO);
}

void Terminal::fail(int exit_status, const std::string& kind, const std::string& cause, const std::string& hint) {
  end_progress();
  fill_failure(exit_status, kind, cause, hint);
  if (mode_ == Mode::json) return;
  std::string text = fmt::format("onnxport: error: {}\n", set_in(cause, 0));
  if (!hint.empty()) text += fmt::format("  {}\n", set_in(hint, 0));
  if (outbox_ == nullptr || !outbox_->add_errors(text)) tell_error("{}", text);
}

void Terminal::tell_errors(const Outbox& outbox) {
  tell_error("{}", outbox.errors());
}

int Terminal::tell(const Outbox& outbox, int exit_status) {
  tell_errors(outbox);
  const std::string document = outbox.document();
  return document.empty() ? exit_status : tell_object(document, exit_status);
}

int Terminal::finish(int exit_status) {
  end_progress();
  if (mode_ != Mode::json) return exit_status;
  // What a reader wants first, stands first.
  nlohmann::ordered_json printed{{"status", result().value("status", "ok")}, {"exit_status", exit_status}};
  printed.update(result());
  // Paths need not be UTF-8; what is not, is replaced.
  const auto in_words = [&](int indent) {
    return printable_json(printed.dump(indent, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
  };
  if (outbox_ == nullptr) return tell_object(in_words(indent_), exit_status);
  if (outbox_->put_document(in_words(indent_)) || outbox_->put_document(in_words(-1))) return exit_status;
  const auto failed = static_cast<int>(Failure::output);
  printed = {{"status", "error"},
             {"exit_status", failed},
             {"error", {{"kind", "output"}, {"message", "the result is too long to be told as JSON"}, {"hint", ""}}}};
  outbox_->put_document(in_words(indent_));
  return failed;
}

int Terminal::tell_object(const std::string& document, int exit_status) {
  try {
    say(document);
  } catch (const Error& error) {
    tell_error("onnxport: error: {}\n", error.what());
    return exit_status == 0 ? static_cast<int>(error.failure()) : exit_status;
  }
  return exit_status;
}

}  // namespace onnxport
