// SPDX-License-Identifier: Apache-2.0
// A part of a YAML file as JSON.
#pragma once

#include <functional>

#include "core/checkpoint/checkpoint.hpp"
#include "registry/yaml.hpp"

namespace onnxport::yaml {

/// `scalar` says what a word stands for.
Json json_of(const Node& node, const std::function<Json(const Node&)>& scalar);

}  // namespace onnxport::yaml
