// SPDX-License-Identifier: Apache-2.0
// What is told of a plugin that was found.
#pragma once

#include "core/checkpoint/checkpoint.hpp"
#include "registry/candidate.hpp"

namespace onnxport {

/// As --json has it.
Json json_of(const Candidate& candidate);

}  // namespace onnxport
