// SPDX-License-Identifier: Apache-2.0
// The check of a cache: from the files of a layout to a decoder that can be stepped.
#pragma once

#include <optional>

#include "core/validate/cached_step.hpp"
#include "host/validation/validate_export.hpp"

namespace onnxport {

/// What came of the check: a run, or why there is none.
struct CachedStepCheck {
  std::optional<ValidationRun> run{};  ///< nullopt as well where the plugin states no cache
  bool takes_one_token = false;        ///< a step, by the plugin's maximum; what several give is another thing then
  bool lengths_are_fixed = false;      ///< so that a file does not take both
};

/// Compares a cached step with the uncached run of the same tokens, in the written files. In the one graph of an
/// encoder-decoder, which only takes cached steps, the definition of the first step fills the cache.
CachedStepCheck validate_cached_step(const ExportToValidate& exported, const Tolerance& tolerance);

}  // namespace onnxport
