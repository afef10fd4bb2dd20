// SPDX-License-Identifier: Apache-2.0
#include "host/process/contained.hpp"

#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>
#include <optional>
#ifdef __linux__
#include <sys/prctl.h>
#endif

#include "core/activity.hpp"
#include "core/guarded_memory.hpp"
#include "host/process/descendants.hpp"
#include "host/process/ending.hpp"
#include "host/process/interrupt.hpp"
#include "host/process/memory.hpp"
#include "host/process/shared_memory.hpp"
#include "host/process/shield.hpp"
#include "host/process/surroundings.hpp"

namespace onnxport {
namespace {

using Clock = std::chrono::steady_clock;

/// How long a plugin's function may go on after an interrupt, and a process after its work was done.
constexpr auto patience = std::chrono::milliseconds(300);
constexpr auto patience_at_exit = std::chrono::seconds(5);
/// How long a library may take to be loaded: there may be a later plugin for the same type.
constexpr auto patience_while_loading = std::chrono::seconds(30);
/// How long the program itself may go on after an interrupt; a library that it calls may not come back.
constexpr auto patience_with_libraries = std::chrono::seconds(3);
/// How often a library that ends the process is left out and the work begun anew.
constexpr int most_attempts = 8;

/// What both processes see, and the child writes only where it means to.
struct Shared {
  std::atomic<bool> finished;
  std::atomic<int> status;
  Activity activity;
  Outbox outbox;
};

/// Signals that would end this process, and are a wish that the work end.
constexpr int ending_signals[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGALRM};

/// The signals that the parent waits for, instead of being interrupted or ended by them. One that is ignored, as nohup
/// has it, stays so: while it is blocked it would arrive.
sigset_t awaited() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  for (const int signal : ending_signals) {
    struct sigaction action {};
    if (::sigaction(signal, nullptr, &action) == 0 && action.sa_handler != SIG_IGN) sigaddset(&set, signal);
  }
  return set;
}

std::vector<QuarantineRecord>& ended_by() {
  static std::vector<QuarantineRecord> records;
  return records;
}

/// Nothing of the program's own happens at its exit, and what plugins have put there is not wanted.
[[noreturn]] void end_without_destructors(int status) {
#ifdef __SANITIZE_ADDRESS__
  std::exit(status);  // which looks for leaks
#else
  ::_exit(status);
#endif
}

/// What the child does; it does not return.
[[noreturn]] void work_in_child(Terminal& console, const std::function<int(Console&)>& work, Shared& shared,
                                const sigset_t& mask_before, pid_t parent) {
  heed_interrupts_of(parent);
  ::sigprocmask(SIG_SETMASK, &mask_before, nullptr);
#ifdef __linux__
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != parent) request_interrupt();
#endif
  console.leave_words_in(shared.outbox);
  guard_memory(&shared, sizeof shared);
  keep_surroundings_of_plugins();
  shield(parent);
  tell_of_exhaustion();
  int status = 0;
  try {
    status = work(console);
  } catch (...) {
    status = report_failure(console, std::current_exception());
  }
  status = console.finish(status);
  {
    const WriteAccess access;
    shared.status = status;
    shared.finished = true;
  }
  end_without_destructors(status);
}

/// Watches over the loading of a library.
class Loading {
 public:
  /// Ends the child where it has been at the same library for too long. What stops both processes for a while, as
  /// Ctrl-Z does, does not count.
  void watch(pid_t child, Activity& activity) {
    const Clock::time_point now = Clock::now();
    const bool loads = activity.depth > 0 && activity.function[0] == '\0';
    if (!loads || activity.number != call_)
      spent_ = {};
    else
      spent_ += std::min(now - seen_, Clock::duration(std::chrono::seconds(2)));
    call_ = activity.number;
    seen_ = now;
    if (spent_ < patience_while_loading) return;
    write_deed(activity, fmt::format("did not come back within {} s", patience_while_loading.count()));
    ::kill(child, SIGKILL);
  }

 private:
  uint64_t call_ = 0;
  Clock::time_point seen_{};
  Clock::duration spent_{};
};

/// Whether something stands in the shared memory that the program never writes there: a plugin may have taken the guard
/// off.
bool is_written_over(const Shared& shared) {
  constexpr uint32_t deepest = 1000;
  unsigned char finished = 0;
  std::memcpy(&finished, &shared.finished, sizeof finished);
  const int status = shared.status;
  return finished > 1 || status < 0 || status > 255 || shared.activity.depth > deepest;
}

/// Waits for the child, and ends it where it does not heed an interrupt. Yields the status of waitpid.
int wait_for(pid_t child, Shared& shared, const sigset_t& signals) {
  int interrupts = 0;
  Clock::time_point interrupted{};
  bool counts = false;
  Clock::time_point since{};  // the same call of a plugin, or the end of the work
  uint64_t call = 0;
  bool was_finished = false;
  Loading loading;
  for (;;) {
    int status = 0;
    const pid_t ended = ::waitpid(child, &status, WNOHANG | WUNTRACED);
    // A plugin that stops the process would have everybody wait. Ctrl-Z, which stops both, is another signal.
    const bool stopped = ended == child && WIFSTOPPED(status);
    if (stopped && WSTOPSIG(status) == SIGSTOP && shared.activity.depth > 0) ::kill(child, SIGCONT);
    if ((ended == child && !stopped) || (ended < 0 && errno != EINTR)) return status;
    const bool watches = interrupts > 0 || shared.finished;
    const timespec pause{watches ? 0 : 1, watches ? 20'000'000 : 0};
    const int signal = ::sigtimedwait(&signals, nullptr, &pause);
    if (signal > 0 && signal != SIGCHLD) {
      if (++interrupts == 1) interrupted = Clock::now();
      request_interrupt();
    }
    // Again and again: a plugin may have taken one for itself.
    if (interrupts > 0) ::kill(child, SIGTERM);
    if (interrupts > 1 || (interrupts == 1 && Clock::now() - interrupted > patience_with_libraries)) {
      ::kill(child, SIGKILL);
    }
    if (is_written_over(shared)) ::kill(child, SIGKILL);
    loading.watch(child, shared.activity);
    const bool finished = shared.finished;
    if (!finished && (interrupts == 0 || shared.activity.depth == 0)) {
      counts = false;
      continue;
    }
    if (!counts || was_finished != finished || call != shared.activity.number) {
      counts = true;
      since = Clock::now();
      was_finished = finished;
      call = shared.activity.number;
    } else if (Clock::now() - since > (finished ? Clock::duration(patience_at_exit) : Clock::duration(patience))) {
      ::kill(child, SIGKILL);
    }
  }
}

/// What arrived when the child had ended already, as a terminal sends it to both.
void take_late_interrupt(const sigset_t& signals) {
  const timespec none{};
  for (int signal; (signal = ::sigtimedwait(&signals, nullptr, &none)) > 0;) {
    if (signal != SIGCHLD) request_interrupt();
  }
}

/// Removes what the child would have removed. Innermost folders were made last.
void remove_left_behind(const Activity& activity) {
  for (size_t i = Activity::most_temporaries; i-- > 0;) {
    const Activity::Temporary& entry = activity.temporaries[i];
    const std::string path(entry.path, ::strnlen(entry.path, sizeof entry.path));
    std::error_code ignored;
    if (path.empty()) continue;
    if (entry.only_if_empty)
      ::rmdir(path.c_str());
    else
      std::filesystem::remove_all(path, ignored);
  }
}

/// Keeps the plugin's library from being loaded again. Yields whether the work may begin anew without it.
bool put_aside(const QuarantineRecord& record, Terminal& console) {
  if (record.sha256.size() != 64) return false;
  if (const auto folder = quarantine_folder()) {
    try {
      write_quarantine(*folder, record);
    } catch (const std::exception& error) {
      console.note(fmt::format("the quarantine cannot be written: {}", error.what()));
    }
  }
  ended_by().push_back(record);
  return true;
}

int conclude(Terminal& console, const Ending& ending) {
  const char* kind = ending.failure == Failure::plugin  ? "plugin"
                     : ending.failure == Failure::usage ? "usage"
                                                        : "internal";
  console.fail(static_cast<int>(ending.failure), kind, ending.cause, ending.hint);
  return static_cast<int>(ending.failure);
}

/// One attempt; nullopt where the work may begin anew.
std::optional<int> attempt(Terminal& console, const std::function<int(Console&)>& work, bool is_last) {
  Shared* shared = make_shared_object<Shared>();
  LastPlace* place = make_shared_object<LastPlace>();
  const sigset_t signals = awaited();
  sigset_t before;
  ::sigprocmask(SIG_BLOCK, &signals, &before);
  std::signal(SIGCHLD, SIG_DFL);  // a caller may have had it ignored, and then nobody is told how the child ended
  const pid_t parent = ::getpid();
  const pid_t child = shared == nullptr || place == nullptr ? -1 : ::fork();
  if (child < 0) {
    ::sigprocmask(SIG_SETMASK, &before, nullptr);
    return work(console);
  }
  if (child == 0) {
    keep_activity_in(shared->activity, *place);
    work_in_child(console, work, *shared, before, parent);
  }
  const int wait_status = wait_for(child, *shared, signals);
  end_descendants();
  take_late_interrupt(signals);
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
  if (is_written_over(*shared)) {
    console.drop_progress();
    Ending ending;
    ending.failure = Failure::plugin;
    ending.cause = "a plugin wrote over the memory by which it is watched, and the process was ended";
    ending.hint =
        "find which one by `onnxport plugins check`; what was being written may lie beside the output, as .onnxport-*";
    return conclude(console, ending);
  }
  remove_left_behind(shared->activity);
  if (shared->finished) {
    const int status = console.tell(shared->outbox, shared->status);
    console.set_mode(Terminal::Mode::quiet);  // everything is said
    return status;
  }
  console.drop_progress();
  console.tell_errors(shared->outbox);
  if (interrupt_flag()) {
    console.fail(interrupted_status, "interrupted", "interrupted; no output was left behind", "");
    return interrupted_status;
  }
  const Ending ending = ending_of(wait_status, shared->activity, *place);
  const bool may_go_on = ending.by_plugin && put_aside(ending.record, console) && ending.while_loading && !is_last;
  return may_go_on ? std::nullopt : std::optional(conclude(console, ending));
}

}  // namespace

int run_contained(Terminal& console, const std::function<int(Console&)>& work) {
  for (int attempts = 1;; ++attempts) {
    if (const auto status = attempt(console, work, attempts == most_attempts)) return *status;
  }
}

const std::vector<QuarantineRecord>& libraries_that_ended_it() {
  return ended_by();
}

}  // namespace onnxport
