// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "host/pages/completion_parts.hpp"

namespace onnxport {
namespace {

std::string escaped(const std::string& text, const std::string& special) {
  std::string out;
  for (const char one : text) {
    if (special.find(one) != std::string::npos) out += '\\';
    out += one;
  }
  return out;
}

/// ":MESSAGE:ACTION" of _arguments.
std::string value_of(const OptionEntry& option) {
  if (option.value.empty()) return "";
  std::string action = " ";
  switch (option.offer()) {
    case Offer::words:
      action = fmt::format("({})", fmt::join(option.choices, " "));
      break;
    case Offer::files:
      action = "_files";
      break;
    case Offer::packages:
      action = fmt::format(" _onnxport__layouts {}", fmt::join(option.choices, " "));
      break;
    case Offer::types:
      action = "_onnxport__types";
      break;
    case Offer::features:
      action = "_onnxport__features";
      break;
    case Offer::plugins:
      action = "_onnxport__plugins";
      break;
    case Offer::nothing:
      break;
  }
  return fmt::format(":{}:{}", escaped(option.value, ":\\"), action);
}

/// The words of _arguments that tell the options and operands of a command.
std::string arguments_of(const CommandPage& page) {
  std::string arguments;
  int operand = 0;
  for (const OptionEntry& option : page.options) {
    const std::string value = value_of(option);
    if (option.is_operand()) arguments += " \\\n    " + in_shell_quotes(std::to_string(++operand) + value);
    for (const std::string& name : option.names) {
      const std::string sign = !value.empty() && name.starts_with("--") ? "=" : "";
      arguments +=
          " \\\n    " + in_shell_quotes(fmt::format("*{}{}[{}]{}", name, sign, escaped(option.help, "[]:\\"), value));
    }
  }
  return arguments;
}

}  // namespace

std::string zsh_completion_of(const CommandPage& program) {
  std::string functions;
  for_each_command(program, [&](const CommandPage& page) {
    std::string function = "_" + page.name;
    for (char& one : function) {
      if (one == ' ') one = '_';
    }
    std::string branches, list;
    for (const CommandPage& command : page.commands) {
      const std::string name = command.name.substr(page.name.size() + 1);
      list += " " + in_shell_quotes(escaped(name, ":") + ":" + command.description);
      branches += fmt::format("        {}) {}_{} ;;\n", name, function, name);
    }
    if (list.empty()) {
      functions += fmt::format("{}() {{\n  _arguments -s{}\n}}\n\n", function, arguments_of(page));
      return;
    }
    functions +=
        fmt::format(R"({0}() {{
  local state line commands=({1}){4}
  _arguments -C{2} \
    '1:command:->command' '*::argument:->argument'
  case $state in
    command) _describe command commands ;;
    argument)
      case $line[1] in
{3}      esac ;;
  esac
}}

)",
                    function, list, arguments_of(page), branches, &page == &program ? " onnxport=$words[1]" : "");
  });
  return fmt::format(R"(#compdef onnxport
# What is installed, as the program that stands in the line says.
_onnxport__types() {{ compadd -- "${{(@f)$(${{~onnxport}}{0})}}" }}
_onnxport__features() {{ compadd -- "${{(@f)$(${{~onnxport}}{1})}}" }}
_onnxport__plugins() {{ compadd -- "${{(@f)$(${{~onnxport}}{2})}}" }}
_onnxport__layouts() {{ compadd -- "$@"; _files }}

{3}_onnxport "$@"
)",
                     listing_of(Offer::types), listing_of(Offer::features), listing_of(Offer::plugins), functions);
}

}  // namespace onnxport
