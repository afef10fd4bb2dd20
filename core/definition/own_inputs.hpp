// SPDX-License-Identifier: Apache-2.0
// The dummy inputs that a plugin supplies itself.
#pragma once

#include <onnxport/abi.h>

#include <map>
#include <string>

#include "core/description/description.hpp"
#include "core/tensor/tensor.hpp"

namespace onnxport::detail {

/// Collects what dummy_inputs() delivers for one part, each tensor checked against the input's type at these sizes.
struct OwnInputs : onnxport_tensors {
  OwnInputs(const Description& description, const std::map<std::string, int64_t>& sizes);
  const Description& description;
  const std::map<std::string, int64_t>& sizes;
  Tensors made;
};

}  // namespace onnxport::detail
