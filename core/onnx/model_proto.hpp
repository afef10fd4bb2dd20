// SPDX-License-Identifier: Apache-2.0
// From a lowered graph to ONNX's protocol buffers: everything but the bytes of the weights.
#pragma once

#include <onnx/onnx_pb.h>

#include <map>
#include <string>
#include <vector>

#include "core/ir/graph.hpp"
#include "core/onnx/axis_names.hpp"
#include "core/onnx/ir_version.hpp"

namespace onnxport {

namespace pb = ONNX_NAMESPACE;

/// An initializer that the writer streams: its header, and where its bytes come from.
struct StreamedInitializer {
  pb::TensorProto header;  // name, type and dims; no data
  std::shared_ptr<const Weight> weight;
};

struct ModelParts {
  pb::ModelProto model;  // its graph has no weights among the initializers, only constants
  std::vector<StreamedInitializer> weights;
};

struct ModelOptions {
  int64_t opset;
  std::map<std::string, std::string> metadata;
  AxisNames axes{};
  std::map<std::string, int64_t> domains = {};  ///< versions of domains other than ONNX's; 1 where none is told
  bool keep_custom_ops = false;  ///< operators of the plugin's own are written without what they are made of
};

/// The parts of the ONNX file for a lowered graph. Deterministic.
ModelParts to_model(const ir::Graph& lowered, const ModelOptions& options);

}  // namespace onnxport
