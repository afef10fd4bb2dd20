// SPDX-License-Identifier: Apache-2.0
// How two ONNX files differ: in what they declare, in their weights, and in what they compute.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/inspect/onnx_file.hpp"

namespace onnxport::inspect {

/// Something that stands in both, or in one of the two (the other text is then empty).
struct Change {
  std::string name, a, b;
};

/// A weight that is not the same in both.
struct WeightChange {
  enum class Kind { only_in_a, only_in_b, renamed, transposed, type, shape, values, unreadable };
  Kind kind;
  std::string a, b;       // its names
  std::string text;       // the types, where these differ
  double difference = 0;  // the largest of two f32 values at the same place
};

/// A node where the two part: what it takes is computed alike in both, and what it yields is not.
struct Parting {
  bool in_a = false;
  std::string op, node, module;
};

struct ModelDiff {
  std::vector<Change> header;           // producer, format, opsets
  std::vector<Change> inputs, outputs;  // by name, with type and axes
  std::vector<Change> operators;        // numbers of nodes
  std::vector<Change> metadata;
  std::vector<WeightChange> weights;
  uint64_t equal_weights = 0, equal_nodes = 0, nodes_only_in_a = 0, nodes_only_in_b = 0;
  std::vector<Parting> partings;
  std::vector<std::string> changed_outputs;  // that are computed otherwise, or from other weights

  /// Whether both compute the same from the same: names of values and the order of nodes do not count, nor do producer
  /// and metadata.
  bool same_function() const;
  bool same() const;
};

/// Weights are compared byte by byte over mappings, by name, then those that are left by their bytes, so that a new
/// name or another layout of the same numbers is told as such.
ModelDiff diff_models(const OnnxFile& a, const OnnxFile& b);

}  // namespace onnxport::inspect
