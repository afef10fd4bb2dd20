// SPDX-License-Identifier: Apache-2.0
// What was not understood of a command line, and what may have been meant.
#pragma once

#include <string>
#include <vector>

#include "core/error.hpp"

namespace CLI {
class App;
}

namespace onnxport {

using Words = std::vector<std::string>;

/// "onnxport plugins list": the command that was named, as far as the parser came.
std::string command_named(const CLI::App& root);

/// Whether the parser left words over.
bool has_left_over(const CLI::App& root);

/// Whether a word stands where a command was expected, and is none: of "exprot --help" the first.
bool misses_command(const CLI::App& root);

/// The error for words that the parser left over. `words` are all that was given.
Error unexpected_words(const CLI::App& root, const Words& words);

/// The same for the form of transformers.onnx, which has no command: `commands` knows them, and `output` is what was
/// taken for the output.
Error unexpected_words(const CLI::App& legacy, const CLI::App& commands, const std::string& output, const Words& words);

/// The error for options that stand before the command.
Error options_before_command(const std::string& command, const Words& words);

/// The commands, as they are called, that a word may have been meant to be, nearest first: "onnxport plugins list" for
/// "lst".
std::vector<std::string> commands_like(const std::string& word, const CLI::App& root);

}  // namespace onnxport
