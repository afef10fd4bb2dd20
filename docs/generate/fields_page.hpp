// SPDX-License-Identifier: Apache-2.0
// docs/fields.md: what becomes of the fields of config.json, by model type.
#pragma once

#include <string>

#include "docs/generate/pages.hpp"

namespace onnxport {

std::string fields_page(const std::string& present_page, const BuiltPlugins& plugins);

}  // namespace onnxport
