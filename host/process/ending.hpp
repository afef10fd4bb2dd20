// SPDX-License-Identifier: Apache-2.0
// How a process that ran the code of plugins ended, in words.
#pragma once

#include <string>

#include "core/activity.hpp"
#include "core/error.hpp"
#include "registry/quarantine.hpp"

namespace onnxport {

/// What became of a process that did not come to its end.
struct Ending {
  Failure failure = Failure::internal;  ///< plugin where one is to blame, usage where a limit of memory is
  std::string cause, hint;
  /// Filled where the code of a plugin ran, so that its library is known; `date` is now.
  QuarantineRecord record;
  bool by_plugin = false;
  bool while_loading = false;  ///< of the plugin's library
};

/// `wait_status` is that of waitpid. What `activity` and `last_place` say is not trusted to be well-formed.
Ending ending_of(int wait_status, const Activity& activity, const LastPlace& last_place);

}  // namespace onnxport
