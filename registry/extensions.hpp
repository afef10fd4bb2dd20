// SPDX-License-Identifier: Apache-2.0
// Plugins without a library, which add model types to another one.
#pragma once

#include <vector>

#include "registry/candidate.hpp"

namespace onnxport {

/// Finds for every extension the plugin that it extends: sets `base`, which points into the vector, and the features of
/// its types. One whose base is missing, doubtful or cannot be used gets a state and a reason.
void resolve_extensions(std::vector<Candidate>& candidates);

}  // namespace onnxport
