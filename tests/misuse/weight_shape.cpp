// SPDX-License-Identifier: Apache-2.0
// A weight's shape is of numbers; a name stands for an axis of an input alone.
#include <onnxport/plugin.hpp>

using namespace onnxport::sdk;

Value table(const Scope& scope) {
#ifdef MISTAKE
  return scope.weight("weight", {"vocabulary", 16});
#else
  return scope.weight("weight", {100, 16});
#endif
}

// gcc: cannot convert '<brace-enclosed initializer list>' to 'const std::vector<long int>&'
// gcc: Scope::weight\(
// clang: no matching constructor for initialization of 'const std::vector<int64_t> &'
