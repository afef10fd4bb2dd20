// SPDX-License-Identifier: Apache-2.0
// What loading a plugin would show, found out in a process that may end by it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "registry/candidate.hpp"

namespace onnxport {

/// Why a library does not load.
struct LoadFailure {
  std::string reason, hint;
};

/// Loads the candidates' libraries one behind the other and yields for each why it does not, or nothing. A library that
/// ends the process it is loaded in, or does not come back within ten seconds, is told so and stops no other. Throws
/// Error(output) where no process can be made.
std::vector<std::optional<LoadFailure>> probe(const std::vector<const Candidate*>& candidates);

}  // namespace onnxport
