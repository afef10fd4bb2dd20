// SPDX-License-Identifier: Apache-2.0
// The table of operators: its areas in the order in which docs/operators.md has them.
#include "core/operators/areas.hpp"

namespace onnxport::ir {

const std::vector<Operator>& operators() {
  static const std::vector<Operator> table = [] {
    std::vector<Operator> rows;
    for (const std::vector<Operator>* area :
         {&elementwise_operators(), &layout_operators(), &selection_operators(), &length_operators(),
          &reduction_operators(), &norm_operators(), &linear_operators(), &window_operators(),
          &channel_norm_operators(), &resampling_operators(), &padding_operators(), &recurrent_operators(),
          &mask_operators(), &attention_operators(), &head_operators(), &expert_operators(), &control_operators()})
      rows.insert(rows.end(), area->begin(), area->end());
    return rows;
  }();
  return table;
}

}  // namespace onnxport::ir
