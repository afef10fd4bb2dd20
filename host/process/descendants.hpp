// SPDX-License-Identifier: Apache-2.0
// Processes that a child has left.
#pragma once

namespace onnxport {

/// From now on a process whose maker among this one's children has ended is a child of this one, where the system can.
void adopt_descendants();

/// Ends all children of this process and theirs. For when the only one that was meant to be there has ended.
void end_descendants();

}  // namespace onnxport
