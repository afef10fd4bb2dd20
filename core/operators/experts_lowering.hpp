// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "core/ir/builder.hpp"

namespace onnxport::ir {

/// The rule of MixtureOfExperts: the chosen experts, one after the other.
Results lower_mixture_of_experts(Builder& b);

}  // namespace onnxport::ir
