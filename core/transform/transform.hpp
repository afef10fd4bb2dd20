// SPDX-License-Identifier: Apache-2.0
// What is done to a finished file, whoever wrote it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "core/onnx/model_proto.hpp"
#include "core/transform/fix.hpp"

namespace onnxport {

struct Transformation {
  std::map<std::string, int64_t> fixed;  // sizes of axes
  bool int32 = false;                    // inputs of whole numbers
  bool fp16 = false;                     // weights, and what is computed with them

  bool changes_graph() const { return !fixed.empty() || int32 || fp16; }
};

struct Transformed {
  int nodes_before = 0, nodes = 0;
  std::optional<OpenLengths> open;   // where axes were fixed
  std::optional<size_t> narrow_ids;  // how many inputs
};

/// Changes the model, whose weights carry what is done to them: nothing of them is read. What the file's metadata say
/// of its form is kept true. Throws Error(usage) where something cannot be done.
Transformed transform(ModelParts& model, const Transformation& wanted);

}  // namespace onnxport
