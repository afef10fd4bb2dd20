// SPDX-License-Identifier: Apache-2.0
#include "core/passes/rounded_weights.hpp"

#include <memory>
#include <utility>

namespace onnxport {

ir::Graph with_rounded_weights(ir::Graph definition, ir::DType dtype) {
  for (ir::Value& value : definition.values) {
    if (value.origin != ir::Origin::weight || value.type.dtype != ir::DType::f32) continue;
    value.weight = std::make_shared<const Weight>(value.weight->then(CastTo{dtype}).then(CastTo{ir::DType::f32}));
  }
  return definition;
}

}  // namespace onnxport
