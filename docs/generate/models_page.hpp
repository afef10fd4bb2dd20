// SPDX-License-Identifier: Apache-2.0
// docs/models.md: what the plugins offer, and what they know that they do not.
#pragma once

#include <string>
#include <vector>

#include "registry/manifest.hpp"

namespace onnxport {

/// The page with a row for each model type, sorted, and one for each known gap.
std::string models_page(const std::string& present_page, const std::vector<Manifest>& manifests);

}  // namespace onnxport
