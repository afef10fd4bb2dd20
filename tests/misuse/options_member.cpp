// SPDX-License-Identifier: Apache-2.0
// Options are named, so that a misspelt one is no silent default.
#include <onnxport/plugin.hpp>

using namespace onnxport::sdk;

Value project(const Scope& scope, const Value& x) {
#ifdef MISTAKE
  return linear(scope, x, {.width = 16});
#else
  return linear(scope, x, {.out = 16});
#endif
}

// gcc: no matching function for call to 'linear\(
// gcc: candidate: .*linear\(const Scope&, const Operand&, const LinearOptions&\)
// clang: no matching function for call to 'linear'
// clang: cannot convert initializer list argument to 'const onnxport::sdk::LinearOptions'
