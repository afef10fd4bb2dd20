// SPDX-License-Identifier: Apache-2.0
// A plugin that was found, as an entry of the object that --json prints.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "registry/candidate.hpp"

namespace onnxport {

nlohmann::ordered_json json_of(const Candidate& candidate);

}  // namespace onnxport
