// SPDX-License-Identifier: Apache-2.0
// What a process has one of, and the code of a plugin may change without a thought for those who come after it.
#pragma once

namespace onnxport {

/// From now on, in this process and where its activity is kept (core/activity.hpp): when a plugin returns, the working
/// directory, the mode of new files, the environment, the locale, rounding and traps of floating point, handlers and
/// mask of signals, timers, limits and the standard streams are what they were when it was called. Where it has closed
/// or replaced files that are not its own, which nothing brings back, the process ends, and its activity says why.
void keep_surroundings_of_plugins();

}  // namespace onnxport
