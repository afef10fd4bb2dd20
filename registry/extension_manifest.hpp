// SPDX-License-Identifier: Apache-2.0
// The keys of a plugin.yaml that has no library and adds model types to another plugin.
#pragma once

#include <filesystem>

#include "registry/manifest.hpp"
#include "registry/yaml.hpp"

namespace onnxport {

/// Reads what an extension says beyond what every manifest does. Throws Error(plugin) with file and line.
void read_extension(yaml::Map& map, const std::filesystem::path& file, Manifest& manifest);

}  // namespace onnxport
