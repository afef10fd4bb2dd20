// SPDX-License-Identifier: Apache-2.0
// A plugin against the config classes of its types.
#pragma once

#include <filesystem>

#include "registry/registry.hpp"

namespace onnxport::test {

/// Fails for each field of the classes in fields.json that the plugin neither reads nor lists as without effect, and
/// for each of its types that the file lacks.
void check_fields(const Candidate& plugin, const std::filesystem::path& file);

}  // namespace onnxport::test
