// SPDX-License-Identifier: Apache-2.0
// Which weights of two files are the same.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/inspect/model_diff.hpp"
#include "core/inspect/stored_tensors.hpp"

namespace onnxport::inspect {

struct WeightMatch {
  std::vector<WeightChange> changes;
  uint64_t equal = 0;
  /// The name in the first file of each tensor of the second that holds the same bytes in the same shape.
  std::map<std::string, std::string> same_in_a;
};

WeightMatch match_weights(const OnnxFile& a, const OnnxFile& b);

}  // namespace onnxport::inspect
