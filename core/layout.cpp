// SPDX-License-Identifier: Apache-2.0
#include "core/layout.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <utility>

#include "core/error.hpp"

namespace onnxport {
namespace {

/// The part that continues what this one began; empty where none does.
std::string cached_step_of(const OnnxConfig& config, const std::string& part) {
  for (const std::string& other : config.parts()) {
    if (config.first_step(other) == part) return other;
  }
  return {};
}

}  // namespace

Layout layout_from(const std::string& name) {
  if (name == "single") return Layout::single;
  if (name == "split") return Layout::split;
  if (name == "merged") return Layout::merged;
  throw Error(Failure::usage, fmt::format("there is no layout '{}'", name), "choose single, split or merged");
}

std::vector<GraphFile> graph_files(Layout layout, const OnnxConfig& config, const std::string& model_file) {
  if (layout == Layout::single) return {{model_file, {""}}};
  const std::vector<std::string> parts = config.parts();
  const char* asked = layout == Layout::split ? "split" : "merged";
  if (parts.empty()) {
    throw Error(Failure::usage,
                fmt::format("--layout {} is for models of several parts, and one of type '{}' with feature '{}' is one "
                            "graph",
                            asked, config.model_type(), config.feature()),
                "leave --layout out, for --layout single");
  }
  std::vector<GraphFile> files;
  for (const std::string& part : parts) {
    const std::string cached = layout == Layout::merged ? cached_step_of(config, part) : "";
    if (layout == Layout::merged && !config.first_step(part).empty()) continue;  // stands under its first step
    if (cached.empty())
      files.push_back({part + "_model.onnx", {part}});
    else
      files.push_back({part + "_model_merged.onnx", {part, cached}});
  }
  const bool any = std::any_of(files.begin(), files.end(), [](const GraphFile& file) { return file.parts.size() > 1; });
  if (layout == Layout::merged && !any && config.with_past()) {
    throw Error(
        Failure::usage,
        fmt::format("--layout merged joins a first step and the cached ones, and plugin {} does not say which of "
                    "its parts ({}) are those",
                    config.plugin_id(), fmt::join(parts, ", ")),
        "choose --layout split");
  }
  if (layout == Layout::merged && !any) {
    throw Error(
        Failure::usage,
        fmt::format("--layout merged joins the first decoder step and the cached ones, and the feature '{}' has "
                    "no cache",
                    config.feature()),
        fmt::format("choose --feature {}-with-past, or --layout split", config.feature()));
  }
  return files;
}

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
