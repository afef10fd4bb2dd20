// SPDX-License-Identifier: Apache-2.0
// The project's own structure: who may include whom, and that no folder includes itself by a roundabout way.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <fstream>
#include <iterator>
#include <set>
#include <string_view>

#include "include_graph.hpp"

namespace {

namespace fs = std::filesystem;
using structure::Graph;
using structure::Include;

const fs::path repository = ONNXPORT_SOURCE_DIR;

/// A folder at the top of the repository, and what it may include besides itself.
struct Room {
  std::string name;
  std::vector<std::string> may_include;
};
const std::vector<Room>& rooms() {
  static const std::vector<Room> table{{"sdk", {}},
                                       {"plugins", {"sdk"}},
                                       {"core", {"sdk"}},
                                       {"hub", {"core"}},
                                       {"registry", {"core", "sdk"}},
                                       {"backends", {"core", "hub", "sdk"}},
                                       {"host", {"core", "hub", "registry", "sdk"}},
                                       {"library", {"core", "host"}}};
  return table;
}

/// Parts that must share no code, by the beginnings of their files' paths, and why.
struct Wall {
  std::string_view from, to, reason;
};
constexpr Wall walls[] = {
    {"backends/", "core/passes/", "a fault in lowering has to show against the reference"},
    {"backends/", "core/operators/", "a fault in a row has to show against the reference"},
    {"backends/", "core/onnx/", "a fault in what is written has to show when it is read"},
};

bool contains(const std::vector<std::string>& list, const std::string& word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

/// Includes that the table of rooms, or a wall, does not allow; each as a sentence.
std::vector<std::string> forbidden(const std::vector<Include>& includes) {
  std::vector<std::string> found;
  for (const auto& [from, to] : includes) {
    const std::string room = structure::room_of(from), other = structure::room_of(to);
    const auto row = std::find_if(rooms().begin(), rooms().end(), [&](const Room& r) { return r.name == room; });
    if (room != other && !contains(row->may_include, other)) {
      found.push_back(fmt::format("{} includes {}; files of {} may include {}", from, to, room,
                                  row->may_include.empty() ? "nothing else" : fmt::format("{}", row->may_include)));
    }
    // Neighbours that are built apart: each a library of its own.
    const std::string folder = structure::folder_of(to);
    if (room == other && (room == "backends" || room == "plugins") && folder != room &&
        folder != structure::folder_of(from)) {
      found.push_back(fmt::format("{} includes {}; what several of {} share stands above them", from, to, room));
    }
    for (const Wall& wall : walls) {
      if (from.starts_with(wall.from) && to.starts_with(wall.to))
        found.push_back(fmt::format("{} includes {}: {}", from, to, wall.reason));
    }
  }
  return found;
}

const structure::Sources& sources() {
  static const structure::Sources read = [] {
    std::vector<std::string> names;
    for (const Room& room : rooms()) names.push_back(room.name);
    return structure::read_sources(repository, names);
  }();
  return read;
}

/// The rooms, and of the core its folders: what the picture shows.
Graph overview() {
  return structure::graph_of(sources().includes, [](const std::string& file) {
    return structure::room_of(file) == "core" ? structure::folder_of(file) : structure::room_of(file);
  });
}

/// The first Mermaid block of a page; empty where there is none.
std::string picture_in(const fs::path& page) {
  std::ifstream in(page);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  constexpr std::string_view begin = "```mermaid\n", end = "```\n";
  const size_t at = text.find(begin);
  if (at == std::string::npos) return {};
  const size_t first = at + begin.size();
  return text.substr(first, text.find(end, first) - first);
}

BOOST_AUTO_TEST_CASE(every_include_leads_to_a_file) {
  BOOST_TEST(sources().includes.size() > 100u);
  BOOST_TEST(sources().unresolved.empty(), fmt::format("{}", fmt::join(sources().unresolved, "\n")));
}

BOOST_AUTO_TEST_CASE(folders_do_not_include_each_other) {
  const Graph graph = structure::graph_of(sources().includes, structure::folder_of);
  const auto cycle = structure::find_cycle(graph);
  BOOST_TEST(cycle.empty(), "folders include each other:\n" << structure::describe_cycle(graph, cycle));
}

BOOST_AUTO_TEST_CASE(rooms_include_what_they_may) {
  const std::vector<std::string> found = forbidden(sources().includes);
  BOOST_TEST(found.empty(), fmt::format("{}", fmt::join(found, "\n")));
}

BOOST_AUTO_TEST_CASE(documentation_shows_the_graph) {
  const fs::path drawn = fs::path(ONNXPORT_DRAWING_DIR) / "include_graph.mmd";
  const std::string picture = structure::draw(overview());
  std::ofstream(drawn) << picture;
  BOOST_TEST(picture_in(repository / "docs/architecture.md") == picture,
             "docs/architecture.md shows another include graph; put what " << drawn.string() << " holds there");
}

/// What a header of the SDK says behind its comment: that its code is compiled once, where a build has many plugins.
constexpr std::string_view compiled_once = "\n#pragma once\n#ifdef ONNXPORT_SDK_COMPILED\n#pragma interface\n#endif\n";

/// Headers, by name and text, that do not say so, or share their name with another: `#pragma implementation` knows
/// names alone.
std::vector<std::string> compiled_in_each_plugin(const std::vector<std::pair<fs::path, std::string>>& headers) {
  std::vector<std::string> found;
  std::set<fs::path> names;
  for (const auto& [header, text] : headers) {
    if (text.find(compiled_once) == std::string::npos)
      found.push_back(fmt::format("{} does not begin as the other headers do:{}", header.string(), compiled_once));
    if (!names.insert(header.filename()).second)
      found.push_back(fmt::format("{} has the name of another header; sdk/CMakeLists.txt needs names that differ",
                                  header.string()));
  }
  return found;
}

BOOST_AUTO_TEST_CASE(headers_of_the_sdk_are_compiled_once) {
  std::vector<std::pair<fs::path, std::string>> headers;
  for (const auto& entry : fs::recursive_directory_iterator(repository / "sdk/include")) {
    if (entry.path().extension() != ".hpp") continue;
    std::ifstream in(entry.path());
    headers.emplace_back(entry.path(), std::string{std::istreambuf_iterator<char>(in), {}});
  }
  BOOST_TEST(headers.size() > 50u);
  const std::vector<std::string> found = compiled_in_each_plugin(headers);
  BOOST_TEST(found.empty(), fmt::format("{}", fmt::join(found, "\n")));
}

// ------------------------------------------------------------------------------------ that these tests can fail

BOOST_AUTO_TEST_CASE(a_cycle_is_named_with_the_includes_that_close_it) {
  const std::vector<Include> includes{{"core/a/x.hpp", "core/b/y.hpp"},
                                      {"core/b/y.hpp", "core/c/z.hpp"},
                                      {"core/b/y.hpp", "core/b/own.hpp"},
                                      {"core/c/z.cpp", "core/a/x.hpp"},
                                      {"core/d/w.cpp", "core/a/x.hpp"}};
  const Graph graph = structure::graph_of(includes, structure::folder_of);
  const auto cycle = structure::find_cycle(graph);
  BOOST_TEST(cycle == (std::vector<std::string>{"core/a", "core/b", "core/c"}), boost::test_tools::per_element());
  BOOST_TEST(structure::describe_cycle(graph, cycle) ==
             "core/a -> core/b\n  core/a/x.hpp includes core/b/y.hpp\n"
             "core/b -> core/c\n  core/b/y.hpp includes core/c/z.hpp\n"
             "core/c -> core/a\n  core/c/z.cpp includes core/a/x.hpp\n");
}

BOOST_AUTO_TEST_CASE(a_shorter_cycle_is_named_first) {
  const std::vector<Include> includes{{"a/x.hpp", "b/x.hpp"},
                                      {"b/x.hpp", "c/x.hpp"},
                                      {"c/x.hpp", "a/x.hpp"},
                                      {"c/x.hpp", "d/x.hpp"},
                                      {"d/x.hpp", "c/x.hpp"}};
  const auto cycle = structure::find_cycle(structure::graph_of(includes, structure::folder_of));
  BOOST_TEST(cycle == (std::vector<std::string>{"c", "d"}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(what_the_table_does_not_allow_is_found) {
  BOOST_TEST(forbidden({{"core/ir/graph.hpp", "sdk/include/onnxport/abi.h"}}).empty());
  BOOST_TEST(forbidden({{"core/ir/graph.hpp", "hub/model.hpp"}}).size() == 1u);
  BOOST_TEST(forbidden({{"sdk/include/onnxport/graph.hpp", "core/error.hpp"}}).size() == 1u);
  BOOST_TEST(forbidden({{"plugins/bert/bert.cpp", "core/error.hpp"}}).size() == 1u);
  BOOST_TEST(forbidden({{"plugins/bert/bert.cpp", "plugins/bart/bart.hpp"}}).size() == 1u);
  BOOST_TEST(forbidden({{"backends/torch/evaluator.cpp", "core/passes/lower.hpp"}}).size() == 1u);
}

BOOST_AUTO_TEST_CASE(a_header_that_each_plugin_compiles_is_found) {
  const std::string whole = "// A block.\n#pragma once\n#ifdef ONNXPORT_SDK_COMPILED\n#pragma interface\n#endif\n";
  BOOST_TEST(compiled_in_each_plugin({{"a/x.hpp", whole}, {"a/y.hpp", whole}}).empty());
  BOOST_TEST(compiled_in_each_plugin({{"a/x.hpp", "// A block.\n#pragma once\n"}}).size() == 1u);
  BOOST_TEST(compiled_in_each_plugin({{"a/x.hpp", whole}, {"b/x.hpp", whole}}).size() == 1u);
}

BOOST_AUTO_TEST_CASE(a_picture_leaves_out_what_follows) {
  const std::vector<Include> includes{
      {"host/x.cpp", "core/a/x.hpp"}, {"host/x.cpp", "core/b/x.hpp"}, {"core/a/x.hpp", "core/b/x.hpp"}};
  BOOST_TEST(structure::draw(structure::graph_of(includes, structure::folder_of)) ==
             "flowchart TD\n"
             "  core_a[\"core/a\"]\n"
             "  core_b[\"core/b\"]\n"
             "  core_a --> core_b\n"
             "  host --> core_a\n");
}

}  // namespace
