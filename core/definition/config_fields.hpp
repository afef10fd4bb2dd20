// SPDX-License-Identifier: Apache-2.0
// Which fields of config.json a definition has to account for.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/checkpoint/checkpoint.hpp"

namespace onnxport {

/// The fields that a plugin asked for, and whether it looked at what they say. Those that it only names are known to it
/// to have no effect.
using AskedFields = std::map<std::string, bool>;

/// Fields that may say something of the graph and are not among those `asked` for, in the file's order. What is for
/// training, generation and bookkeeping, whatever the model, is left out.
std::vector<std::string> unread_fields(const Json& config, const AskedFields& asked);

/// Throws Error(checkpoint) for a field of all classes that has another type than theirs, or asks for pruned heads.
void refuse_general_fields(const Json& config);

/// The class names of config.json's `architectures`, or of its text_config's where it has none itself; what is not a
/// name is passed over.
std::vector<std::string> architectures_of(const Json& config);

/// The class of the model's own code that config.json's auto_map names for it; empty where it names none.
std::string own_code_of(const Json& config);

}  // namespace onnxport
