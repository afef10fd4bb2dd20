// SPDX-License-Identifier: Apache-2.0
// The layers of BART, which mBART's and Whisper's relatives kept. Source: BartEncoderLayer, BartDecoderLayer and their
// twins of Whisper and Speech2Text, transformers 4.57.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <initializer_list>
#include <string>
#include <utility>

#include <onnxport/blocks/layer.hpp>

namespace onnxport::family {

using namespace onnxport::sdk;

/// Other names of a config's fields, for Config::with_names. Source: attribute_map of BartConfig, WhisperConfig and
/// their relatives, transformers 5.24.
inline constexpr std::initializer_list<std::pair<const char*, const char*>> bart_names{
    {"d_model", "hidden_size"},
    {"encoder_attention_heads", "num_attention_heads"},
    {"encoder_layers", "num_hidden_layers"}};

/// What tells the layers of one side from those of another.
struct BartLayer {
  int64_t width, heads, inner;
  std::string activation = "gelu";
  Placement norm = Placement::before;
  ProjectionBias bias = all_biased;
  std::string feed_forward_at{};  ///< its module below the layer; empty: the layer itself
  std::string feed_forward_norm = "final_layer_norm";
};

/// A layer of an encoder; of a decoder where it is `causal`.
inline TransformerLayer bart_layer(const BartLayer& of, bool causal = false) {
  return {.feed_forward_at = of.feed_forward_at,
          .attention = {.heads = of.heads,
                        .head_size = of.width / of.heads,
                        .projections = {.output = "out_proj", .bias = of.bias},
                        .causal = causal},
          .feed_forward = {.inner = of.inner, .activation = of.activation, .up = "fc1", .down = "fc2", .bias = true},
          .attention_branch = {of.norm, {}, "self_attn_layer_norm"},
          .feed_forward_branch = {of.norm, {}, of.feed_forward_norm}};
}

/// A layer of a decoder that attends to an encoder as well.
inline TransformerLayer bart_layer_over_encoder(const BartLayer& of) {
  TransformerLayer form = bart_layer(of, true);
  form.cross = {"encoder_attn", form.attention, {of.norm, {}, "encoder_attn_layer_norm"}};
  return form;
}

}  // namespace onnxport::family
