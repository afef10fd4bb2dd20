// SPDX-License-Identifier: Apache-2.0
// Templates in Jsonnet, a language of data: a template is a function of what was exported.
#pragma once

#include <filesystem>
#include <vector>

#include "core/checkpoint/checkpoint.hpp"

namespace onnxport {

/// Calls each of these files with `exported` and adds their results up (jsonnet's +): the first is a package's
/// template, the others are what plugins add. Throws Error(plugin) with jsonnet's own words where one fails.
Json evaluate_templates(const std::vector<std::filesystem::path>& files, const Json& exported);

}  // namespace onnxport
