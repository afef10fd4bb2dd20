// SPDX-License-Identifier: Apache-2.0
// Work that runs the code of plugins, in a process of its own: whatever that code does to it, this one says what
// happened and removes what was left.
#pragma once

#include <functional>
#include <vector>

#include "host/process/terminal.hpp"
#include "registry/quarantine.hpp"

namespace onnxport {

/// Runs `work` in a child process, which reports what it throws and prints the console's object. Yields its exit
/// status; where it did not come to its end, that of the report that is made here: 4 where a plugin ended it, 130 where
/// the user did, 70 otherwise. A plugin that ended it goes into quarantine; one that did so while its library was
/// loaded is passed over, and the work begins anew. Where no process can be made the work is done in this one.
///
/// The first SIGINT or SIGTERM, or another signal by which a user ends a process, sets the interrupt flag of both
/// processes. Code of a plugin that goes on for longer than a moment is then ended, and by the second signal everything
/// is.
int run_contained(Terminal& console, const std::function<int(Console&)>& work);

/// Libraries that ended an earlier attempt of this command.
const std::vector<QuarantineRecord>& libraries_that_ended_it();

}  // namespace onnxport
