// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "host/pages/completion_parts.hpp"

namespace onnxport {
namespace {

/// What is done where a value of the option is typed.
std::string action_for(const OptionEntry& option) {
  const std::string words = in_shell_quotes(fmt::format("{}", fmt::join(option.choices, " ")));
  switch (option.offer()) {
    case Offer::files:
      return "_onnxport_files";
    case Offer::packages:
      return fmt::format("_onnxport_words {}; _onnxport_files", words);
    case Offer::types:
      return "_onnxport_words \"$(_onnxport_types)\"";
    case Offer::features:
      return "_onnxport_words \"$(_onnxport_features)\"";
    case Offer::plugins:
      return "_onnxport_words \"$(_onnxport_plugins)\"";
    default:
      return fmt::format("_onnxport_words {}", words);
  }
}

}  // namespace

std::string bash_completion_of(const CommandPage& program) {
  std::string commands, values, words, operands;
  for_each_command(program, [&](const CommandPage& page) {
    const std::string path = words_after_program(page);
    std::vector<std::string> offered = names_below(page);
    for (const OptionEntry& option : page.options) {
      offered.insert(offered.end(), option.names.begin(), option.names.end());
      if (option.is_operand() && option.offer() != Offer::nothing)
        operands = fmt::format("    {}) {} ;;\n", in_shell_quotes(path), action_for(option)) + operands;
      if (option.names.empty() || option.value.empty()) continue;
      std::vector<std::string> patterns;
      for (const std::string& name : option.names) patterns.push_back(in_shell_quotes(path + ":" + name));
      values += fmt::format("    {})\n      {}; return ;;\n", fmt::join(patterns, "|"), action_for(option));
    }
    if (!path.empty()) commands += fmt::format("    {}) path={} ;;\n", in_shell_quotes(path), in_shell_quotes(path));
    words += fmt::format("    {}) offered={} ;;\n", in_shell_quotes(path),
                         in_shell_quotes(fmt::format("{}", fmt::join(offered, " "))));
  });
  return fmt::format(
      R"(# bash completion of onnxport; does without the package bash-completion, and takes its functions where they are
_onnxport_files() {{
  if declare -F _filedir >/dev/null; then
    _filedir
    return
  fi
  local files
  mapfile -t files < <(compgen -f -- "$cur")
  COMPREPLY+=("${{files[@]}}")
  compopt -o filenames 2>/dev/null
}}
_onnxport_words() {{ COMPREPLY+=($(compgen -W "$1" -- "$cur")); }}
# What is installed, as the program that stands in the line says.
_onnxport_types() {{ "$program"{}; }}
_onnxport_features() {{ "$program"{}; }}
_onnxport_plugins() {{ "$program"{}; }}
_onnxport() {{
  local program="${{COMP_WORDS[0]/#\~\//$HOME/}}" cur="${{COMP_WORDS[COMP_CWORD]}}" prev="${{COMP_WORDS[COMP_CWORD - 1]}}"
  local path='' word offered=''
  COMPREPLY=()
  # A shell divides --option=value at the sign.
  [[ $cur != = ]] || cur=''
  [[ $prev != = ]] || prev="${{COMP_WORDS[COMP_CWORD - 2]}}"
  for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
    case "${{path:+$path }}$word" in
{}    esac
  done
  case "$path:$prev" in
{}  esac
  case "$path" in
{}  esac
  _onnxport_words "$offered"
  [[ $cur != -* ]] || return 0
  case "$path" in
{}  esac
}}
complete -F _onnxport onnxport
)",
      listing_of(Offer::types), listing_of(Offer::features), listing_of(Offer::plugins), commands, values, words,
      operands);
}

}  // namespace onnxport
