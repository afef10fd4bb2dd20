// SPDX-License-Identifier: Apache-2.0
// What is known of the values of a model in protocol buffers.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "core/onnx/model_proto.hpp"
#include "core/tensor/tensor.hpp"

namespace onnxport {

/// Types by the name of the value, of the main graph and those within it.
using ValueTypes = std::map<std::string, pb::TypeProto>;

/// ONNX's shape inference, with what it tells of lengths. Values that it does not know are left out. Weights that are
/// apart count as initializers.
ValueTypes infer_types(const ModelParts& model);

/// What onnx's inference says of shapes that do not fit together; empty where all do.
std::string shape_fault(const ModelParts& model);

/// The lengths of a tensor where all are numbers.
std::optional<std::vector<int64_t>> lengths_of(const pb::TypeProto& type);

/// A tensor that a message holds; nullopt for types that the graph does not have, and for external ones.
std::optional<ir::Tensor> to_tensor(const pb::TensorProto& proto);
pb::TensorProto to_proto(const ir::Tensor& tensor, const std::string& name);

/// Whether a node runs a graph.
bool has_graph(const pb::NodeProto& node);

/// The version of ONNX's own domain; 0 where it has none.
int64_t opset_of(const pb::ModelProto& model);

}  // namespace onnxport
