// SPDX-License-Identifier: Apache-2.0
#include "host/process/interrupt.hpp"

#include <unistd.h>

#include <csignal>
#include <string_view>

namespace onnxport {
namespace {

std::atomic<bool> flag{false};
static_assert(std::atomic<bool>::is_always_lock_free, "set from a signal handler");

/// What a library that does not come back may take after the first signal.
constexpr unsigned seconds_to_stop = 15;
constexpr int status_of_interrupted = 130;

void on_signal(int) {
  flag.store(true);
  alarm(seconds_to_stop);
}

/// The hidden folder of an export is left behind; the next export to the same place removes it.
void on_late(int) {
  constexpr std::string_view words =
      "onnxport: error: interrupted, while a library did not come back\n"
      "  what was begun is in a hidden folder beside the output; the next export to the same place removes it\n";
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, words.data(), words.size());
  _exit(status_of_interrupted);
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
  std::signal(SIGALRM, on_late);
  std::signal(SIGPIPE, SIG_IGN);
  // A limit on file sizes is then an error of the write, with a message, instead of the end of the process.
  std::signal(SIGXFSZ, SIG_IGN);
}

const std::atomic<bool>& interrupt_flag() {
  return flag;
}

}  // namespace onnxport
