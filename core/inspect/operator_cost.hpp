// SPDX-License-Identifier: Apache-2.0
// What an operator costs, by the shapes that it takes and yields: one row an operator.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/inspect/sized_model.hpp"

namespace onnxport::inspect {

/// A node with the shapes of what it takes and yields; nullopt where they are unknown or an input is left out.
struct SizedNode {
  const pb::NodeProto& node;
  std::vector<std::optional<Sizes>> inputs, outputs;
  std::vector<int32_t> input_types;

  bool has_input(size_t index) const;
  int64_t integer(std::string_view name, int64_t otherwise) const;
  std::string text(std::string_view name, const std::string& otherwise) const;
  std::vector<int64_t> integers(std::string_view name) const;
};

SizedNode sized_node(const pb::NodeProto& node, const ValueTypes& types);

/// A row. A multiplication that is followed by an addition counts as two operations, every function of a number (exp,
/// erf, tanh, …) as one, and moving data, comparing it and computing with indices as none.
struct OperatorCost {
  std::string_view op;
  /// nullopt where a shape that it takes is unknown. Null for operators that only move data.
  std::optional<int64_t> (*operations)(const SizedNode& node);
  /// What it yields lies where its first input does.
  bool is_view = false;
  /// Bytes that it holds while it runs and does not yield; null for none.
  std::optional<int64_t> (*scratch)(const SizedNode& node) = nullptr;
};

/// The row of an operator; null where there is none. Domains share the table: their names do not clash.
const OperatorCost* find_cost(std::string_view op);

}  // namespace onnxport::inspect
