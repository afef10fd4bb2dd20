// SPDX-License-Identifier: Apache-2.0
// Two graphs in one file: a decoder's first step and its cached ones under an If, with their common weights once.
#pragma once

#include <vector>

#include "core/definition/description.hpp"
#include "core/onnx/model_proto.hpp"

namespace onnxport {

/// The bool[1] input that chooses: true runs the cached step.
inline constexpr const char* branch_input = "use_cache_branch";

/// One model whose inputs are those of both and use_cache_branch, and whose outputs are those of `first`. One that
/// `cached` does not put out is a state that it keeps, and is its input: `states` tell which. Throws Error(plugin)
/// where an output has no such counterpart, or an input has two types.
ModelParts merge_branches(ModelParts first, ModelParts cached, const std::vector<StateSpec>& states);

}  // namespace onnxport
