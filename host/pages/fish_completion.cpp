// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "host/pages/completion_parts.hpp"

namespace onnxport {
namespace {

/// As fish reads it: within quotes it takes a backslash before a quote or a backslash.
std::string in_fish_quotes(const std::string& text) {
  std::string out = "'";
  for (const char one : text) {
    if (one == '\'' || one == '\\') out += '\\';
    out += one;
  }
  return out + "'";
}

/// The options of `complete` that say what a value may be.
std::string offered(const OptionEntry& option) {
  switch (option.offer()) {
    case Offer::words:
      return " -x -a " + in_fish_quotes(fmt::format("{}", fmt::join(option.choices, " ")));
    case Offer::files:
      return " -r -F";
    case Offer::packages:
      return " -r -F -a " + in_fish_quotes(fmt::format("{}", fmt::join(option.choices, " ")));
    case Offer::types:
      return " -x -a '(__onnxport_types)'";
    case Offer::features:
      return " -x -a '(__onnxport_features)'";
    case Offer::plugins:
      return " -x -a '(__onnxport_plugins)'";
    case Offer::nothing:
      break;
  }
  return " -x";
}

}  // namespace

std::string fish_completion_of(const CommandPage& program) {
  std::string text = fmt::format(R"(# fish completion of onnxport
# __onnxport_in COMMAND…: whether the line so far begins with these words behind the program, or, with --exactly, ends there.
function __onnxport_in
  set -l exactly 0
  if test "$argv[1]" = --exactly
    set exactly 1
    set -e argv[1]
  end
  set -l words (commandline -opc)
  set -e words[1]
  test $exactly = 0; or test (count $words) = (count $argv); or return 1
  set -l count (count $argv)
  test $count = 0; and return 0
  test "$words[1..$count]" = "$argv"
end
# What is installed, as the program that stands in the line says.
function __onnxport_types
  __onnxport_program{}
end
function __onnxport_features
  __onnxport_program{}
end
function __onnxport_plugins
  __onnxport_program{}
end
function __onnxport_program
  set -l words (commandline -opc)
  set -l program (string replace -r '^~/' "$HOME/" -- $words[1])
  command $program $argv
end
)",
                                 listing_of(Offer::types), listing_of(Offer::features), listing_of(Offer::plugins));
  for_each_command(program, [&](const CommandPage& page) {
    const std::string path = words_after_program(page);
    const std::string start = "complete -c onnxport -n " +
                              in_fish_quotes("__onnxport_in " + (page.commands.empty() ? path : "--exactly " + path));
    for (const CommandPage& command : page.commands)
      text += fmt::format("{} -f -a {} -d {}\n", start, command.name.substr(page.name.size() + 1),
                          in_fish_quotes(command.description));
    bool takes_files = false;
    for (const OptionEntry& option : page.options) {
      if (option.is_operand()) {
        takes_files = takes_files || option.offer() == Offer::files;
        if (option.offer() == Offer::types) text += fmt::format("{} -f -a '(__onnxport_types)'\n", start);
        continue;
      }
      std::string line = start;
      for (const std::string& name : option.names)
        line += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
      if (!option.value.empty()) line += offered(option);
      text += line + " -d " + in_fish_quotes(option.help) + "\n";
    }
    if (!takes_files) text += start + " -f\n";
  });
  return text;
}

}  // namespace onnxport
