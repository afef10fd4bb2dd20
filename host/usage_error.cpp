// SPDX-License-Identifier: Apache-2.0
#include "host/usage_error.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "core/edit_distance.hpp"
#include "registry/nearest.hpp"

namespace onnxport {
namespace {

const auto every = [](const CLI::App*) { return true; };

/// The innermost command that was named.
const CLI::App& active(const CLI::App& app) {
  const auto chosen = app.get_subcommands();
  return chosen.empty() ? app : active(*chosen.front());
}

bool has_commands(const CLI::App& app) {
  return !app.get_subcommands(every).empty();
}

/// What the parser could not place; the mark behind which all words are operands is none of it.
Words left_over(const CLI::App& root) {
  Words words = root.remaining(true);
  std::erase(words, std::string("--"));
  return words;
}

/// The long names of all options.
Words option_names(const CLI::App& app) {
  Words names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

/// A command and how it is called.
struct Command {
  std::string name, call;
};

void add_commands(const CLI::App& app, const std::string& call, std::vector<Command>& out) {
  for (const CLI::App* command : app.get_subcommands(every)) {
    out.push_back({command->get_name(), call + " " + command->get_name()});
    add_commands(*command, out.back().call, out);
  }
}

std::string in_quotes(const Words& calls) {
  return fmt::format("`{}`", fmt::join(calls, "` or `"));
}

std::string help_of(const std::string& command) {
  return fmt::format("`{} --help` lists what there is", command);
}

/// "did you mean this? `onnxport --help` lists what there is"
std::string guess(const std::string& meant, const std::string& help) {
  return meant.empty() ? help : fmt::format("did you mean {}? {}", meant, help);
}

Error no_option(const CLI::App& app, const std::string& command, std::string word) {
  word = word.substr(0, word.find('='));
  const Words near = nearest(word, option_names(app), 2);
  return Error(Failure::usage, fmt::format("{} has no option {}", command, word),
               guess(fmt::format("{}", fmt::join(near, " or ")), help_of(command)));
}

Error no_command(const CLI::App& root, const std::string& command, const std::string& word) {
  const Words near = commands_like(word, root);
  return Error(Failure::usage, fmt::format("there is no command '{} {}'", command, word),
               guess(near.empty() ? "" : in_quotes(near), help_of(command)));
}

/// A model's name without -m before it is taken for the output, and the output is left over.
bool misses_model(const CLI::App& app, const Words& extra) {
  const CLI::Option* model = app.get_option_no_throw("--model");
  const CLI::Option* output = app.get_option_no_throw("OUTPUT");
  return model != nullptr && output != nullptr && model->count() == 0 && output->count() == 1 && extra.size() == 1;
}

}  // namespace

std::vector<std::string> commands_like(const std::string& word, const CLI::App& root) {
  std::vector<Command> known;
  add_commands(root, "onnxport", known);
  std::vector<std::pair<size_t, std::string>> near;
  for (const Command& command : known) {
    size_t distance = edit_distance(word, command.name);
    if (word.size() > 2 && command.name.starts_with(word)) distance = std::min<size_t>(distance, 1);
    // Two letters that changed places are two letters; of a short word, two are half of it.
    if (distance <= (word.size() > 4 ? 2u : 1u)) near.emplace_back(distance, command.call);
  }
  std::stable_sort(near.begin(), near.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  Words calls;
  for (auto& [distance, call] : near) {
    if (distance == near.front().first) calls.push_back(std::move(call));
  }
  return calls;
}

std::string command_named(const CLI::App& root) {
  std::string call = "onnxport";
  for (const CLI::App* app = &root; !app->get_subcommands().empty();) {
    app = app->get_subcommands().front();
    call += " " + app->get_name();
  }
  return call;
}

bool has_left_over(const CLI::App& root) {
  return !left_over(root).empty();
}

bool misses_command(const CLI::App& root) {
  const Words extra = left_over(root);
  return !extra.empty() && !extra.front().starts_with('-') && has_commands(active(root));
}

Error unexpected_words(const CLI::App& root, const Words& words) {
  const CLI::App& app = active(root);
  const std::string command = command_named(root);
  const Words extra = left_over(root);
  const std::string& word = extra.empty() ? words.front() : extra.front();
  if (word.starts_with('-')) return no_option(app, command, word);
  if (has_commands(app)) return no_command(root, command, word);
  std::string meant;
  if (misses_model(app, extra))
    meant = fmt::format("`{} -m {} {}`", command, app.get_option("OUTPUT")->as<std::string>(), word);
  return Error(Failure::usage, fmt::format("{} does not know what to do with '{}'", command, word),
               guess(meant, help_of(command)));
}

Error unexpected_words(const CLI::App& legacy, const CLI::App& commands, const std::string& output,
                       const Words& words) {
  const Words extra = left_over(legacy);
  if (!extra.empty() && extra.front().starts_with('-')) return no_option(legacy, "onnxport", extra.front());
  Words bare;
  if (!words.front().starts_with('-')) bare.push_back(words.front());
  if (!output.empty() && (bare.empty() || output != bare[0])) bare.push_back(output);
  bare.insert(bare.end(), extra.begin(), extra.end());
  for (const std::string& word : bare) {
    const Words near = commands_like(word, commands);
    if (near.empty()) continue;
    if (near.front() == "onnxport " + word) return options_before_command(word, words);
    return no_command(commands, "onnxport", word);
  }
  return Error(Failure::usage, fmt::format("onnxport takes one output, and was given '{}'", fmt::join(bare, "' and '")),
               help_of("onnxport"));
}

Error options_before_command(const std::string& command, const Words& words) {
  Words ordered{"onnxport", command};
  std::copy_if(words.begin(), words.end(), std::back_inserter(ordered),
               [&, seen = false](const std::string& word) mutable {
                 const bool is_command = !seen && word == command;
                 seen = seen || is_command;
                 return !is_command;
               });
  return Error(Failure::usage, fmt::format("the command '{}' stands behind '{}'", command, words.front()),
               fmt::format("the command comes first: `{}`", fmt::join(ordered, " ")));
}

}  // namespace onnxport
