// SPDX-License-Identifier: Apache-2.0
// An import as it was asked for, checked and typed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/import/import_script.hpp"
#include "host/plan/arguments.hpp"

namespace onnxport {

/// Values of an input: [low, high) of whole numbers, from low to high of others.
struct ValueRange {
  double low = 0, high = 0;
};

struct ImportPlan {
  std::filesystem::path module;
  std::vector<ScriptInput> inputs;
  std::vector<std::string> outputs;
  int64_t opset = 0;
  ir::DType dtype = ir::DType::f32;
  bool external_data = false;
  std::string data_name;
  /// Lengths of axes by their names: the first is the usual one. Only with these is the model compared.
  std::map<std::string, std::vector<int64_t>> sizes;
  std::map<std::string, ValueRange> ranges;
  std::vector<std::filesystem::path> cases;
  std::optional<double> atol;
  bool validates = true;
  std::filesystem::path output;
};

/// Throws Error(usage) for words that say nothing, or too much.
ImportPlan plan_import(const ImportArguments& arguments);

/// The names of all axes that have one.
std::set<std::string> axes_of(const std::vector<ScriptInput>& inputs);

}  // namespace onnxport
