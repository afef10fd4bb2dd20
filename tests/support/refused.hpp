// SPDX-License-Identifier: Apache-2.0
// Errors, as a test looks at them.
#pragma once

#include <boost/test/unit_test.hpp>
#include <string>

#include "core/error.hpp"

namespace onnxport::test {

/// What an Error said.
struct Caught {
  Failure failure = Failure::internal;
  std::string text;
  std::string hint;
};

/// The Error that a call throws; none is a mistake of what is tested.
template <class Function>
Caught caught(Function function) {
  try {
    function();
  } catch (const Error& error) {
    return {error.failure(), error.what(), error.hint()};
  }
  BOOST_ERROR("nothing was thrown");
  return {};
}

inline bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace onnxport::test

#define CHECK_HAS(text, part) \
  BOOST_TEST(onnxport::test::has(text, part), "found: " << (text) << "\nexpected in it: " << (part))
