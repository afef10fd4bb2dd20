// SPDX-License-Identifier: Apache-2.0
// From when the times of a report count.
#pragma once

namespace onnxport {

/// The work that this thread does and tells begins now, as in a program that embeds the commands and runs many.
void begin_timing();

}  // namespace onnxport
