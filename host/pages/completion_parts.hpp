// SPDX-License-Identifier: Apache-2.0
// What the completions of all shells are made of.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "host/pages/command_page.hpp"

namespace onnxport {

/// Calls for the program and every command below it.
void for_each_command(const CommandPage& page, const std::function<void(const CommandPage&)>& call);
/// 'as a shell quotes it'; fish reads it the same way where there is no backslash before a quote.
std::string in_shell_quotes(std::string text);
/// "plugins list" of "onnxport plugins list"; empty for the program.
std::string words_after_program(const CommandPage& page);
/// The last words of the commands below it.
std::vector<std::string> names_below(const CommandPage& page);
/// Pipes that list what is installed, one a line, behind the program's name: " features | cut …".
std::string listing_of(Offer offer);

}  // namespace onnxport
