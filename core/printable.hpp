// SPDX-License-Identifier: Apache-2.0
// Text that a file, a plugin or the network gave, as it can be shown: a checkpoint's tensor names must not be able to
// move a terminal's cursor, colour it, retitle it, or make a line read backwards.
#pragma once

#include <string>
#include <string_view>

namespace onnxport {

/// One line: control characters, characters that steer the direction of text or break lines, and bytes that are no
/// UTF-8 become what a programmer would write ("\r", "\x1b", "\u202e"). All else stays as it is.
std::string printable(std::string_view text);

/// The same with the line feeds kept: for messages whose lines the program itself made.
std::string printable_lines(std::string_view text);

/// JSON text, which is valid UTF-8: what is left of such characters inside its strings becomes JSON's own escapes, so
/// that the document means the same.
std::string printable_json(std::string_view document);

/// A text of a plugin's as a message may have it: a long one is cut, and its length told.
std::string shortened(std::string_view text);

}  // namespace onnxport
