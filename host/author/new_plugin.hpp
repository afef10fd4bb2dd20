// SPDX-License-Identifier: Apache-2.0
// A project for a new plugin, which builds and passes its test as it is.
#pragma once

#include <filesystem>
#include <string>

#include "host/author/samples.hpp"

namespace onnxport {

/// What the new plugin is called, and where it is to lie.
struct NewPlugin {
  std::string name;              ///< letters, digits, "-" and "_"; of its library and its id
  std::string model_type;        ///< that it serves
  std::filesystem::path folder;  ///< new or empty
};

/// A name that may be a plugin's. Throws Error(usage).
void require_plugin_name(const std::string& name);
/// Writes the template under the new names.
void write_from_template(const NewPlugin& plugin);
/// Writes the source of a known type, which then defines the new one, with a recorded case of the known one. `config`,
/// where there is one, is what its features are tried on.
void write_from_sample(const NewPlugin& plugin, const SourceSample& sample, const std::filesystem::path& config);

}  // namespace onnxport
