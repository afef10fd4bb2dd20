// SPDX-License-Identifier: Apache-2.0
// Layouts: the packages of files that an export can be, each a row of a table.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/definition/onnx_config.hpp"

namespace onnxport {

/// Which graphs a layout makes of a model.
enum class Graphs {
  whole,    ///< the model as one
  by_part,  ///< one for each part, among them one for each kind of decoder step
  merged,   ///< one for each part, but a first step and its cached one under use_cache_branch
};

/// One layout. In names of files, "{}" stands for the part; some parts are called by their names alone.
struct Layout {
  std::string_view name;     ///< as --layout takes it
  std::string_view summary;  ///< a few words for the help
  Graphs graphs;
  std::string_view part_file{};    ///< of a part's graph
  std::string_view merged_file{};  ///< of two steps of a part in one graph
  /// A file for the weights of all graphs, which hold each once; empty where every graph keeps its own.
  std::string_view shared_data_file{};
};

/// All layouts, the default first.
std::span<const Layout> layouts();
/// The layout of that name. Throws Error(usage) for another.
const Layout& layout_from(std::string_view name);

/// The input bool[1] of a merged graph that chooses: true runs the cached step.
inline constexpr const char* branch_input = "use_cache_branch";

/// One file of an export and the parts that it holds: one, or the two between which use_cache_branch chooses, the first
/// step's before the cached one's.
struct GraphFile {
  std::string file;
  std::vector<std::string> parts;
};

/// The files of a layout; `model_file` names the one of a single graph. Throws Error(usage) where the model has no such
/// layout, saying which it has.
std::vector<GraphFile> graph_files(const Layout& layout, const OnnxConfig& config, const std::string& model_file);

}  // namespace onnxport
