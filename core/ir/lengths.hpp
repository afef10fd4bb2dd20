// SPDX-License-Identifier: Apache-2.0
// How long dimensions are once the lengths of some symbols are known.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "core/ir/types.hpp"

namespace onnxport::ir {

/// Lengths by symbol.
using Lengths = std::map<std::string, int64_t>;

/// The length of a dimension, also where its symbols are quotients and products of known ones ("floor(height/16)",
/// "(batch)*(rows)"). nullopt where it hangs on one that nobody knows.
std::optional<int64_t> length_of(const Dim& dim, const Lengths& known);
/// The elements of a tensor of that shape.
std::optional<int64_t> element_count(const Shape& shape, const Lengths& known);

}  // namespace onnxport::ir
