// SPDX-License-Identifier: Apache-2.0
// Figures of README.md that this build can tell are those that it tells.
#include <fmt/format.h>

#include <array>
#include <boost/test/unit_test.hpp>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

namespace figures_test {

namespace {

const std::string source = ONNXPORT_SOURCE_DIR;

std::string read(const std::string& path) {
  std::ifstream in(path);
  BOOST_REQUIRE_MESSAGE(in, path << " cannot be read");
  return {std::istreambuf_iterator<char>(in), {}};
}

std::string output_of(const std::string& command) {
  FILE* pipe = ::popen(command.c_str(), "r");
  BOOST_REQUIRE(pipe != nullptr);
  std::string output;
  std::array<char, 4096> buffer{};
  for (size_t count; (count = ::fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) output.append(buffer.data(), count);
  BOOST_REQUIRE_MESSAGE(::pclose(pipe) == 0, command);
  return output;
}

void require_row(const std::string& row) {
  BOOST_TEST(read(source + "/README.md").find(row) != std::string::npos, "README.md has no '" << row << "'");
}

}  // namespace

BOOST_AUTO_TEST_CASE(types_and_heads_are_those_of_the_command) {
  const auto types = nlohmann::json::parse(output_of(ONNXPORT_EXECUTABLE " features --json")).at("model_types");
  size_t heads = 0;
  for (const auto& features : types) heads += features.size();
  require_row(fmt::format("| model types | **{}** |", types.size()));
  require_row(fmt::format("| heads: pairs of a type and a feature | **{}** |", heads));
}

BOOST_AUTO_TEST_CASE(what_is_right_and_wrong_is_that_of_the_table) {
  std::istringstream table(read(source + "/docs/peers.tsv"));
  std::map<std::string, size_t> counts;
  size_t rows = 0;
  std::string line;
  std::getline(table, line);
  while (std::getline(table, line)) {
    std::vector<std::string> cells;
    std::istringstream in(line);
    for (std::string cell; std::getline(in, cell, '\t');) cells.push_back(cell);
    BOOST_REQUIRE(cells.size() > 6);
    ++rows;
    ++counts["onnxport " + cells[4]];
    ++counts["optimum " + cells[6]];
  }
  require_row(fmt::format(
      "| of {} recorded outputs of original models: right / wrong and not refused | **{}** / {} | | {} / {} |", rows,
      counts["onnxport right"], counts["onnxport wrong"], counts["optimum right"], counts["optimum wrong"]));
}

/// What README.md rounds, with as many digits as it has there.
BOOST_AUTO_TEST_CASE(times_are_those_of_the_table) {
  const std::string readme = read(source + "/README.md");
  struct Figure {
    const char *model, *by, *told;
    int digits;
  };
  for (const auto& [model, by, told, digits] :
       {Figure{"bert-base", "onnxport export", "**{:.{}f} s, 26 MB**", 2},
        Figure{"bert-base", "transformers.onnx 4.30", "| {:.{}f} s, 2.1 GB |", 0},
        Figure{"llama-1.1b", "onnxport export", "**{:.{}f} s, 0.1 GB**", 1},
        Figure{"llama-1.1b", "optimum-onnx 0.1", "validated: {:.{}f} s, 9.4 GB", 0}}) {
    std::istringstream table(read(source + "/docs/performance.tsv"));
    const std::string wanted = fmt::format("{}\texport\t{}\t", model, by);
    std::string line;
    while (std::getline(table, line) && !line.starts_with(wanted)) {
    }
    BOOST_REQUIRE_MESSAGE(table, "docs/performance.tsv has no row of " << wanted);
    const double seconds = std::stod(line.substr(wanted.size()));
    const std::string figure = fmt::format(fmt::runtime(told), seconds, digits);
    BOOST_TEST(readme.find(figure) != std::string::npos, "README.md has no '" << figure << "'");
  }
}

}  // namespace figures_test
