// SPDX-License-Identifier: Apache-2.0
// The command line as data, read from the parser itself: what manual pages and completions are made of.
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace onnxport {

/// What a shell offers where a value is to be typed.
enum class Offer {
  nothing,
  words,     // its choices
  files,     // files and folders
  packages,  // its choices, and files: a layout by name, or the path of one
  types,     // model types that are installed
  features,  // what those offer
  plugins,   // ids of plugins that can be used
};

struct OptionEntry {
  std::vector<std::string> names;    // "-m", "--model"; empty for an operand
  std::string value;                 // "MODEL"; empty for a flag
  std::vector<std::string> choices;  // where it is one of a few words
  std::string help;
  bool is_operand() const { return names.empty(); }
  Offer offer() const;
};

/// One command: the program itself, or one of those below it.
struct CommandPage {
  std::string name;  // "onnxport plugins list"
  std::string description, footer;
  std::vector<OptionEntry> options;
  std::vector<CommandPage> commands;
};

/// Reads a command and all that are below it.
CommandPage page_of(const CLI::App& app);

/// A page of section 1, as man reads it; `version` stands in its last line.
std::string manual_of(const CommandPage& page, const std::string& version);
/// Scripts that complete commands, options and their words.
std::string bash_completion_of(const CommandPage& program);
std::string zsh_completion_of(const CommandPage& program);
std::string fish_completion_of(const CommandPage& program);

}  // namespace onnxport
