// SPDX-License-Identifier: Apache-2.0
// From what a TorchScript module computes to a graph.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/backend/script_graph.hpp"
#include "core/ir/graph.hpp"

namespace onnxport {

/// An input that the graph is to have: an argument of forward(), or a tensor in one ("past.0.key" of the argument
/// past).
struct ScriptInput {
  std::string name;
  ir::TensorType type;
};

struct ImportedScript {
  ir::Graph graph;
  /// By the graph's names: the keys of outputs that forward() returns in a dictionary.
  std::map<std::string, std::string> output_keys;
  /// By input: the rows of the smallest table that is looked up with it.
  std::map<std::string, int64_t> limits;
};

/// Translates a script for inputs of these types. `outputs` names the tensors that forward() returns, in its order;
/// what is left over has the key of a dictionary, or "output_0", "output_1", …. Throws Error(usage) where the inputs
/// are not those of forward(), and for an operator that has no counterpart, with its place.
ImportedScript import_script(const ScriptGraph& script, const std::vector<ScriptInput>& inputs,
                             const std::vector<std::string>& outputs = {});

}  // namespace onnxport
