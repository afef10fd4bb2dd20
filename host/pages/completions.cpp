// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <functional>

#include "host/pages/command_page.hpp"

namespace onnxport {
namespace {

/// Calls for the program and every command below it.
void for_each(const CommandPage& page, const std::function<void(const CommandPage&)>& call) {
  call(page);
  for (const CommandPage& command : page.commands) for_each(command, call);
}

std::string quoted(std::string text) {
  for (size_t at = text.find('\''); at != std::string::npos; at = text.find('\'', at + 4)) text.replace(at, 1, "'\\''");
  return "'" + text + "'";
}

/// "plugins list" of "onnxport plugins list"; empty for the program.
std::string words_after_program(const CommandPage& page) {
  const size_t space = page.name.find(' ');
  return space == std::string::npos ? "" : page.name.substr(space + 1);
}

std::vector<std::string> names_below(const CommandPage& page) {
  std::vector<std::string> names;
  for (const CommandPage& command : page.commands) names.push_back(command.name.substr(page.name.size() + 1));
  return names;
}

}  // namespace

std::string bash_completion_of(const CommandPage& program) {
  std::string commands, values, words;
  for_each(program, [&](const CommandPage& page) {
    const std::string path = words_after_program(page);
    std::vector<std::string> offered = names_below(page);
    for (const OptionEntry& option : page.options) {
      offered.insert(offered.end(), option.names.begin(), option.names.end());
      if (option.names.empty() || option.value.empty()) continue;
      std::vector<std::string> patterns;
      for (const std::string& name : option.names) patterns.push_back(quoted(path + ":" + name));
      const std::string action = option.is_path()
                                     ? "_onnxport_files; return"
                                     : fmt::format("COMPREPLY=($(compgen -W {} -- \"$cur\")); return",
                                                   quoted(fmt::format("{}", fmt::join(option.choices, " "))));
      values += fmt::format("    {})\n      {} ;;\n", fmt::join(patterns, "|"), action);
    }
    if (!path.empty()) commands += fmt::format("    {}) path={} ;;\n", quoted(path), quoted(path));
    words += fmt::format("    {}) offered={} ;;\n", quoted(path), quoted(fmt::format("{}", fmt::join(offered, " "))));
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
_onnxport() {{
  local cur prev words cword path='' word offered=''
  if declare -F _init_completion >/dev/null; then
    _init_completion -n = || return
  else
    words=("${{COMP_WORDS[@]}}") cword=$COMP_CWORD
    cur="${{words[cword]}}" prev="${{words[cword - 1]}}"
  fi
  for word in "${{words[@]:1:cword-1}}"; do
    case "${{path:+$path }}$word" in
{}    esac
  done
  case "$path:$prev" in
{}  esac
  case "$path" in
{}  esac
  COMPREPLY=($(compgen -W "$offered" -- "$cur"))
  [[ $cur == -* ]] || _onnxport_files
}}
complete -F _onnxport onnxport
)",
      commands, values, words);
}

std::string zsh_completion_of(const CommandPage& program) {
  const auto escaped = [](const std::string& text, const char* special) {
    std::string out;
    for (const char one : text) {
      if (std::string(special).find(one) != std::string::npos) out += '\\';
      out += one;
    }
    return out;
  };
  std::string functions;
  for_each(program, [&](const CommandPage& page) {
    std::string function = "_" + page.name, arguments;
    for (char& one : function) {
      if (one == ' ') one = '_';
    }
    for (const OptionEntry& option : page.options) {
      const std::string value = option.value.empty() ? ""
                                : !option.choices.empty()
                                    ? fmt::format(":{}:({})", option.value, fmt::join(option.choices, " "))
                                : option.is_path() ? fmt::format(":{}:_files", option.value)
                                                   : fmt::format(":{}: ", option.value);
      if (option.is_operand()) arguments += " \\\n    " + quoted("*" + value);
      for (const std::string& name : option.names)
        arguments += " \\\n    " + quoted(fmt::format("*{}[{}]{}", name, escaped(option.help, "[]:\\"), value));
    }
    std::string branches, list;
    for (const CommandPage& command : page.commands) {
      const std::string name = command.name.substr(page.name.size() + 1);
      list += " " + quoted(escaped(name, ":") + ":" + command.description);
      branches += fmt::format("        {}) {}_{} ;;\n", name, function, name);
    }
    if (list.empty()) {
      functions += fmt::format("{}() {{\n  _arguments -s{}\n}}\n\n", function, arguments);
      return;
    }
    functions += fmt::format(R"({0}() {{
  local state line commands=({1})
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
                             function, list, arguments, branches);
  });
  return "#compdef onnxport\n" + functions + "_onnxport \"$@\"\n";
}

std::string fish_completion_of(const CommandPage& program) {
  std::string text = "# fish completion of onnxport\n";
  for_each(program, [&](const CommandPage& page) {
    const std::string path = words_after_program(page);
    std::string condition = "__fish_use_subcommand";
    if (!path.empty()) {
      condition.clear();
      for (size_t begin = 0; begin <= path.size();) {
        const size_t end = std::min(path.find(' ', begin), path.size());
        condition +=
            (condition.empty() ? "" : "; and ") + ("__fish_seen_subcommand_from " + path.substr(begin, end - begin));
        begin = end + 1;
      }
    }
    const std::string start = "complete -c onnxport -n " + quoted(condition);
    for (const CommandPage& command : page.commands)
      text += fmt::format("{} -f -a {} -d {}\n", start, command.name.substr(page.name.size() + 1),
                          quoted(command.description));
    for (const OptionEntry& option : page.options) {
      if (option.is_operand()) continue;
      std::string line = start;
      for (const std::string& name : option.names)
        line += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
      if (!option.choices.empty())
        line += fmt::format(" -x -a {}", quoted(fmt::format("{}", fmt::join(option.choices, " "))));
      else if (!option.value.empty())
        line += option.is_path() ? " -r -F" : " -x";
      text += line + " -d " + quoted(option.help) + "\n";
    }
  });
  return text;
}

}  // namespace onnxport
