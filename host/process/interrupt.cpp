// SPDX-License-Identifier: Apache-2.0
#include "host/process/interrupt.hpp"

#include <csignal>

namespace onnxport {
namespace {

std::atomic<bool> flag{false};
static_assert(std::atomic<bool>::is_always_lock_free, "set from a signal handler");

void on_signal(int) {
  flag.store(true);
}

}  // namespace

void catch_interrupts() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  // Back to the default after the first, for whoever does not want to wait.
  action.sa_flags = static_cast<int>(SA_RESETHAND) | SA_RESTART;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  // A limit on file sizes is then an error of the write, with a message, instead of the end of the process.
  std::signal(SIGXFSZ, SIG_IGN);
}

const std::atomic<bool>& interrupt_flag() {
  return flag;
}

}  // namespace onnxport
