// SPDX-License-Identifier: Apache-2.0
// The check of a cache: from the files of a layout to a decoder that can be stepped.
#pragma once

#include <optional>

#include "core/validate/cached_step.hpp"
#include "host/validation/validate_export.hpp"

namespace onnxport {

/// Compares a cached step with the uncached run of the same tokens, in the written files; nullopt where the plugin
/// states no cache. In the one graph of an encoder-decoder, which only takes cached steps, the definition of the first
/// step fills the cache.
std::optional<ValidationRun> validate_cached_step(const ExportToValidate& exported, const Tolerance& tolerance);

}  // namespace onnxport
