// SPDX-License-Identifier: Apache-2.0
// How samples between pixels are lowered.
#pragma once

#include "core/ir/builder.hpp"

namespace onnxport::ir {

/// Resize of all axes but the first two; from opset 18 it takes sizes of these alone, and can widen its filter. Below
/// that a widened filter is a product with a matrix along each axis.
Results interpolate(Builder& b);

/// GridSample before opset 16: gathers the pixels around each sample, one or two or four a side, each with its weight.
Results grid_sample_by_gathering(Builder& b);
/// And from opset 20, where two modes have other names.
Results grid_sample_renamed(Builder& b);

}  // namespace onnxport::ir
