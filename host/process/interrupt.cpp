// SPDX-License-Identifier: Apache-2.0
#include "host/process/interrupt.hpp"

#include <unistd.h>

#include <csignal>

#include "core/error.hpp"

namespace onnxport {
namespace {

std::atomic<bool> flag{false};
static_assert(std::atomic<bool>::is_always_lock_free, "set from a signal handler");

/// Of a child: who made it. 0 in any other process.
pid_t parent = 0;
/// How long a child that is left alone may go on, wherever it is.
constexpr unsigned seconds_alone = 5;

void on_signal(int number, siginfo_t* info, void*) {
  // What a plugin raises is no wish of the user's: it ends the process as if it were not caught.
  if (info->si_pid == ::getpid() && (info->si_code == SI_TKILL || info->si_code == SI_USER)) {
    std::signal(number, SIG_DFL);
    ::raise(number);
    return;
  }
  flag.store(true);
  // Nobody is left who would end it. The alarm's default action does.
  if (parent != 0 && ::getppid() != parent) ::alarm(seconds_alone);
}

void handle_signals(int flags) {
  struct sigaction action {};
  action.sa_sigaction = on_signal;
  sigemptyset(&action.sa_mask);
  action.sa_flags = flags | SA_RESTART | SA_SIGINFO;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

}  // namespace

void catch_interrupts() {
  // Back to the default after the first, for whoever does not want to wait.
  handle_signals(static_cast<int>(SA_RESETHAND));
  std::signal(SIGPIPE, SIG_IGN);
  // A limit on file sizes is then an error of the write, with a message, instead of the end of the process.
  std::signal(SIGXFSZ, SIG_IGN);
}

const std::atomic<bool>& interrupt_flag() {
  return flag;
}

void stop_if_interrupted() {
  if (interrupt_flag()) throw Error(Failure::output, "interrupted");
}

void heed_interrupts_of(int process) {
  parent = process;
  handle_signals(0);
}

void request_interrupt() {
  flag.store(true);
}

}  // namespace onnxport
