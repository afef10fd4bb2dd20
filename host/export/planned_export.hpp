// SPDX-License-Identifier: Apache-2.0
// What an export would write, without its weights.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/export/defined_graphs.hpp"
#include "host/export/existing_export.hpp"

namespace onnxport {

/// An input or an output: its name, the type of its elements where that is known, and a length or a name for each axis.
struct PlannedTensor {
  std::string name, element;
  std::vector<std::string> shape;
};

struct PlannedGraph {
  std::string file;
  std::vector<std::string> parts;
  std::vector<PlannedTensor> inputs, outputs;
};

struct PlannedExport {
  std::filesystem::path folder;
  std::vector<PlannedGraph> graphs;
  int64_t opset = 0, default_opset = 0, min_opset = 0;
  double atol = 0;
  uint64_t parameters = 0;    // those that several graphs hold counted once
  uint64_t weight_bytes = 0;  // in the type that they are written in
};

/// Runs the plugin on config.json alone. Throws as require_inputs() and define_graphs().
PlannedExport plan_of(const ExportToRepeat& wanted, const ExportedFiles& files);

}  // namespace onnxport
