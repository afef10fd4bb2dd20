// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/onnx/model_proto.hpp"

namespace onnxport {

/// Makes the model's inputs of INT64 that have axes such of INT32, with a Cast behind each where something needs the
/// wider type. Yields how many there were.
size_t narrow_ids(ModelParts& model);

}  // namespace onnxport
