// SPDX-License-Identifier: Apache-2.0
// The process that watches over plugins is out of their reach.
#pragma once

#include <sys/types.h>

namespace onnxport {

/// From now on this process, and all that come to be below it, cannot send a signal to `watcher`, to a group of
/// processes or to all of them, nor change the limits or the memory of `watcher`: who tries ends by SIGSYS, and files
/// of /proc by which memory can be written do not open. Where the system has neither filters nor Landlock nothing is
/// kept.
void shield(pid_t watcher);

}  // namespace onnxport
