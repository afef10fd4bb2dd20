// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "host/pages/command_page.hpp"

namespace onnxport {
namespace {

/// Text that man prints as it is: backslashes, hyphens that can be copied, and lines that would be requests.
std::string roff(const std::string& text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool begins_line = i == 0 || text[i - 1] == '\n';
    if (begins_line && (text[i] == '.' || text[i] == '\'')) out += "\\&";
    if (text[i] == '\\')
      out += "\\e";
    else if (text[i] == '-')
      out += "\\-";
    else
      out += text[i];
  }
  return out;
}

std::string option_of(const OptionEntry& option) {
  std::string names;
  for (const std::string& name : option.names) names += (names.empty() ? "" : ", ") + ("\\fB" + roff(name) + "\\fR");
  const std::string value =
      option.offer() == Offer::words ? fmt::format("{}", fmt::join(option.choices, "|")) : option.value;
  if (!value.empty()) names += (names.empty() ? "" : " ") + ("\\fI" + roff(value) + "\\fR");
  return fmt::format(".TP\n{}\n{}\n", names, roff(option.help.empty() ? "…" : option.help));
}

std::string page_name(std::string command) {
  std::replace(command.begin(), command.end(), ' ', '-');
  return command;
}

}  // namespace

std::string manual_of(const CommandPage& page, const std::string& version) {
  std::string operands;
  for (const OptionEntry& option : page.options) {
    if (option.is_operand()) operands += " \\fI" + roff(option.value) + "\\fR";
  }
  std::string text = fmt::format(".TH \"{}\" 1 \"\" \"onnxport {}\" \"onnxport\"\n.SH NAME\n{} \\- {}\n",
                                 page_name(page.name), version, roff(page_name(page.name)), roff(page.description));
  text += fmt::format(".SH SYNOPSIS\n\\fB{}\\fR{}{}\n", roff(page.name),
                      page.commands.empty() ? " [\\fIoptions\\fR]" : " \\fIcommand\\fR [\\fIoptions\\fR]", operands);
  if (!page.commands.empty()) text += ".SH COMMANDS\n";
  for (const CommandPage& command : page.commands)
    text += fmt::format(".TP\n\\fB{}\\fR(1)\n{}\n", roff(page_name(command.name)), roff(command.description));
  text += ".SH OPTIONS\n";
  for (const OptionEntry& option : page.options) text += option_of(option);
  if (!page.footer.empty()) text += fmt::format(".SH NOTES\n.nf\n{}\n.fi\n", roff(page.footer));
  return text;
}

}  // namespace onnxport
