// SPDX-License-Identifier: Apache-2.0
// What tells Mixtral's relatives apart.
#pragma once

#include <optional>

#include "feed_forwards.hpp"
#include "rotaries.hpp"
#include "windows.hpp"

namespace mixtral {

/// A field of config.json that says whether layers have a bias; without a name they have none.
struct BiasField {
  const char* name = "";
  bool otherwise = false;
};

enum class QueryKey { as_they_are, normed_by_head, normed_by_head_if_asked, normed_as_a_whole };

/// The heads that the reference has; "" for none.
struct HeadNames {
  const char *text = "", *tokens = "", *span = "";
  const char* span_base = "model";  // the base model's name under that head
};

/// What the config class of a type says where a config does not.
struct Defaults {
  int64_t vocab, hidden, layers, heads;
  int64_t kv_heads = 0;   // 0: as many as heads
  int64_t head_size = 0;  // 0: hidden size / heads
  int64_t positions;
  double epsilon;
  bool tied = false;
  std::optional<int64_t> pad{};
  int64_t labels = 2;
};

/// Where the norms of a layer's branches stand.
struct Norms {
  Norm::Kind kind = Norm::Kind::rms;
  Placement placement = Placement::before;
  const char *attention = "input_layernorm", *feed_forward = "post_attention_layernorm";
};

/// What a relative is.
struct Family {
  const char* type;
  Defaults otherwise;
  FeedForwards (*feed_forwards)(const Config&, int64_t hidden);
  Windows (*windows)(const Config&, int64_t layers) = no_windows;
  Rotary (*rotary)(const Config&, int64_t head_size) = plain_rotary<10000>;
  BiasField qkv_bias{}, output_bias{}, words_bias{};
  Norms norms{};
  QueryKey query_key = QueryKey::as_they_are;
  bool interleaved = false;  // rotary pairs are neighbours, not halves
  bool causal = true;
  bool sinks = false;
  bool clips = false;        // queries, keys and values, by clip_qkv
  bool deep_images = false;  // positions have three axes, and layers may be given vectors of images
  bool multiplies = false;   // embeddings, scores, branches and logits, each by a field
  HeadNames heads{};
};

inline constexpr HeadNames all_heads{"score", "score", "qa_outputs", "model"};

inline const Family families[] = {
    {.type = "mixtral",
     .otherwise = {.vocab = 32000,
                   .hidden = 4096,
                   .layers = 32,
                   .heads = 32,
                   .kv_heads = 8,
                   .positions = 131072,
                   .epsilon = 1e-5},
     .feed_forwards = mixtral_experts,
     .windows = one_window,
     .rotary = plain_rotary<1000000>,
     .heads = all_heads},
    {.type = "qwen2_moe",
     .otherwise = {.vocab = 151936,
                   .hidden = 2048,
                   .layers = 24,
                   .heads = 16,
                   .kv_heads = 16,
                   .positions = 32768,
                   .epsilon = 1e-6},
     .feed_forwards = qwen2_experts,
     .windows = qwen2_windows,
     .qkv_bias = {"qkv_bias", true},
     .heads = all_heads},
    {.type = "qwen3_moe",
     .otherwise = {.vocab = 151936,
                   .hidden = 2048,
                   .layers = 24,
                   .heads = 32,
                   .kv_heads = 4,
                   .positions = 32768,
                   .epsilon = 1e-6},
     .feed_forwards = qwen3_experts,
     .windows = one_window_if_used,
     .qkv_bias = {"attention_bias"},
     .output_bias = {"attention_bias"},
     .query_key = QueryKey::normed_by_head,
     .heads = {"score", "score", "qa_outputs", "transformer"}},
    {.type = "qwen3_vl_moe_text",
     .otherwise = {.vocab = 151936,
                   .hidden = 2048,
                   .layers = 24,
                   .heads = 16,
                   .kv_heads = 16,
                   .positions = 128000,
                   .epsilon = 1e-6},
     .feed_forwards = qwen3_vl_experts,
     .rotary = qwen3_vl_rotary,
     .qkv_bias = {"attention_bias"},
     .output_bias = {"attention_bias"},
     .query_key = QueryKey::normed_by_head,
     .deep_images = true},
    {.type = "olmoe",
     .otherwise =
         {.vocab = 50304, .hidden = 2048, .layers = 16, .heads = 16, .positions = 4096, .epsilon = 1e-5, .pad = 1},
     .feed_forwards = olmoe_experts,
     .qkv_bias = {"attention_bias"},
     .output_bias = {"attention_bias"},
     .query_key = QueryKey::normed_as_a_whole,
     .clips = true},
    {.type = "granitemoe",
     .otherwise = {.vocab = 32000, .hidden = 4096, .layers = 32, .heads = 32, .positions = 2048, .epsilon = 1e-6},
     .feed_forwards = granite_experts,
     .qkv_bias = {"attention_bias"},
     .output_bias = {"attention_bias"},
     .multiplies = true},
    {.type = "phimoe",
     .otherwise = {.vocab = 32064,
                   .hidden = 4096,
                   .layers = 32,
                   .heads = 32,
                   .kv_heads = 8,
                   .positions = 131072,
                   .epsilon = 1e-5},
     .feed_forwards = phi_experts,
     .windows = one_window,
     .rotary = phi_rotary,
     .qkv_bias = {"attention_bias"},
     .output_bias = {"attention_bias"},
     .words_bias = {"lm_head_bias"},
     .norms = {.kind = Norm::Kind::layer},
     .heads = {.text = "score"}},
    {.type = "gpt_oss",
     .otherwise = {.vocab = 201088,
                   .hidden = 2880,
                   .layers = 36,
                   .heads = 64,
                   .kv_heads = 8,
                   .head_size = 64,
                   .positions = 131072,
                   .epsilon = 1e-5},
     .feed_forwards = gpt_oss_experts,
     .windows = alternating_windows,
     .rotary = gpt_oss_rotary,
     .qkv_bias = {"attention_bias", true},
     .output_bias = {"attention_bias", true},
     .sinks = true,
     .heads = {.text = "score", .tokens = "score"}},
    {.type = "glm4_moe",
     .otherwise = {.vocab = 151552,
                   .hidden = 4096,
                   .layers = 46,
                   .heads = 96,
                   .kv_heads = 8,
                   .positions = 131072,
                   .epsilon = 1e-5},
     .feed_forwards = glm4_experts,
     .rotary = half_rotary,
     .qkv_bias = {"attention_bias"},
     .query_key = QueryKey::normed_by_head_if_asked},
    {.type = "dots1",
     .otherwise = {.vocab = 152064,
                   .hidden = 4608,
                   .layers = 62,
                   .heads = 32,
                   .kv_heads = 32,
                   .positions = 2048,
                   .epsilon = 1e-6},
     .feed_forwards = dots_experts,
     .windows = later_windows,
     .qkv_bias = {"attention_bias"},
     .output_bias = {"attention_bias"},
     .query_key = QueryKey::normed_by_head},
    {.type = "ernie4_5_moe",
     .otherwise = {.vocab = 103424,
                   .hidden = 2560,
                   .layers = 28,
                   .heads = 20,
                   .kv_heads = 4,
                   .positions = 131072,
                   .epsilon = 1e-5,
                   .tied = true,
                   .pad = 0},
     .feed_forwards = ernie_experts,
     .rotary = plain_rotary<500000>,
     .qkv_bias = {"use_bias"},
     .output_bias = {"use_bias"},
     .words_bias = {"use_bias"},
     .interleaved = true},
    {.type = "flex_olmo",
     .otherwise = {.vocab = 100352,
                   .hidden = 4096,
                   .layers = 32,
                   .heads = 32,
                   .positions = 4096,
                   .epsilon = 1e-6,
                   .pad = 100277},
     .feed_forwards = flex_olmo_experts,
     .rotary = plain_rotary<500000>,
     .qkv_bias = {"attention_bias"},
     .output_bias = {"attention_bias"},
     .norms = {.placement = Placement::inside,
               .attention = "post_attention_layernorm",
               .feed_forward = "post_feedforward_layernorm"},
     .query_key = QueryKey::normed_as_a_whole},
    {.type = "granitemoeshared",
     .otherwise = {.vocab = 32000, .hidden = 4096, .layers = 32, .heads = 32, .positions = 2048, .epsilon = 1e-6},
     .feed_forwards = shared_granite_experts,
     .qkv_bias = {"attention_bias"},
     .output_bias = {"attention_bias"},
     .multiplies = true},
    {.type = "openai_privacy_filter",
     .otherwise = {.vocab = 200064,
                   .hidden = 640,
                   .layers = 8,
                   .heads = 14,
                   .kv_heads = 2,
                   .head_size = 64,
                   .positions = 131072,
                   .epsilon = 1e-5,
                   .pad = 199999,
                   .labels = 33},
     .feed_forwards = privacy_filter_experts,
     .windows = window_to_both_sides,
     .rotary = gpt_oss_rotary,
     .qkv_bias = {"attention_bias", true},
     .output_bias = {"attention_bias", true},
     .interleaved = true,
     .causal = false,
     .sinks = true,
     .heads = {.tokens = "score"}},
    {.type = "solar_open",
     .otherwise = {.vocab = 196608,
                   .hidden = 4096,
                   .layers = 48,
                   .heads = 64,
                   .kv_heads = 8,
                   .head_size = 128,
                   .positions = 131072,
                   .epsilon = 1e-5},
     .feed_forwards = solar_experts,
     .rotary = plain_rotary<1000000>,
     .qkv_bias = {"attention_bias"}},
    {.type = "minimax_m2",
     .otherwise = {.vocab = 200064,
                   .hidden = 3072,
                   .layers = 62,
                   .heads = 48,
                   .kv_heads = 8,
                   .head_size = 128,
                   .positions = 196608,
                   .epsilon = 1e-6},
     .feed_forwards = minimax_m2_experts,
     .rotary = minimax_m2_rotary,
     .query_key = QueryKey::normed_as_a_whole},
    {.type = "aria_text",
     .otherwise =
         {.vocab = 32000, .hidden = 4096, .layers = 32, .heads = 32, .positions = 2048, .epsilon = 1e-6, .pad = 2},
     .feed_forwards = aria_experts,
     .qkv_bias = {"attention_bias"},
     .output_bias = {"attention_bias"}},
};

}  // namespace mixtral
