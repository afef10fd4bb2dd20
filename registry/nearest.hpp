// SPDX-License-Identifier: Apache-2.0
// Guessing what was meant by a word that is not known.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace onnxport {

/// Up to `limit` of `known` that `word` may have been meant to be, nearest first.
std::vector<std::string> nearest(std::string_view word, const std::vector<std::string>& known, size_t limit = 3);

/// "; the nearest known: a, b", or nothing.
std::string guesses(std::string_view word, const std::vector<std::string>& known);

}  // namespace onnxport
