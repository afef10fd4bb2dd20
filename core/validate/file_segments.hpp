// SPDX-License-Identifier: Apache-2.0
// A written file in pieces, each a model of its own that refers to the same weights.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/backend/backend.hpp"
#include "core/inspect/onnx_file.hpp"
#include "core/ir/graph.hpp"

namespace onnxport {

/// The nodes of a file, shared out among segments: each belongs to the first one for which it is needed. What a segment
/// computes and a later one takes is carried there, also what has no counterpart in the definition, such as lengths and
/// masks.
class FileSegments {
 public:
  /// `wanted`: by segment, the values that it is to yield. `lowered` is the graph that was written, and tells types.
  /// Keeps a reference to the file. Throws Error(differs) where the file lacks a value that is wanted.
  FileSegments(const inspect::OnnxFile& file, const ir::Graph& lowered,
               const std::vector<std::vector<std::string>>& wanted);

  size_t size() const { return parts_.size(); }
  /// The model of one segment; with further outputs among the values that it computes where some are named. ONNX
  /// Runtime maps those weights that it uses.
  ModelImage image(size_t segment, const std::set<std::string>& further = {}) const;
  /// What it computes.
  const std::set<std::string>& makes(size_t segment) const { return parts_.at(segment).makes; }
  /// Takes off what was carried to this segment or an earlier one and is wanted by none behind it.
  void forget(Tensors& values, size_t segment) const;

 private:
  struct Part {
    std::vector<int> nodes;
    std::set<std::string> makes, takes, yields, inputs, initializers;
  };
  void use(size_t segment, const std::string& name);

  const inspect::OnnxFile& file_;
  std::vector<Part> parts_;
  std::map<std::string, size_t> made_in_, last_use_;  // segments by value
  std::map<std::string, ir::TensorType> types_;
};

}  // namespace onnxport
