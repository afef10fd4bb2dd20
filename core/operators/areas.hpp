// SPDX-License-Identifier: Apache-2.0
// The rows of the table of operators by area. Each area is a file of its name: what its operators infer, how they are
// lowered, and at its end the rows.
#pragma once

#include <vector>

#include "core/ir/operators.hpp"

namespace onnxport::ir {

/// Element by element.
const std::vector<Operator>& elementwise_operators();
/// What moves elements and leaves them as they are.
const std::vector<Operator>& layout_operators();
/// What tells lengths, and counts.
const std::vector<Operator>& length_operators();
/// What chooses among entries, and puts them back.
const std::vector<Operator>& selection_operators();
/// Sums, means and the largest over axes; softmax.
const std::vector<Operator>& reduction_operators();
const std::vector<Operator>& norm_operators();
/// Products of matrices, and tables of embeddings.
const std::vector<Operator>& linear_operators();
/// Convolutions and pools over signals, images and videos.
const std::vector<Operator>& window_operators();
const std::vector<Operator>& channel_norm_operators();
/// Samples between pixels.
const std::vector<Operator>& resampling_operators();
const std::vector<Operator>& padding_operators();
const std::vector<Operator>& recurrent_operators();
const std::vector<Operator>& attention_operators();
/// Masks that definitions add to scores themselves.
const std::vector<Operator>& mask_operators();
/// Heads apart and together, and what turns them by their places.
const std::vector<Operator>& head_operators();
/// Mixtures of experts.
const std::vector<Operator>& expert_operators();
/// What runs graphs.
const std::vector<Operator>& control_operators();

}  // namespace onnxport::ir
