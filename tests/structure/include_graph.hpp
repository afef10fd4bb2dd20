// SPDX-License-Identifier: Apache-2.0
// Which folder includes which, read from the #include lines of the sources.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace structure {

/// A file that includes another, by their paths below the repository.
struct Include {
  std::string from, to;
};

struct Sources {
  std::vector<Include> includes;
  /// Includes in quotes that lead to no file: "core/a.cpp: missing.hpp".
  std::vector<std::string> unresolved;
};

/// Reads the headers and sources in these folders of the repository. Includes of the system and of libraries are left
/// out; those of <onnxport/…> are the SDK's.
Sources read_sources(const std::filesystem::path& repository, const std::vector<std::string>& rooms);

/// "core" of "core/ir/graph.hpp".
std::string room_of(const std::string& file);
/// "core/ir" of "core/ir/graph.hpp", "core" of "core/error.hpp"; the SDK is one.
std::string folder_of(const std::string& file);

/// from -> to -> the includes that lead there; none from a node to itself.
using Graph = std::map<std::string, std::map<std::string, std::vector<Include>>>;
Graph graph_of(const std::vector<Include>& includes, const std::function<std::string(const std::string& file)>& node);

/// The nodes of a shortest cycle, in the order of its arrows; empty where there is none.
std::vector<std::string> find_cycle(const Graph& graph);
/// The cycle's arrows with the includes that make them, one a line.
std::string describe_cycle(const Graph& graph, const std::vector<std::string>& cycle);

/// The graph, which has no cycle, as a Mermaid flowchart: without the arrows that follow from others.
std::string draw(const Graph& graph);

}  // namespace structure
