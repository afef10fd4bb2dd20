// SPDX-License-Identifier: Apache-2.0
#include "host/pages/command_page.hpp"

#include <CLI/CLI.hpp>

#include "core/split_list.hpp"

namespace onnxport {
namespace {

/// The words of "TEXT:{onnx,ort}", as the parser writes the type of such an option.
std::vector<std::string> choices_in(const std::string& type) {
  const size_t open = type.find('{'), close = type.find('}', open);
  return close == std::string::npos ? std::vector<std::string>() : split_list(type.substr(open + 1, close - open - 1));
}

OptionEntry entry_of(const CLI::Option& option) {
  OptionEntry entry;
  for (const std::string& name : option.get_snames()) entry.names.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) entry.names.push_back("--" + name);
  entry.help = option.get_description();
  if (entry.is_operand()) {
    entry.value = option.get_name(true);
    return entry;
  }
  const std::string type = option.get_type_name();
  entry.choices = choices_in(type);
  const bool is_flag = option.get_items_expected_max() == 0;
  if (!is_flag) entry.value = entry.choices.empty() ? type.substr(0, type.find(':')) : "WORD";
  return entry;
}

CommandPage page_below(const CLI::App& app, const std::string& prefix) {
  CommandPage page;
  page.name = prefix + app.get_name();
  page.description = app.get_description();
  page.footer = app.get_footer();
  for (const CLI::Option* option : app.get_options([](const CLI::Option* one) { return !one->get_group().empty(); }))
    page.options.push_back(entry_of(*option));
  for (const CLI::App* command : app.get_subcommands([](const CLI::App* one) { return !one->get_group().empty(); }))
    page.commands.push_back(page_below(*command, page.name + " "));
  return page;
}

}  // namespace

bool OptionEntry::is_path() const {
  for (const char* word : {"DIR", "FILE", "MODEL", "OUTPUT", "CONFIG", "PLUGIN"}) {
    if (value == word) return true;
  }
  return false;
}

CommandPage page_of(const CLI::App& app) {
  return page_below(app, "");
}

}  // namespace onnxport
