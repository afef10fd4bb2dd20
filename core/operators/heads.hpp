// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "core/ir/builder.hpp"

namespace onnxport::ir {

/// f[batch, n, heads·d] -> f[batch, n, heads, d] with its axes in the order `perm`.
ValueId into_heads(Builder& b, ValueId x, int64_t heads, std::vector<int64_t> perm);

}  // namespace onnxport::ir
