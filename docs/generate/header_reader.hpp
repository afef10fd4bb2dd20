// SPDX-License-Identifier: Apache-2.0
// What a header of the SDK declares for its users. This reads no C++ at large: it knows the form that clang-format
// gives these headers and that a declaration stands outside of every function. A documentation generator would read
// more, and be one more program, with a compiler in it, that every build of the tests needs.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace onnxport {

/// A declaration that a plugin may use.
struct Offered {
  enum class Kind { function, type, other };
  Kind kind = Kind::other;
  std::string text;              ///< "Value linear(const Scope& scope, const Operand& x, const LinearOptions& options)"
  std::string name;              ///< "linear"
  std::string doc;               ///< the first sentence of its comment; empty where it has none
  std::vector<Offered> members;  ///< of a type: the public ones
};

struct Header {
  std::string about;  ///< the comment that the file begins with
  std::vector<Offered> offered;
};

Header read_header(std::string_view text);

}  // namespace onnxport
