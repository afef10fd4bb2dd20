// SPDX-License-Identifier: Apache-2.0
// What an installation has for authors to begin with: the sources of its plugins with a recorded case each, and a
// template.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "registry/registry.hpp"

namespace onnxport {

/// A plugin's source, with what its types are tried on.
struct SourceSample {
  std::filesystem::path folder;
  std::string model_type;  ///< the one that is asked for
  Resolved resolved;       ///< what its manifest says of that type
};

/// The folder of the template. Throws Error(usage) where the installation has none.
std::filesystem::path template_folder();
/// The sample that has a model type. Throws Error(usage) where there is no such type, or its source is not installed.
SourceSample sample_of_type(const Registry& registry, const std::string& model_type);
/// The type of some plugin whose config is most like this one, by the names of its fields; those of every config are
/// left out of account. Throws Error(usage) where no samples are installed.
std::string nearest_type(const Registry& registry, const Json& config);

}  // namespace onnxport
