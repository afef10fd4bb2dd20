// SPDX-License-Identifier: Apache-2.0
// How Mixtral's relatives turn queries and keys.
#pragma once

#include <onnxport/rotary.hpp>

namespace mixtral {

using namespace onnxport::sdk;

/// The whole of every head, with a base that the class has where the config states none.
template <int64_t theta>
Rotary plain_rotary(const Config& c, int64_t head_size) {
  return {c, head_size,
          RotaryFields{.theta = c.real("rope_theta", theta), .partial = c.real("partial_rotary_factor", 1)}};
}

/// Positions of three axes, by which frequencies turn by turns. Source: Qwen3VLMoeTextRotaryEmbedding,
/// transformers 5.24; without a base version 4 has another one than version 5.
inline Rotary qwen3_vl_rotary(const Config& c, int64_t head_size) {
  return {c, head_size,
          RotaryFields{.theta = c.real("rope_theta", c.written_since(5, 0) ? 500'000 : 5'000'000),
                       .axes = RotaryFields::Axes::by_turns}};
}

/// A half of every head unless the config says otherwise. Source: Glm4MoeConfig, transformers 4.57.
inline Rotary half_rotary(const Config& c, int64_t head_size) {
  return {c, head_size,
          RotaryFields{.theta = c.real("rope_theta", 10000), .partial = c.real("partial_rotary_factor", 0.5)}};
}

/// With magnitudes that the config states; and since version 5 with the frequencies of short texts for all.
/// Source: PhimoeRotaryEmbedding, transformers 4.57 and 5.24.
inline Rotary phi_rotary(const Config& c, int64_t head_size) {
  const bool newer = c.has("rope_parameters");
  const Config scaling = c.section(newer ? "rope_parameters" : "rope_scaling");
  for (const char* field : {"type", "rope_type"}) scaling.choice(field, "default", {"default", "longrope", "su"});
  c.no_effect({"original_max_position_embeddings"});  // the map's own counts
  return {c, head_size, RotaryFields{.theta = c.real("rope_theta", 1e6), .by_mscale = true, .always_short = newer}};
}

/// The config has to state the scaling: where it has none at all, versions mean other things by that.
/// Source: GptOssConfig, transformers 4.57 and 5.24.
inline Rotary gpt_oss_rotary(const Config& c, int64_t head_size) {
  const bool plain = c.is_null("rope_scaling") && !c.written_since(5, 0);
  if (!plain && !c.has("rope_scaling") && !c.has("rope_parameters")) {
    throw Error(ONNXPORT_CONFIG,
                "config fields 'rope_scaling' and 'rope_parameters' are missing: expected one of them, since versions "
                "of transformers scale otherwise without; state the map that the model was trained with");
  }
  c.no_effect({"initial_context_length"});
  return plain_rotary<150000>(c, head_size);
}

/// rotary_dim of every head, which released configs have in place of a part. Source: MiniMaxM2Config,
/// transformers 5.24.
inline Rotary minimax_m2_rotary(const Config& c, int64_t head_size) {
  const double turned = static_cast<double>(c.size("rotary_dim", head_size)) / static_cast<double>(head_size);
  return {c, head_size,
          RotaryFields{.theta = c.real("rope_theta", 5e6), .partial = c.real("partial_rotary_factor", turned)}};
}

}  // namespace mixtral
