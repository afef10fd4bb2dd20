// SPDX-License-Identifier: Apache-2.0
// One module of sentence-transformers: its folder, and what it adds to a graph.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "core/checkpoint/checkpoint.hpp"
#include "core/ir/graph.hpp"

namespace onnxport::sentence {

/// Yields the sentence embedding after one more module; tokens and mask are the model's.
struct State {
  ir::ValueId tokens, mask, sentence;
};
using Module = std::function<ir::ValueId(ir::Graph&, const State&)>;

/// A module's folder and its config.json, which is empty for a module without one.
struct ModuleFolder {
  std::filesystem::path root;
  std::string path;  // below the root: "1_Pooling"
  Json config;

  /// Throws Error(checkpoint) naming the file.
  [[noreturn]] void refuse(const std::string& what) const;
  /// Fields; one of another type is refused.
  bool flag(const std::string& field, bool fallback) const;
  std::string text(const std::string& field, const std::string& fallback) const;
  int64_t size(const std::string& field) const;
};

struct ModuleType {
  const char* name;  // of the class
  bool configured;   // its folder has a config.json
  Module (*read)(const ModuleFolder&);
};
/// By the class's name without its package, or null.
const ModuleType* find_module_type(std::string_view name);
/// "Pooling, Dense, …"
std::string known_module_types();

}  // namespace onnxport::sentence
