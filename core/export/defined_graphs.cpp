// SPDX-License-Identifier: Apache-2.0
#include "core/export/defined_graphs.hpp"

#include <algorithm>
#include <map>
#include <utility>

namespace onnxport {

uint64_t DefinedGraphs::weight_bytes() const {
  // By where their bytes lie, so that only few are compared as wholes.
  std::map<std::pair<const MappedFile*, uint64_t>, std::vector<const Weight*>> counted;
  uint64_t total = 0;
  for (const Definition& definition : definitions) {
    for (const ir::Value& value : definition.graph.values) {
      if (value.origin != ir::Origin::weight || !value.weight) continue;
      const StoredTensor& stored = *value.weight->stored;
      std::vector<const Weight*>& known = counted[{stored.file.get(), stored.offset}];
      const bool again =
          std::any_of(known.begin(), known.end(), [&](const Weight* weight) { return weight->same_as(*value.weight); });
      if (again) continue;
      known.push_back(value.weight.get());
      total += value.weight->bytes();
    }
  }
  return total;
}

uint64_t DefinedGraphs::largest_weight_bytes() const {
  uint64_t largest = 0;
  for (const Definition& definition : definitions) {
    for (const ir::Value& value : definition.graph.values) {
      if (value.origin != ir::Origin::weight || !value.weight) continue;
      const uint64_t elements = value.weight->bytes() / ir::size_of(value.weight->dtype());
      largest = std::max<uint64_t>(largest, elements * sizeof(float));
    }
  }
  return largest;
}

std::map<std::string, std::string> DefinedGraphs::rename_outputs(const std::map<std::string, std::string>& names) {
  std::map<std::string, std::string> done;
  for (Definition& definition : definitions) {
    const auto is_taken = [&](const std::string& name) {
      return std::any_of(definition.graph.outputs.begin(), definition.graph.outputs.end(),
                         [&](const ir::NamedValue& output) { return output.name == name; });
    };
    for (ir::NamedValue& output : definition.graph.outputs) {
      const auto renamed = names.find(output.name);
      if (renamed == names.end() || is_taken(renamed->second)) continue;
      for (OutputSpec& spec : definition.description.outputs) {
        if (spec.name == output.name) spec.name = renamed->second;
      }
      done.insert(*renamed);
      output.name = renamed->second;
    }
  }
  return done;
}

DefinedGraphs define_graphs(const OnnxConfig& config, WeightSource& weights, const std::vector<GraphFile>& files,
                            const DefineOptions& options) {
  std::vector<std::string> parts;
  for (const GraphFile& file : files) parts.insert(parts.end(), file.parts.begin(), file.parts.end());
  DefinedGraphs defined;
  defined.definitions = config.define_parts(weights, parts, options);
  const Definition* next = defined.definitions.data();
  for (const GraphFile& file : files) {
    GraphToExport& graph = defined.graphs.emplace_back();
    graph.file = file.file;
    for (size_t i = 0; i < file.parts.size(); ++i) graph.definitions.push_back(next++);
  }
  return defined;
}

}  // namespace onnxport
