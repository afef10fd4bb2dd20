// SPDX-License-Identifier: Apache-2.0
#include "include_graph.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <fstream>
#include <optional>
#include <regex>
#include <set>

namespace structure {
namespace {

namespace fs = std::filesystem;

bool is_source(const fs::path& file) {
  return file.extension() == ".hpp" || file.extension() == ".cpp" || file.extension() == ".h" ||
         file.extension() == ".c";
}

/// The path below the repository of what `name` includes in a file of that folder; nullopt where there is none.
std::optional<std::string> resolve(const fs::path& repository, const fs::path& folder, const std::string& name) {
  for (const fs::path& place : {folder, repository, repository / "sdk/include", repository / "library/include"}) {
    const fs::path file = (place / name).lexically_normal();
    if (fs::is_regular_file(file)) return file.lexically_relative(repository).generic_string();
  }
  return std::nullopt;
}

void read_file(const fs::path& repository, const fs::path& file, Sources& into) {
  static const std::regex pattern(R"(^\s*#\s*include\s*(["<])([^">]+)[">])");
  const std::string from = file.lexically_relative(repository).generic_string();
  std::ifstream in(file);
  std::smatch found;
  for (std::string line; std::getline(in, line);) {
    if (!std::regex_search(line, found, pattern)) continue;
    const std::string name = found[2];
    const bool is_quoted = found[1] == "\"";
    if (!is_quoted && !name.starts_with("onnxport/")) continue;
    if (const auto to = resolve(repository, file.parent_path(), name))
      into.includes.push_back({from, *to});
    else
      into.unresolved.push_back(from + ": " + name);
  }
}

/// The nodes on a shortest way from `from` to `to` along one arrow at least; empty where there is none.
std::vector<std::string> shortest_way(const Graph& graph, const std::string& from, const std::string& to) {
  std::map<std::string, std::string> before;
  std::deque<std::string> next{from};
  while (!next.empty()) {
    const std::string node = next.front();
    next.pop_front();
    const auto arrows = graph.find(node);
    if (arrows == graph.end()) continue;
    for (const auto& [target, includes] : arrows->second) {
      if (!before.emplace(target, node).second) continue;
      if (target != to) {
        next.push_back(target);
        continue;
      }
      std::vector<std::string> way;
      if (to != from) way.push_back(to);
      for (std::string at = node; at != from; at = before.at(at)) way.push_back(at);
      way.push_back(from);
      std::reverse(way.begin(), way.end());
      return way;
    }
  }
  return {};
}

std::string id_of(std::string node) {
  std::replace(node.begin(), node.end(), '/', '_');
  return node;
}

}  // namespace

Sources read_sources(const fs::path& repository, const std::vector<std::string>& rooms) {
  Sources sources;
  for (const std::string& room : rooms) {
    std::vector<fs::path> files;
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(repository / room)) {
      if (entry.is_regular_file() && is_source(entry.path())) files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end());
    for (const fs::path& file : files) read_file(repository, file, sources);
  }
  return sources;
}

std::string room_of(const std::string& file) {
  return file.substr(0, file.find('/'));
}

std::string folder_of(const std::string& file) {
  const std::string room = room_of(file);
  const size_t second = file.find('/', room.size() + 1);
  return room == "sdk" || second == std::string::npos ? room : file.substr(0, second);
}

Graph graph_of(const std::vector<Include>& includes, const std::function<std::string(const std::string& file)>& node) {
  Graph graph;
  for (const Include& include : includes) {
    const std::string from = node(include.from), to = node(include.to);
    if (from != to) graph[from][to].push_back(include);
  }
  return graph;
}

std::vector<std::string> find_cycle(const Graph& graph) {
  std::vector<std::string> shortest;
  for (const auto& [node, arrows] : graph) {
    const std::vector<std::string> cycle = shortest_way(graph, node, node);
    if (!cycle.empty() && (shortest.empty() || cycle.size() < shortest.size())) shortest = cycle;
  }
  return shortest;
}

std::string describe_cycle(const Graph& graph, const std::vector<std::string>& cycle) {
  std::string text;
  for (size_t i = 0; i < cycle.size(); ++i) {
    const std::string &from = cycle[i], &to = cycle[(i + 1) % cycle.size()];
    text += fmt::format("{} -> {}\n", from, to);
    for (const Include& include : graph.at(from).at(to))
      text += fmt::format("  {} includes {}\n", include.from, include.to);
  }
  return text;
}

std::string draw(const Graph& graph) {
  std::set<std::string> nodes;
  std::string arrows;
  for (const auto& [from, targets] : graph) {
    nodes.insert(from);
    for (const auto& [to, includes] : targets) {
      nodes.insert(to);
      // An arrow that a longer way stands for as well tells nothing more.
      const bool follows = std::any_of(targets.begin(), targets.end(), [&, target = to](const auto& other) {
        return other.first != target && !shortest_way(graph, other.first, target).empty();
      });
      if (!follows) arrows += fmt::format("  {} --> {}\n", id_of(from), id_of(to));
    }
  }
  std::string text = "flowchart TD\n";
  for (const std::string& node : nodes) {
    if (id_of(node) != node) text += fmt::format("  {}[\"{}\"]\n", id_of(node), node);
  }
  return text + arrows;
}

}  // namespace structure
