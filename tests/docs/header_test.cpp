// SPDX-License-Identifier: Apache-2.0
// What docs/sdk-index.md takes of a header, and what not.
#include <boost/test/unit_test.hpp>

#include "docs/generate/sdk_page.hpp"

namespace header_test {

namespace {

const char* const header =
    "// SPDX-License-Identifier: Apache-2.0\n"
    "// What it is\n// about.\n"
    "#pragma once\n\n#include <string>\n\n"
    "namespace onnxport::sdk {\n\n"
    "/// Said once. And more.\n"
    "inline Value twice(const Value& x, const char* file = __builtin_FILE(), uint32_t line = __builtin_LINE()) {\n"
    "  if (x) { return x; }  // }\n"
    "  return \"}\";\n"
    "}\n"
    "inline Value twice(double x) {\n  return x;\n}\n\n"
    "namespace detail {\ninline Value hidden() {\n  return {};\n}\n}  // namespace detail\n\n"
    "struct ThinOptions {\n  int64_t out;  ///< how much\n  bool bias = true;\n  Value mask{};\n};\n\n"
    "class Thing : public Base {\n public:\n"
    "  /// Makes one.\n"
    "  explicit Thing(int a) : a_{a}, b_(a) {}\n"
    "  Thing(const Thing&) = delete;\n"
    "  Value run(const Value& x) const override;\n"
    "  /// Walks on.\n"
    "  virtual Value walk(const Value& x) const { return x; }\n\n"
    " private:\n  void own();\n  int a_, b_;\n};\n\n"
    "namespace head {\n"
    "template <class T>\n"
    "T made(T from) {\n  return from;\n}\n"
    "}  // namespace head\n\n"
    "}  // namespace onnxport::sdk\n";

}  // namespace

BOOST_AUTO_TEST_CASE(an_index_of_a_header) {
  BOOST_TEST(onnxport::offers_of_header("onnxport/it.hpp", header) ==
             "## `<onnxport/it.hpp>`\n\nWhat it is about.\n\n"
             "- `Value twice(const Value& x)`: Said once.\n"
             "- `struct ThinOptions {out, bias, mask}`\n"
             "- `class Thing`\n"
             "  - `Thing(int a)`: Makes one.\n"
             "  - `Value walk(const Value& x) const`: Walks on.\n"
             "- `template <class T> T made(T from)`\n");
  BOOST_TEST(onnxport::offers_of_header("onnxport/it.hpp", "// a\n// b\n#pragma once\n").empty());
}

}  // namespace header_test
