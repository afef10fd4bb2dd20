// SPDX-License-Identifier: Apache-2.0
#include "host/pages/completion_parts.hpp"

namespace onnxport {

void for_each_command(const CommandPage& page, const std::function<void(const CommandPage&)>& call) {
  call(page);
  for (const CommandPage& command : page.commands) for_each_command(command, call);
}

std::string in_shell_quotes(std::string text) {
  for (size_t at = text.find('\''); at != std::string::npos; at = text.find('\'', at + 4)) text.replace(at, 1, "'\\''");
  return "'" + text + "'";
}

std::string words_after_program(const CommandPage& page) {
  const size_t space = page.name.find(' ');
  return space == std::string::npos ? "" : page.name.substr(space + 1);
}

std::vector<std::string> names_below(const CommandPage& page) {
  std::vector<std::string> names;
  for (const CommandPage& command : page.commands) names.push_back(command.name.substr(page.name.size() + 1));
  return names;
}

std::string listing_of(Offer offer) {
  if (offer == Offer::types) return " features 2>/dev/null | cut -d ' ' -f 1";
  if (offer == Offer::features) return " features 2>/dev/null | sed 's/^[^ ]* *//' | tr -s ', ' '\\n\\n' | sort -u";
  return " plugins list 2>/dev/null | sed -n 's/^  usable  *\\([^ ]*\\) .*/\\1/p'";
}

}  // namespace onnxport
