// SPDX-License-Identifier: Apache-2.0
#include "host/pages/command_page.hpp"

#include <CLI/CLI.hpp>
#include <functional>
#include <map>

#include "core/package/layout.hpp"
#include "core/split_list.hpp"
#include "host/plan/package.hpp"

namespace onnxport {
namespace {

/// The words of "TEXT:{onnx,ort}", as the parser writes the type of such an option.
std::vector<std::string> choices_in(const std::string& type) {
  const size_t open = type.find('{'), close = type.find('}', open);
  return close == std::string::npos ? std::vector<std::string>() : split_list(type.substr(open + 1, close - open - 1));
}

/// "N" of "N:INT in [13 - 24]"; a colon behind = is the value's own, as in INPUT=LOW:HIGH.
std::string without_checks(const std::string& type) {
  const size_t colon = type.find(':');
  return type.find('=') < colon ? type : type.substr(0, colon);
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
  if (!is_flag) entry.value = entry.choices.empty() ? without_checks(type) : "WORD";
  if (entry.value == "LAYOUT") {
    for (const Layout& layout : layouts()) entry.choices.push_back(layout.name);
  }
  if (entry.offer() == Offer::packages)
    for (const std::string& package : package_names()) entry.choices.push_back(package);
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

Offer OptionEntry::offer() const {
  static const std::map<std::string, Offer, std::less<>> offers = {
      {"A", Offer::files},          {"B", Offer::files},
      {"CONFIG", Offer::files},     {"DIR", Offer::files},
      {"FEATURE", Offer::features}, {"FILE", Offer::files},
      {"FILE.json", Offer::files},  {"FILE.safetensors", Offer::files},
      {"ID", Offer::plugins},       {"LAYOUT", Offer::packages},
      {"LIB", Offer::files},        {"MODEL", Offer::files},
      {"MODEL.pt", Offer::files},   {"MODEL_TYPE", Offer::types},
      {"OUTPUT", Offer::files},     {"PACKAGE", Offer::packages},
      {"PATH", Offer::files},       {"PLUGIN", Offer::files},
      {"TYPE", Offer::types},       {"WORD", Offer::words},
  };
  const auto found = offers.find(value);
  return found == offers.end() ? Offer::nothing : found->second;
}

CommandPage page_of(const CLI::App& app) {
  return page_below(app, "");
}

}  // namespace onnxport
