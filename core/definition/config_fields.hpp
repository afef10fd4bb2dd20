// SPDX-License-Identifier: Apache-2.0
// Which fields of config.json a definition has to account for.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "core/checkpoint/checkpoint.hpp"

namespace onnxport {

/// Fields that may say something of the graph and are not among those `read`, in the file's order. What is for
/// training, generation and bookkeeping, whatever the model, is left out.
std::vector<std::string> unread_fields(const Json& config, const std::set<std::string>& read);

}  // namespace onnxport
