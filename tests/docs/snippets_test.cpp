// SPDX-License-Identifier: Apache-2.0
// Every fenced block of README.md and docs/ is checked:
//   console   lines that begin with "$ " are run in order, in one scratch folder a page; their output must be the lines
//   that
//             follow, where … stands for any text and a line of … alone for any lines
//   cpp, c, cmake, bash   must be an extract of the file that the comment before the block names: <!-- file: path -->
//   yaml, sh  of docs/plugins.md, docs/command-line.md and docs/writing-a-plugin.md are parsed and run by other tests;
//   elsewhere extracts as well text      is not checked
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "core/backend/backend.hpp"
#include "tests/support/skips.hpp"
#include "tests/support/temporary_folder.hpp"

namespace snippets_test {

namespace {

namespace fs = std::filesystem;
using Lines = std::vector<std::string>;

const fs::path source = ONNXPORT_SOURCE_DIR;

Lines lines_of(const std::string& text) {
  Lines lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

std::string read(const fs::path& path) {
  std::ifstream in(path);
  BOOST_REQUIRE_MESSAGE(in, path.string() << " cannot be read");
  return {std::istreambuf_iterator<char>(in), {}};
}

struct Block {
  fs::path page;
  size_t line;
  std::string language, file;
  Lines lines;
  std::string where() const { return fmt::format("{}:{}", page.filename().string(), line); }
};

std::vector<Block> blocks_of(const fs::path& page) {
  std::vector<Block> blocks;
  std::string file;
  bool inside = false;
  size_t number = 0;
  for (const std::string& line : lines_of(read(page))) {
    ++number;
    const std::string mark = "<!-- file: ";
    if (inside && line == "```") {
      inside = false;
      file.clear();
    } else if (inside) {
      blocks.back().lines.push_back(line);
    } else if (line.starts_with("```")) {
      inside = true;
      blocks.push_back({page, number, line.substr(3), file, {}});
    } else if (line.starts_with(mark)) {
      file = line.substr(mark.size(), line.find(" -->") - mark.size());
    }
  }
  return blocks;
}

std::vector<fs::path> pages() {
  std::vector<fs::path> found{source / "README.md"};
  for (const auto& entry : fs::directory_iterator(source / "docs")) {
    if (entry.path().extension() == ".md") found.push_back(entry.path());
  }
  std::sort(found.begin(), found.end());
  return found;
}

/// Whether a line is as a pattern has it, … standing for any text.
bool line_matches(std::string_view pattern, std::string_view line) {
  const size_t dots = pattern.find("…");
  if (dots == std::string_view::npos) return pattern == line;
  if (!line.starts_with(pattern.substr(0, dots))) return false;
  const std::string_view rest = pattern.substr(dots + std::string_view("…").size());
  for (size_t at = dots; at <= line.size(); ++at) {
    if (line_matches(rest, line.substr(at))) return true;
  }
  return false;
}

bool output_matches(const Lines& expected, size_t e, const Lines& actual, size_t a) {
  if (e == expected.size()) return a == actual.size();
  if (expected[e] == "…") {
    for (size_t skip = a; skip <= actual.size(); ++skip) {
      if (output_matches(expected, e + 1, actual, skip)) return true;
    }
    return false;
  }
  return a < actual.size() && line_matches(expected[e], actual[a]) && output_matches(expected, e + 1, actual, a + 1);
}

struct Ran {
  int status;
  std::string output;
};

Ran run(const std::string& command, const fs::path& folder) {
  const std::string full = fmt::format("cd '{}' && export PATH='{}':\"$PATH\" && {{ {}\n}} 2>&1", folder.string(),
                                       (fs::path(ONNXPORT_EXECUTABLE).parent_path()).string(), command);
  FILE* pipe = ::popen(full.c_str(), "r");
  BOOST_REQUIRE(pipe != nullptr);
  std::string output;
  char buffer[4096];
  for (size_t count; (count = ::fread(buffer, 1, sizeof buffer, pipe)) > 0;) output.append(buffer, count);
  const int status = ::pclose(pipe);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128, output};
}

void check_console(const Block& block, const fs::path& folder) {
  for (size_t i = 0; i < block.lines.size();) {
    BOOST_REQUIRE_MESSAGE(block.lines[i].starts_with("$ "), block.where() << ": a console block begins with a command");
    std::string command = block.lines[i++].substr(2);
    while (command.ends_with('\\')) command = command.substr(0, command.size() - 1) + block.lines.at(i++);
    Lines expected;
    while (i < block.lines.size() && !block.lines[i].starts_with("$ ")) expected.push_back(block.lines[i++]);
    const Ran ran = run(command, folder);
    BOOST_CHECK_MESSAGE(output_matches(expected, 0, lines_of(ran.output), 0),
                        block.where() << ": '" << command << "' printed, with status " << ran.status << ":\n"
                                      << ran.output);
  }
}

/// The lines are in the file one after another, at any indentation, with … for what is left out.
void check_extract(const Block& block) {
  BOOST_REQUIRE_MESSAGE(!block.file.empty(),
                        block.where() << ": a " << block.language << " block needs <!-- file: path --> before it");
  const auto trimmed = [](std::string line) {
    line.erase(0, line.find_first_not_of(' ') == std::string::npos ? line.size() : line.find_first_not_of(' '));
    return line;
  };
  Lines wanted, have;
  for (const std::string& line : block.lines) {
    if (!trimmed(line).empty()) wanted.push_back(trimmed(line));
  }
  for (const std::string& line : lines_of(read(source / block.file))) {
    if (!trimmed(line).empty()) have.push_back(trimmed(line));
  }
  const bool found = std::search(have.begin(), have.end(), wanted.begin(), wanted.end()) != have.end();
  BOOST_CHECK_MESSAGE(found, block.where() << ": the block is no extract of " << block.file);
}

}  // namespace

BOOST_AUTO_TEST_CASE(snippets_run_and_are_compiled) {
  size_t commands = 0, extracts = 0;
  for (const fs::path& page : pages()) {
    const onnxport::test::TemporaryFolder folder;
    // What the pages start from: a checkpoint called `checkpoint`, one for images called `classifier`, and the example
    // plugin's source.
    fs::copy(fs::path(ONNXPORT_PLUGIN_SOURCES) / "bert/cases/bert/BertForSequenceClassification",
             folder / "checkpoint");
    fs::copy(fs::path(ONNXPORT_PLUGIN_SOURCES) / "vit/cases/vit/ViTForImageClassification", folder / "classifier");
    fs::copy(source / "examples", folder / "examples", fs::copy_options::recursive);
    for (const Block& block : blocks_of(page)) {
      if (block.language == "console") {
        if (!onnxport::backend_installed("reference")) {
          onnxport::test::not_run(block.where() + ": the reference back end is not built");
          continue;
        }
        check_console(block, folder);
        ++commands;
      } else if (block.language == "mermaid" || (block.language == "yaml" && page.filename() == "plugins.md") ||
                 (block.language == "sh" &&
                  (page.filename() == "command-line.md" || page.filename() == "writing-a-plugin.md"))) {
        continue;  // others compare them: tests/structure the picture, the registry's, the command's and the
                   // installation's tests the rest
      } else if (block.language != "text") {
        check_extract(block);
        ++extracts;
      }
    }
  }
  BOOST_TEST_MESSAGE(commands << " console blocks were run, " << extracts << " extracts compared");
  BOOST_TEST(extracts > 0u);
}

BOOST_AUTO_TEST_CASE(links_between_pages_lead_somewhere) {
  for (const fs::path& page : pages()) {
    std::string text;
    bool inside = false;
    for (const std::string& line : lines_of(read(page))) {
      if (line.starts_with("```")) inside = !inside;
      if (!inside) text += line + '\n';
    }
    for (size_t at = text.find("]("); at != std::string::npos; at = text.find("](", at + 1)) {
      std::string target = text.substr(at + 2, text.find(')', at) - at - 2);
      target = target.substr(0, target.find('#'));
      if (target.empty() || target.find("://") != std::string::npos) continue;
      BOOST_CHECK_MESSAGE(fs::exists(page.parent_path() / target),
                          page.filename().string() << " links to " << target << ", which is not there");
    }
  }
}

}  // namespace snippets_test
