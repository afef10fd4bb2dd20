// SPDX-License-Identifier: Apache-2.0
// A file that another exporter wrote, as the definition of a model sees it: which input is which, and which output.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/backend/backend.hpp"
#include "core/ir/graph.hpp"
#include "host/model/model_summary.hpp"

namespace onnxport {

/// The file's names by the definition's. Names that are equal belong together; what is left over, in order, where type
/// and rank agree and nothing else would fit.
struct PortMap {
  std::map<std::string, std::string> inputs, outputs;
  std::vector<std::string> without_effect;  // inputs of the definition that the file does not take
  std::vector<std::string> unknown;         // inputs of the file that the definition does not have
  std::vector<std::string> ignored;         // outputs of the file that are not compared
  std::vector<std::string> missing;         // outputs of the definition that the file does not have
};

PortMap map_ports(const ir::Graph& definition, const ModelSummary& file);

/// The file behind the definition's names. Integers are handed over in the width that the file takes. `file` and `onnx`
/// outlive it.
std::unique_ptr<Runnable> behind_names(PortMap ports, const ModelSummary& file, Runnable& onnx);

}  // namespace onnxport
