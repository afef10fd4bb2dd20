// SPDX-License-Identifier: Apache-2.0
// Ctrl-C and termination: work stops at the next step and nothing is left behind.
#pragma once

#include <atomic>

namespace onnxport {

/// 128 + SIGINT, as shells report it.
constexpr int interrupted_status = 130;

/// SIGINT and SIGTERM set the flag instead of ending the process; a second one ends it. A pipe that nobody reads does
/// not end the process either, so that it can remove what it has staged.
void catch_interrupts();
/// Set by the first signal. Of this process alone: who has a child passes the signal on.
const std::atomic<bool>& interrupt_flag();
/// Of a child that `process` made, which passes signals on, ends the child where that does not heed them, and whose own
/// end is a signal as well: each signal sets the flag, and one that comes once `process` is gone ends this one within
/// seconds, also where it does not look at the flag.
void heed_interrupts_of(int process);
/// Throws Error(output, "interrupted") where the flag is set.
void stop_if_interrupted();
/// Sets the flag as a signal does.
void request_interrupt();

}  // namespace onnxport
