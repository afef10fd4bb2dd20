// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace onnxport {

/// The first `most` of the names, joined by commas, and how many more there are: "a, b and 3 more".
std::string listed(const std::vector<std::string>& names, size_t most);

}  // namespace onnxport
