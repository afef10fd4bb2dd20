// SPDX-License-Identifier: Apache-2.0
#include "host/process/interrupt.hpp"

#include <unistd.h>

#include <csignal>

#include "core/error.hpp"
#include "host/process/shared_memory.hpp"

namespace onnxport {
namespace {

std::atomic<bool> own{false};
std::atomic<bool>* flag = &own;
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
  flag->store(true);
  // Nobody is left who would end it. The alarm's default action does.
  if (parent != 0 && ::getppid() != parent) ::alarm(seconds_alone);
}

}  // namespace

void catch_interrupts() {
  if (auto* shared = make_shared_object<std::atomic<bool>>()) flag = shared;
  struct sigaction action {};
  action.sa_sigaction = on_signal;
  sigemptyset(&action.sa_mask);
  // Back to the default after the first, for whoever does not want to wait.
  action.sa_flags = static_cast<int>(SA_RESETHAND) | SA_RESTART | SA_SIGINFO;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  // A limit on file sizes is then an error of the write, with a message, instead of the end of the process.
  std::signal(SIGXFSZ, SIG_IGN);
}

const std::atomic<bool>& interrupt_flag() {
  return *flag;
}

void stop_if_interrupted() {
  if (interrupt_flag()) throw Error(Failure::output, "interrupted");
}

void end_soon_without(int process) {
  parent = process;
}

void request_interrupt() {
  flag->store(true);
}

}  // namespace onnxport
