// SPDX-License-Identifier: Apache-2.0
// What a TorchScript module computes, in words that need no libtorch: its forward() with all calls unfolded.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/checkpoint/weight.hpp"

namespace onnxport {

/// A value of a script: an index that one argument, constant or node makes.
using ScriptValue = uint32_t;

/// A tensor that the module holds: a parameter, a buffer, or a constant of its code. Its bytes are libtorch's own.
struct ScriptTensor {
  std::string name;  // "encoder.layer.0.attention.query.weight"
  Weight weight;
};

/// What is known when the script is read.
struct ScriptConstant {
  using List = std::vector<ScriptConstant>;
  /// Nothing is None. Types of elements, layouts and memory formats are integers, as torch numbers them; devices are
  /// strings.
  std::variant<std::monostate, bool, int64_t, double, std::string, ScriptTensor, List> value;
};

struct ScriptNode;

/// Nodes in order, and what they are for.
struct ScriptBlock {
  std::vector<ScriptValue> arguments;
  std::vector<ScriptNode> nodes;
  std::vector<ScriptValue> results;
};

/// One operation.
struct ScriptNode {
  std::string kind;    // "aten::linear", "prim::If"
  std::string module;  // the path of the module in which it stands: "encoder.layer.0.attention.self"
  std::string source;  // "modeling.py:27", where the file tells; else empty
  std::vector<ScriptValue> inputs, outputs;
  std::vector<ScriptBlock> blocks;  // of prim::If two, of prim::Loop one
};

/// A type, as far as it says how an argument is put together.
struct ScriptType {
  enum class Kind { tensor, list, tuple, optional, other } kind = Kind::other;
  std::vector<ScriptType> parts{};  // of a list and an optional one
  std::string text{};               // "Optional[Tensor]"
};

/// An argument of forward().
struct ScriptArgument {
  std::string name;
  ScriptType type;
  ScriptValue value = 0;
  std::optional<ScriptConstant> otherwise{};  // its default
};

struct ScriptGraph {
  std::string file;  // for messages
  std::vector<ScriptArgument> arguments;
  /// All nodes; one result.
  ScriptBlock body;
  std::map<ScriptValue, ScriptConstant> constants;
};

}  // namespace onnxport
