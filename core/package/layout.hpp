// SPDX-License-Identifier: Apache-2.0
// Layouts: the packages of files that an export can be, each a row of a table.
#pragma once

#include <cstdint>
#include <map>
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

/// One layout. In names of files, which may lie in folders, "{}" stands for the part.
struct Layout {
  std::string name;     ///< as --layout takes it
  std::string summary;  ///< a few words for the help
  Graphs graphs = Graphs::whole;
  std::string whole_file{};   ///< of the model as one graph; empty: as the user calls it
  std::string part_file{};    ///< of a part's graph
  std::string named_file{};   ///< of a part that consumers know by its name alone
  std::string merged_file{};  ///< of two steps of a part in one graph
  /// A file for the weights of all graphs, which hold each once; empty where every graph keeps its own.
  std::string shared_data_file{};
  /// Parts beside which the model is written as one graph as well, for whoever runs all of it: of two towers, one.
  std::vector<std::string> whole_besides{};
  /// Takes any model: one without parts is written as one graph, and one without a cache by its parts. Else these are
  /// refused.
  bool any_model = false;
  /// What axes are called in the files, by their names in the definition; others keep theirs.
  std::map<std::string, std::string> axes{};
  /// The same of outputs.
  std::map<std::string, std::string> outputs{};
  /// Whether axes of a fixed size that the definition leaves open are written by their names, or as numbers.
  bool keeps_open_axes = true;
  /// The largest file of external data, of which each graph then has its own; 0 where there is one for all, of any
  /// size.
  uint64_t data_piece = 0;
};

/// The layouts that are no packages (host/package), the default first.
std::span<const Layout> layouts();
/// That of this name; null where there is none.
const Layout* find_layout(std::string_view name);
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
