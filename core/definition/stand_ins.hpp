// SPDX-License-Identifier: Apache-2.0
// What a checkpoint holds in place of a tensor that is missing: another form of it.
#pragma once

#include <map>
#include <string>

#include "core/definition/name_rules.hpp"

namespace onnxport {

/// What to do where quantized weights are found in place of others.
constexpr std::string_view quantized_next_step =
    "quantized weights are not read; export the checkpoint that they were made from";

/// Of a tensor that is not among them: names those that it is computed of, or integers of its module that nobody knows,
/// and says what to do; empty where there are neither.
std::string explain_stand_in(const std::map<std::string, AdaptedTensor>& tensors, const std::string& missing);

}  // namespace onnxport
