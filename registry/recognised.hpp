// SPDX-License-Identifier: Apache-2.0
// The type of a config.json that states none, by its fields, as manifests tell it.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/checkpoint/checkpoint.hpp"
#include "registry/manifest.hpp"
#include "registry/yaml.hpp"

namespace onnxport {

class Registry;

using Recognised = Manifest::Recognised;

/// Reads the value of `recognised_by` in a manifest whose types are known. Throws Error(plugin) with file and line.
std::vector<Recognised> recognised_by(const yaml::Node& node, const std::filesystem::path& file,
                                      const Manifest& manifest);

/// The type of a config.json that states no model_type, by the manifests of the healthy candidates; where several types
/// fit, the one that names the most fields. Nullopt where none fits. Throws Error(checkpoint) where two fit equally
/// well.
std::optional<Recognised> recognise(const Registry& registry, const Json& config);

}  // namespace onnxport
