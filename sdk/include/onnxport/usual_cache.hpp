// SPDX-License-Identifier: Apache-2.0
// Which caches have the shape that clients guess from a config.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <string_view>

namespace onnxport::sdk {

/// What a config says of a decoder's attention.
struct CacheForm {
  int64_t hidden, heads, kv_heads, head_size;
};

/// OnnxConfigWithPast::has_usual_cache() of a decoder that may share keys and values among heads: as many heads as
/// the model has, hidden size / heads wide. Of a few types clients know that these heads are fewer.
/// Source: ORTModelForCausalLM, optimum-onnx 0.1.
inline bool is_usual_cache(std::string_view model_type, const CacheForm& form) {
  const std::initializer_list<std::string_view> grouped = {
      "arcee", "cohere",  "gemma",    "gemma3_text", "glm",   "gpt_oss",   "granite", "helium",
      "llama", "mistral", "nemotron", "qwen2",       "qwen3", "qwen3_moe", "smollm3", "stablelm"};
  const bool known = std::find(grouped.begin(), grouped.end(), model_type) != grouped.end();
  return form.heads * form.head_size == form.hidden && (known || form.kv_heads == form.heads);
}

}  // namespace onnxport::sdk
