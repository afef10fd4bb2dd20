// SPDX-License-Identifier: Apache-2.0
// What plugins describe is known by what it is: core, registry and host hold no input's name and no model type.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include "registry/manifest.hpp"

namespace names_test {

namespace {

namespace fs = std::filesystem;
using onnxport::Manifest;
using onnxport::read_manifest;

const fs::path root = fs::path(ONNXPORT_TEST_SOURCE_DIR).parent_path();

std::string contents(const fs::path& file) {
  std::ifstream stream(file);
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

/// Every text in quotation marks of a C++ source, but for comments and the names of included files.
std::vector<std::string> texts_in(const fs::path& file) {
  static const std::regex quoted(R"re("((?:[^"\\]|\\.)*)")re"), comment(R"((^|\s)//.*$)");
  std::vector<std::string> texts;
  std::istringstream lines(contents(file));
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("#include")) continue;
    line = std::regex_replace(line, comment, "");
    for (std::sregex_iterator at(line.begin(), line.end(), quoted), end; at != end; ++at) texts.push_back((*at)[1]);
  }
  return texts;
}

/// The places where a text of core, registry or host matches, but for those that the command itself defines.
std::string found_in_host(const std::regex& what, const std::vector<std::string>& of_the_command = {}) {
  std::string found;
  for (const char* folder : {"core", "registry", "host"}) {
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(root / folder)) {
      if (entry.path().extension() != ".cpp" && entry.path().extension() != ".hpp") continue;
      for (const std::string& text : texts_in(entry.path())) {
        const bool is_of_command =
            std::find(of_the_command.begin(), of_the_command.end(), text) != of_the_command.end();
        if (std::regex_search(text, what) && !(is_of_command && folder == std::string("host")))
          found += "\n" + fs::relative(entry.path(), root).string() + ": \"" + text + "\"";
      }
    }
  }
  return found;
}

std::string any_of(const std::vector<std::string>& words) {
  std::string alternatives;
  for (const std::string& word : words) alternatives += (alternatives.empty() ? "" : "|") + word;
  return "(" + alternatives + ")";
}

}  // namespace

BOOST_AUTO_TEST_SUITE(names)

BOOST_AUTO_TEST_CASE(the_host_knows_no_input_by_its_name) {
  // Those that models of Hugging Face have, and all that the SDK and a plugin make.
  std::set<std::string> inputs{
      "input_ids",       "attention_mask",    "token_type_ids",        "position_ids",    "bbox",
      "pixel_values",    "pixel_mask",        "input_values",          "input_features",  "inputs_embeds",
      "encoder_outputs", "decoder_input_ids", "encoder_hidden_states", "past_key_values", "present\\.",
      "cache_position"};
  static const std::regex made(R"re(input::\w+\("(\w+)")re");
  size_t found_in_sources = 0;
  for (const char* folder : {"sdk", "plugins"}) {
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(root / folder)) {
      if (entry.path().extension() != ".cpp" && entry.path().extension() != ".hpp") continue;
      const std::string source = contents(entry.path());
      for (std::sregex_iterator at(source.begin(), source.end(), made), end; at != end; ++at) {
        inputs.insert((*at)[1]);
        ++found_in_sources;
      }
    }
  }
  BOOST_TEST(found_in_sources > 5u);
  // A name that is a word by itself ("inputs") is looked for as a whole text, any other one within texts as well.
  std::vector<std::string> names;
  for (const std::string& name : inputs) {
    const bool is_word = std::all_of(name.begin(), name.end(), [](unsigned char c) { return std::isalpha(c) != 0; });
    names.push_back(is_word ? "^" + name + "$" : name);
  }
  // The key of the command's own option, where a file keeps what was chosen, and what `inspect` calls what a graph
  // takes.
  const std::string found =
      found_in_host(std::regex(any_of(names)), {"position_ids", "onnxport.position_ids", "inputs"});
  BOOST_TEST(found.empty(), found);
}

BOOST_AUTO_TEST_CASE(the_host_knows_no_model_type) {
  std::vector<std::string> types;
  for (const fs::directory_entry& entry :
       fs::directory_iterator(fs::path(ONNXPORT_BUILD_DIR) / "lib/onnxport/plugins")) {
    for (const Manifest::Model& model : read_manifest(entry.path() / "plugin.yaml").models)
      types.insert(types.end(), model.types.begin(), model.types.end());
  }
  BOOST_REQUIRE(types.size() > 20u);
  // A command's name, `plugins new`.
  const std::string found = found_in_host(std::regex("^" + any_of(types) + "$"), {"new"});
  BOOST_TEST(found.empty(), found);
}

BOOST_AUTO_TEST_CASE(what_is_looked_for_would_be_found) {
  BOOST_TEST(!found_in_host(std::regex("^decoder_sequence$")).empty());
  BOOST_TEST(!found_in_host(std::regex("^decoder_sequence$"), {"decoder_sequence"}).empty());
  BOOST_TEST(found_in_host(std::regex("^position_ids$"), {"position_ids"}).empty());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace names_test
