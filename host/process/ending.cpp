// SPDX-License-Identifier: Apache-2.0
#include "host/process/ending.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/wait.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <ctime>
#include <string_view>

#include "core/printable.hpp"
#include "host/process/memory.hpp"

namespace onnxport {
namespace {

template <size_t size>
std::string text(const char (&from)[size]) {
  return printable(std::string_view(from, ::strnlen(from, size)));
}

struct SignalMeaning {
  int number;
  const char* meaning;
};
constexpr SignalMeaning signals[] = {{SIGSEGV, "it reached for memory that is not its own"},
                                     {SIGBUS, "it reached for memory that is not there"},
                                     {SIGFPE, "an impossible division"},
                                     {SIGILL, "an instruction that this processor does not have"},
                                     {SIGABRT, "abort(), an uncaught exception or damaged memory"},
                                     {SIGTRAP, "a trap"},
                                     {SIGSYS, "a call that plugins may not make, such as a signal to their watcher"},
                                     {SIGKILL, "the system was out of memory, or somebody killed it"},
                                     {SIGXCPU, "its limit of processor time"},
                                     {SIGALRM, "an alarm"}};

/// "SIGUSR1", "signal 40"
std::string name_of(int number) {
  const char* short_name = ::sigabbrev_np(number);
  return short_name == nullptr ? fmt::format("signal {}", number) : fmt::format("SIG{}", short_name);
}

/// "SIGSEGV", "exit 0"
std::string sign_of(int wait_status) {
  if (WIFEXITED(wait_status)) return fmt::format("exit {}", WEXITSTATUS(wait_status));
  return name_of(WTERMSIG(wait_status));
}

/// "crashed by SIGSEGV (…)", "ended the process with exit status 0"
std::string deed_of(int wait_status) {
  if (WIFEXITED(wait_status)) return fmt::format("ended the process with exit status {}", WEXITSTATUS(wait_status));
  const int number = WTERMSIG(wait_status);
  const char* verb = number == SIGKILL ? "was ended" : "crashed";
  for (const SignalMeaning& known : signals) {
    if (known.number == number) return fmt::format("{} by {} ({})", verb, name_of(number), known.meaning);
  }
  return fmt::format("{} by {}", verb, name_of(number));
}

std::string now() {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)));
}

constexpr const char* next_step =
    "tell the plugin's author, with this message; the library is not loaded again until it is built anew or let out: "
    "`onnxport plugins quarantine`";

}  // namespace

Ending ending_of(int wait_status, const Activity& activity, const LastPlace& last_place) {
  Ending ending;
  const std::string told = text(activity.deed), deed = told.empty() ? deed_of(wait_status) : told;
  if (WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == ended_for_memory && !told.empty()) {
    ending.failure = Failure::usage;
    ending.cause = fmt::format("the work {}", told);
    ending.hint = memory_hint;
    return ending;
  }
  const size_t count = std::min<size_t>(activity.library_count, Activity::most_libraries);
  if (activity.depth > 0) {
    const std::string plugin = text(activity.plugin), function = text(activity.function), place = text(last_place.path);
    ending.by_plugin = true;
    ending.failure = Failure::plugin;
    ending.while_loading = function.empty();
    std::string where = function.empty() ? "while its library was loaded" : fmt::format("in {}()", function);
    if (!place.empty()) where += fmt::format(", after a step of '{}'", place);
    for (size_t i = 0; i < count; ++i) {
      const Activity::Library& library = activity.libraries[i];
      if (text(library.plugin) != plugin) continue;
      ending.record.library = text(library.path);
      ending.record.sha256 = text(library.sha256);
    }
    ending.record.plugin = plugin;
    ending.record.reason = fmt::format("{} {}", deed, where);
    ending.record.signal = sign_of(wait_status);
    ending.record.date = now();
    ending.cause = fmt::format("plugin {} {} {}", plugin, deed, where);
    if (!ending.record.library.empty()) ending.cause += fmt::format(": {}", ending.record.library);
    ending.hint = next_step;
    return ending;
  }
  const std::string end = told.empty() && WIFEXITED(wait_status)
                              ? fmt::format("ended with exit status {}", WEXITSTATUS(wait_status))
                              : deed;
  std::string foreign;
  size_t suspects = 0;
  for (size_t i = 0; i < count; ++i) {
    const Activity::Library& library = activity.libraries[i];
    if (library.installed) continue;
    ++suspects;
    foreign = text(library.plugin);
    ending.record = {.plugin = foreign,
                     .library = text(library.path),
                     .sha256 = text(library.sha256),
                     .reason = fmt::format("{} after it had run", deed),
                     .signal = sign_of(wait_status),
                     .date = now(),
                     .file = {}};
  }
  if (!foreign.empty()) {
    // Of several nobody knows which.
    ending.by_plugin = suspects == 1 && WIFSIGNALED(wait_status) && WTERMSIG(wait_status) != SIGKILL;
    ending.failure = Failure::plugin;
    ending.cause =
        fmt::format("the process {} after plugin {} had run in it, which may have damaged its memory", end, foreign);
    ending.hint = "if it happens without that plugin as well (--safe), report it as a defect of onnxport";
    if (ending.by_plugin)
      ending.hint +=
          "; the library is not loaded again until it is built anew or let out: `onnxport plugins quarantine`";
    return ending;
  }
  ending.cause = fmt::format("the process {}", end);
  ending.hint = WIFSIGNALED(wait_status) && WTERMSIG(wait_status) == SIGKILL
                    ? "give it more memory; --max-memory tells before the work begins whether that suffices"
                    : "this is a defect of onnxport; please report it with the command and the model's config.json";
  return ending;
}

}  // namespace onnxport
