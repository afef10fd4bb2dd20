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
/// Operators on images.
std::span<const RuleRow> image_rules();

}  // namespace onnxport
