// SPDX-License-Identifier: Apache-2.0
// Processes that a child has left.
#pragma once

namespace onnxport {

/// From now on the processes that come to be below this one are its own to end, also those whose maker has ended, where
/// the system can tell them. For the command alone, at its start: a program that uses the library has children of other
/// kinds.
void own_descendants();

/// Ends them, for when the only one that was meant to be there has ended. Nothing where they are not this process's
/// own.
void end_descendants();

}  // namespace onnxport
