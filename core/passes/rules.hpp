// SPDX-License-Identifier: Apache-2.0
// The table of lowering rules, which stands in a file for each field.
#pragma once

#include <limits>
#include <span>

#include "core/passes/builder.hpp"

namespace onnxport {

/// A rule for an operator that applies to the opsets below one.
struct RuleRow {
  const char *domain, *op;
  int64_t below;
  Rule rule;
};

constexpr int64_t every_opset = std::numeric_limits<int64_t>::max();

/// Layers, activations, shapes.
std::span<const RuleRow> common_rules();
/// Attention, its masks and rotary embeddings.
std::span<const RuleRow> attention_rules();
/// Mixtures of experts.
std::span<const RuleRow> selection_rules();
/// Convolutions and pools.
std::span<const RuleRow> window_rules();
/// Samples between pixels.
std::span<const RuleRow> resampling_rules();
std::span<const RuleRow> grid_sample_rules();
std::span<const RuleRow> padding_rules();
std::span<const RuleRow> channel_norm_rules();
/// Recurrent layers.
std::span<const RuleRow> sequence_rules();
/// Results that are put back among others.
std::span<const RuleRow> scatter_rules();

}  // namespace onnxport
