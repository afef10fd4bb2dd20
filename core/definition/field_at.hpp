// SPDX-License-Identifier: Apache-2.0
// A field of config.json by its path.
#pragma once

#include <string>

#include "core/checkpoint/checkpoint.hpp"

namespace onnxport {

/// The field at a path, "rope.theta"; null where there is none. A key with dots in it is found as well.
const Json* field_at(const Json& map, const std::string& path);

}  // namespace onnxport
