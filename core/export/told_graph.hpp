// SPDX-License-Identifier: Apache-2.0
// What a graph in protocol buffers says of its inputs and outputs.
#pragma once

#include <string>

#include "core/export/export.hpp"
#include "core/onnx/model_proto.hpp"

namespace onnxport {

/// Of any graph, whoever wrote it; weights that an old version of the format lists as inputs are none.
ExportedGraph told_of(const std::string& file, const ModelParts& parts);

}  // namespace onnxport
