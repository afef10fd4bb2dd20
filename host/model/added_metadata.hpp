// SPDX-License-Identifier: Apache-2.0
// Metadata of a model that is known after the model is written.
#pragma once

#include <filesystem>
#include <string>

namespace onnxport {

struct MetadataEntry {
  std::string key, value;
};

/// Adds an entry to a model's file, of which nothing else is read or written. Throws Error(output) where it cannot be.
void add_metadata(const std::filesystem::path& model, const MetadataEntry& entry);

}  // namespace onnxport
