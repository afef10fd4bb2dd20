// SPDX-License-Identifier: Apache-2.0
// And an attention's, which has a dozen.
#include <onnxport/plugin.hpp>

using namespace onnxport::sdk;

Value attend(const Value& q, const Value& k, const Value& v) {
#ifdef MISTAKE
  return attention(q, k, v, {.heads = 4, .kvheads = 2}).mixed;
#else
  return attention(q, k, v, {.heads = 4, .kv_heads = 2}).mixed;
#endif
}

// gcc: invalid initialization of reference of type 'const onnxport::sdk::AttentionOptions&'
// clang: cannot convert initializer list argument to 'const onnxport::sdk::AttentionOptions'
