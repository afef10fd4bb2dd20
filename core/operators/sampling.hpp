// SPDX-License-Identifier: Apache-2.0
// What rules share that make an axis of another length by a matrix of weights, made in the graph where only the run
// knows the lengths.
#pragma once

#include "core/ir/builder.hpp"

namespace onnxport::ir {

/// 0, 1, … as i64[length]; length: i64[1].
ValueId counted(Builder& b, ValueId length);

/// The product along one axis of x with a matrix f[to, from]: f[..., from, ...] -> f[..., to, ...].
ValueId multiplied_along(Builder& b, ValueId x, size_t axis, ValueId matrix);

/// Keys' cubic filter with the factor a at distances, which are not below 0: f[...] -> the same.
ValueId cubic_filter(Builder& b, ValueId distances, double a);

}  // namespace onnxport::ir
