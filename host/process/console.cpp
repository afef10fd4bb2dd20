// SPDX-License-Identifier: Apache-2.0
#include "host/process/console.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <new>
#include <nlohmann/json.hpp>

#include "core/error.hpp"
#include "core/format_bytes.hpp"
#include "core/printable.hpp"
#include "host/process/interrupt.hpp"

namespace onnxport {
namespace {

const char* kind_of(Failure failure) {
  switch (failure) {
    case Failure::differs:
      return "differs";
    case Failure::usage:
      return "usage";
    case Failure::checkpoint:
      return "checkpoint";
    case Failure::plugin:
      return "plugin";
    case Failure::output:
      return "output";
    case Failure::internal:
      return "internal";
  }
  return "internal";
}

constexpr const char* report_hint =
    "this is a defect of onnxport; please report it with the command and the model's config.json";

/// Printable, with the lines after the first set in by two columns more than that one: what a file says, line feeds
/// included, never begins a line of its own.
std::string set_in(std::string text, size_t indent) {
  const std::string margin(indent + 2, ' ');
  for (size_t at = text.find('\n'); at != std::string::npos; at = text.find('\n', at + 1)) text.insert(at + 1, margin);
  return printable_lines(text);
}

}  // namespace

Console::Console(Mode mode)
    : mode_(mode),
      terminal_(isatty(STDERR_FILENO) == 1),
      result_(std::make_unique<nlohmann::ordered_json>(nlohmann::ordered_json::object())) {}

bool Console::result_is_empty() const {
  return result_->empty();
}

Console::~Console() {
  end_progress();
}

void Console::line(const std::string& text) {
  if (mode_ != Mode::report) return;
  end_progress();
  fmt::print("{}\n", printable(text));
  // In a pipe or a log, lines come when they are said.
  std::fflush(stdout);
}

void Console::block(const std::string& text, size_t indent) {
  if (mode_ != Mode::report) return;
  end_progress();
  fmt::print("{:{}}{}\n", "", indent, set_in(text, indent));
  std::fflush(stdout);
}

void Console::note(const std::string& text) {
  result()["notes"].push_back(text);
  block("note: " + text, 0);
}

void Console::progress(const std::string& phase, uint64_t done, uint64_t total) {
  if (mode_ != Mode::report) return;
  const std::lock_guard lock(mutex_);
  const bool changed = phase != phase_;
  phase_ = phase;
  if (!terminal_) {
    if (changed) {
      fmt::print("{} …\n", printable(phase));
      std::fflush(stdout);
    }
    return;
  }
  const auto now = std::chrono::steady_clock::now();
  if (!changed && done != total && now - drawn_ < std::chrono::milliseconds(100)) return;
  drawn_ = now;
  draw(phase, done, total);
}

void Console::draw(const std::string& phase, uint64_t done, uint64_t total) {
  const std::string shown = printable(phase);
  std::string text = shown;
  if (total > 0) {
    constexpr uint64_t width = 30;
    const uint64_t full = std::min(done, total) * width / total;
    text = fmt::format("{:<24} [{:=<{}}{:{}}] {:>3} %  {} of {}", shown, "", full, "", width - full,
                       std::min(done, total) * 100 / total, format_bytes(done), format_bytes(total));
  }
  fmt::print(stderr, "\r{}\033[K", text);
  std::fflush(stderr);
  bar_shown_ = true;
}

void Console::end_progress() {
  const std::lock_guard lock(mutex_);
  if (bar_shown_) fmt::print(stderr, "\r\033[K");
  bar_shown_ = false;
}

void Console::fail(int exit_status, const std::string& kind, const std::string& cause, const std::string& hint) {
  end_progress();
  result()["status"] = exit_status == interrupted_status ? "interrupted" : "error";
  result()["error"] = {{"kind", kind}, {"message", cause}, {"hint", hint}};
  if (mode_ == Mode::json) return;
  fmt::print(stderr, "onnxport: error: {}\n", set_in(cause, 0));
  if (!hint.empty()) fmt::print(stderr, "  {}\n", set_in(hint, 0));
}

void Console::finish(int exit_status) {
  end_progress();
  if (mode_ != Mode::json) return;
  // What a reader wants first, stands first.
  nlohmann::ordered_json printed{{"status", result().value("status", "ok")}, {"exit_status", exit_status}};
  printed.update(result());
  // Paths need not be UTF-8; what is not, is replaced.
  const std::string document = printed.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  fmt::print("{}\n", printable_json(document));
  std::fflush(stdout);
}

Progress progress_on(Console& console) {
  return {[&console](const std::string& phase, uint64_t done, uint64_t total) { console.progress(phase, done, total); },
          &interrupt_flag()};
}

int report_failure(Console& console, std::exception_ptr failure) {
  if (interrupt_requested()) {
    console.fail(interrupted_status, "interrupted", "interrupted; no output was left behind", "");
    return interrupted_status;
  }
  try {
    std::rethrow_exception(failure);
  } catch (const Error& error) {
    const std::string hint = error.hint().empty() && error.failure() == Failure::internal ? report_hint : error.hint();
    console.fail(static_cast<int>(error.failure()), kind_of(error.failure()), error.what(), hint);
    return static_cast<int>(error.failure());
  } catch (const std::bad_alloc&) {
    console.fail(static_cast<int>(Failure::internal), "internal", "out of memory",
                 "give the process more memory; if the model is small, please report this with its config.json");
  } catch (const std::exception& error) {
    console.fail(static_cast<int>(Failure::internal), "internal", error.what(), report_hint);
  } catch (...) {
    console.fail(static_cast<int>(Failure::internal), "internal", "an exception of unknown type", report_hint);
  }
  return static_cast<int>(Failure::internal);
}

}  // namespace onnxport
