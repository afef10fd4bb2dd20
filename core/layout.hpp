// SPDX-License-Identifier: Apache-2.0
// Layouts: which graphs an export consists of, and what their files are called.
#pragma once

#include <string>
#include <vector>

#include "core/definition/onnx_config.hpp"
#include "core/export.hpp"

namespace onnxport {

enum class Layout {
  single,  ///< the model as one graph, as transformers.onnx writes it
  split,   ///< a graph for the encoder and one for each kind of decoder step, as optimum does
  merged,  ///< the same with both kinds of decoder step in one graph, under use_cache_branch
};

/// The input bool[1] of a merged graph that chooses: true runs the cached step.
inline constexpr const char* branch_input = "use_cache_branch";

/// One file of an export and the parts that it holds: one, or the two between which use_cache_branch chooses, the first
/// step's before the cached one's.
struct GraphFile {
  std::string file;
  std::vector<std::string> parts;
};

/// The layout of that name. Throws Error(usage) for another.
Layout layout_from(const std::string& name);

/// The files of a layout; `model_file` names the one of a single graph. Throws Error(usage) where the model has no such
/// layout, saying which it has.
std::vector<GraphFile> graph_files(Layout layout, const OnnxConfig& config, const std::string& model_file);

/// The definitions of an export, and its files, which point to them. Moves, and does not copy.
struct DefinedGraphs {
  std::vector<Definition> definitions;
  std::vector<GraphToExport> graphs;

  DefinedGraphs() = default;
  DefinedGraphs(DefinedGraphs&&) = default;
  DefinedGraphs& operator=(DefinedGraphs&&) = default;

  /// Bytes of all weights, those that several graphs hold counted once.
  uint64_t weight_bytes() const;
};

/// Runs the plugin for every part of the files; errors as of OnnxConfig::define_parts.
DefinedGraphs define_graphs(const OnnxConfig& config, WeightSource& weights, const std::vector<GraphFile>& files,
                            const DefineOptions& options = {});

}  // namespace onnxport
