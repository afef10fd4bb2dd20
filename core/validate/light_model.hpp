// SPDX-License-Identifier: Apache-2.0
// A written file as validation takes it: its messages in memory, the bytes of its weights where they were written.
#pragma once

#include <map>
#include <string>

#include "core/backend/backend.hpp"
#include "core/inspect/onnx_file.hpp"

namespace onnxport {

/// The model for ONNX Runtime, which maps the weights from the very file, or from those that it refers to. What it
/// takes from no file, elements in other forms than plain bytes and tensors in nodes, is put back into the messages.
ModelImage image_of(const inspect::OnnxFile& file);
/// The same of a part of the file, or of it with further outputs: a model of tensors that `file` was read with.
ModelImage image_of(const inspect::OnnxFile& file, inspect::pb::ModelProto model);

/// Throws Error(differs) where a tensor's bytes are missing, in this file or in another, or more or fewer than its type
/// and dimensions take. Yields the locations of other files, each with a tensor that lies there.
std::map<std::string, std::string> check_tensor_places(const inspect::OnnxFile& file);

/// The messages for the ONNX checker, which looks at no weight's bytes: each that is left out stands there as one that
/// is in place. Small tensors, on which shapes hang, are read.
inspect::pb::ModelProto for_checker(const inspect::OnnxFile& file);

}  // namespace onnxport
