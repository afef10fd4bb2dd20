// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/onnx/model_proto.hpp"
#include "core/tensor/tensor.hpp"

namespace onnxport {

/// What a node of a file yields of tensors that are known; nullopt where the table of operators does not say, or not of
/// such a form of the operator. `inputs` are in the node's order, null where absent.
std::optional<std::vector<ir::Tensor>> evaluate(const pb::NodeProto& node, const std::vector<const ir::Tensor*>& inputs,
                                                int64_t opset);

}  // namespace onnxport
