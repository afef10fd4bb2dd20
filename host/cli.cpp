// SPDX-License-Identifier: Apache-2.0
// The command line: parsed, and run. What the commands accept is in *_options.cpp; what is not accepted is explained in
// usage_error.cpp.
#include <fmt/format.h>
#include <onnxport/abi.h>

#include <algorithm>
#include <filesystem>

#include "core/error.hpp"
#include "core/export/export.hpp"
#include "core/version.hpp"
#include "host/commands.hpp"
#include "host/options.hpp"
#include "host/process/contained.hpp"
#include "host/process/terminal.hpp"
#include "host/report/reported_run.hpp"
#include "host/report/timing.hpp"
#include "host/usage_error.hpp"

namespace onnxport {
namespace {

const char* const commands[] = {"export",    "validate", "features", "explain", "import-torchscript",
                                "transform", "pack",     "unpack",   "inspect", "diff",
                                "plugins",   "record",   "synth",    "help"};

std::string version_text() {
  return fmt::format("onnxport {} (plugin ABI {}.{}, opsets {} to {})", version, ONNXPORT_ABI_MAJOR, ONNXPORT_ABI_MINOR,
                     lowest_opset, highest_opset);
}

void define_root(CLI::App& root) {
  root.description("onnxport turns a Hugging Face checkpoint into an ONNX model.");
  root.set_version_flag("-V,--version", version_text());
  root.footer(
      "Examples:\n"
      "  onnxport export -m all-MiniLM-L6-v2 onnx/\n"
      "  onnxport --model=DIR --feature=masked-lm onnx/      (as of transformers.onnx)\n"
      "  onnxport features\n"
      "  onnxport COMMAND --help\n"
      "\n"
      "Exit status: 0 done and validated; 1 validation differs; 2 usage, unknown type or feature;\n"
      "3 unreadable or mismatched checkpoint; 4 plugin refused or failed; 5 output could not be\n"
      "written; 70 a defect of onnxport; 130 interrupted.");
  root.get_formatter()->column_width(28);
}

bool is_command(const std::string& word) {
  return std::find(std::begin(commands), std::end(commands), word) != std::end(commands);
}

bool asks_for_help(const std::string& word) {
  return word == "-h" || word == "--help" || word == "-V" || word == "--version";
}

/// The form of transformers.onnx has no command: options and the output, in any order.
bool is_legacy(const Words& words) {
  if (words.empty() || is_command(words.front())) return false;
  const auto names_a_model = [](const std::string& word) {
    return word.starts_with("--model") || (word.starts_with("-m") && !word.starts_with("--"));
  };
  if (std::any_of(words.begin(), words.end(), names_a_model)) return true;
  return words.front().starts_with('-') && !asks_for_help(words.front()) &&
         std::none_of(words.begin(), words.end(), is_command);
}

void define_commands(CLI::App& root, Arguments& a) {
  define_root(root);
  define_export(root, a);
  define_validate(root, a);
  define_import(root, a);
  define_file_commands(root, a);
  define_model_commands(root, a);
  define_plugins(root, a);
  root.require_subcommand(1);
}

/// What makes the error for words that were left over, and whether it says more than that an option misses something.
struct Unexpected {
  std::function<Error()> error;
  bool is_likely = false;
};

/// Parses; an exit status where that is all there was to do (--help).
std::optional<int> parse(CLI::App& root, const Words& words, const Unexpected& unexpected) {
  try {
    Words reversed(words.rbegin(), words.rend());
    root.parse(reversed);
    return std::nullopt;
  } catch (const CLI::Success& success) {  // --help, --version
    if (misses_command(root)) throw unexpected.error();
    return root.exit(success);
  } catch (const CLI::ExtrasError&) {
    throw unexpected.error();
  } catch (const CLI::ParseError& error) {
    // What was not understood is more likely the mistake than what is missing.
    if (unexpected.is_likely || has_left_over(root)) throw unexpected.error();
    throw Error(Failure::usage, error.what(), fmt::format("`{} --help` lists what there is", command_named(root)));
  }
}

int run(const Arguments& arguments, const Words& words, Terminal& console) {
  if (arguments.quiet && console.mode() == Terminal::Mode::report) console.set_mode(Terminal::Mode::quiet);
  const ReportedRun reported(arguments.report, words, arguments.run);
  const auto work = [&](Console& to) { return reported.work(to); };
  return arguments.runs_plugins ? reported.told(run_contained(console, work), console) : work(console);
}

int run_as_transformers_onnx(const Words& words, Terminal& console) {
  Arguments arguments, unused;
  CLI::App root("", "onnxport"), known("", "onnxport");
  define_legacy(root, arguments);
  define_commands(known, unused);
  const Words meant = words.front().starts_with('-') ? Words{} : commands_like(words.front(), known);
  const auto unexpected = [&] { return unexpected_words(root, known, arguments.export_model.output.string(), words); };
  if (const auto status = parse(root, words, {unexpected, !meant.empty()})) return *status;
  if (arguments.quiet && console.mode() == Terminal::Mode::report) console.set_mode(Terminal::Mode::quiet);
  // A folder may have a name like a command's; a command that is misspelt looks the same, and would fetch and export.
  if (!meant.empty() && !std::filesystem::is_directory(words.front())) {
    throw Error(Failure::usage,
                fmt::format("there is no command 'onnxport {}', nor a folder of that name", words.front()),
                fmt::format("did you mean `{}`? If it is to be the output, write ./{}", meant[0], words.front()));
  }
  return run(arguments, words, console);
}

int run_command(const Words& words, Terminal& console) {
  Arguments arguments;
  CLI::App root("", "onnxport");
  define_commands(root, arguments);
  if (words.empty()) {
    fmt::print("{}", root.help());
    return static_cast<int>(Failure::usage);
  }
  Words given = words;
  if (given.front() == "help") {
    given.erase(given.begin());
    given.push_back("--help");
  }
  if (given.front().starts_with('-') && !asks_for_help(given.front())) {
    const auto command = std::find_if(given.begin(), given.end(), is_command);
    if (command != given.end()) throw options_before_command(*command, given);
  }
  if (const auto status = parse(root, given, {[&] { return unexpected_words(root, given); }})) return *status;
  return run(arguments, given, console);
}

}  // namespace

void with_command_line(const std::function<void(const CLI::App&)>& use) {
  Arguments arguments;
  CLI::App root("", "onnxport");
  define_commands(root, arguments);
  use(root);
}

int run_words(const Words& words, Console& console) {
  begin_timing();
  try {
    Arguments arguments;
    CLI::App root("", "onnxport");
    define_commands(root, arguments);
    if (const auto status = parse(root, words, {[&] { return unexpected_words(root, words); }})) return *status;
    return ReportedRun(arguments.report, words, arguments.run).work(console);
  } catch (...) {
    return report_failure(console, std::current_exception());
  }
}

int run_command_line(int argc, char** argv) {
  begin_timing();
  const Words words(argv + 1, argv + argc);
  // Known before parsing, so that an error of the command line itself is an object as well.
  const auto is_given = [&](const char* word) { return std::find(words.begin(), words.end(), word) != words.end(); };
  const bool in_one_line = is_given("--json-line");
  const bool json = in_one_line || is_given("--json");
  Terminal console(json ? Terminal::Mode::json : Terminal::Mode::report);
  if (in_one_line) console.set_indent(-1);
  int status = 0;
  try {
    status = is_legacy(words) ? run_as_transformers_onnx(words, console) : run_command(words, console);
    if (console.mode() == Terminal::Mode::json && console.result_is_empty()) return status;  // --help
  } catch (...) {
    status = report_failure(console, std::current_exception());
  }
  return console.finish(status);
}

}  // namespace onnxport
