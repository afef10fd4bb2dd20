// SPDX-License-Identifier: Apache-2.0
// An image and a text that look at each other: the same vectors are queries in one direction and keys in the other.
// Source: GroundingDinoFusionLayer and GroundingDinoBiMultiHeadAttention, transformers 5.24
// (modeling_grounding_dino.py).
#pragma once

#include <onnxport/blocks/norm.hpp>

namespace onnxport::grounding_dino {

using namespace onnxport::sdk;

struct ImageAndText {
  Value image;  // f32[batch, m, width]
  Value text;   // f32[batch, n, width]
};
struct Fusion {
  int64_t heads, inner;  // `inner` is the width of all heads
  Norm norm;
  Value image_mask, text_mask;  // i64[batch, m] and i64[batch, n]: 1 where a place counts
};
/// Each normed, and what it found in the other added, by a learnt factor for each channel.
inline ImageAndText fuse(const Scope& s, const ImageAndText& given, const Fusion& form) {
  const Scope at = s / "attn";
  const Value image = norm(s / "layer_norm_vision", given.image, form.norm);
  const Value text = norm(s / "layer_norm_text", given.text, form.norm);
  const auto inner = [&](const char* name, const Value& x) { return linear(at / name, x, {.out = form.inner}); };
  const Value image_key = inner("vision_proj", image), text_key = inner("text_proj", text);
  const Value in_text =
      attention(image_key, text_key, inner("values_text_proj", text), {.heads = form.heads, .mask = form.text_mask})
          .mixed;
  const Value in_image =
      attention(text_key, image_key, inner("values_vision_proj", image), {.heads = form.heads, .mask = form.image_mask})
          .mixed;
  const auto joined = [&](const Value& x, const char* layer, const Value& found, const char* factor) {
    const int64_t width = x.fixed(-1);
    return x + linear(at / layer, found, {.out = width}).in(s)*s.weight(factor, {width});
  };
  return {joined(image, "out_vision_proj", in_text, "vision_param"),
          joined(text, "out_text_proj", in_image, "text_param")};
}

}  // namespace onnxport::grounding_dino
