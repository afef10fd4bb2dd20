// SPDX-License-Identifier: Apache-2.0
// How long the axes of dummy inputs are.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/checkpoint/checkpoint.hpp"
#include "core/description/description.hpp"
#include "core/dummy/dummy_options.hpp"
#include "core/dummy/preprocessor.hpp"

namespace onnxport::dummy {

using Sizes = std::map<std::string, int64_t>;  // by the axis's symbol

/// Whether models have the axis in common, so that its length is chosen by what it is.
bool is_common_axis(const std::string& symbol);

/// The length nearest to `wanted` that the axis allows: from its minimum to its maximum, a multiple of its step.
int64_t fit(const AxisSize& axis, int64_t wanted);

/// Lengths of the axes that models have in common (batch, sequence, choice, height, …) and of those that the
/// description states. In order: what `options` ask for, what the image processor makes, what the plugin calls usual,
/// what config.json says, a default; brought within the axis's bounds.
Sizes axis_sizes(const Description& description, const Json& config, const Preprocessor* preprocessor,
                 const DummyOptions& options);

/// Throws Error(plugin) naming an axis of which no length is known.
std::vector<int64_t> shape_of(const InputSpec& spec, const Sizes& sizes);

}  // namespace onnxport::dummy
