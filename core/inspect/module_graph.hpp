// SPDX-License-Identifier: Apache-2.0
// A model's graph as modules within modules, each as what stands directly in it and how that hangs together.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "core/inspect/onnx_file.hpp"

namespace onnxport::inspect {

/// A box of a picture: an operator, a module with all in it, or what comes in or goes out.
struct Box {
  enum class Kind { node, module, input, output };
  Kind kind = Kind::node;
  std::string name;    // of a module: its last step
  std::string detail;  // of a node: what its weights are; of a module: how much is in it
  std::string path;    // of a module: the whole of it
  size_t nodes = 1;    // that it stands for
};

/// What one picture shows. Arrows lead from box to box, by index.
struct Picture {
  std::string path;  // the module; empty: the model
  std::vector<Box> boxes;
  std::vector<std::pair<size_t, size_t>> arrows;
};

/// The model down to `depth` steps of module paths, in one picture.
Picture collapsed(const pb::GraphProto& graph, size_t depth);
/// A module, with the modules in it as boxes.
Picture inside(const pb::GraphProto& graph, const std::string& module);
/// The paths of all modules that hold nodes or modules, outer ones first, in the order of the file.
std::vector<std::string> modules_of(const pb::GraphProto& graph);

}  // namespace onnxport::inspect
