// SPDX-License-Identifier: Apache-2.0
// What tells Llama's relatives apart.
#pragma once

#include <optional>

#include <onnxport/blocks/layer.hpp>

namespace llama {

using namespace onnxport::sdk;

enum class Bias { never, always, by_config };
/// Which layers have one, where the config has no list of their kinds.
enum class Window { none, every_layer, later_layers, layers_that_do_not_turn };
enum class QueryKey { as_they_are, normed_by_head, normed_as_a_whole };

struct Biases {
  Bias qkv = Bias::by_config, output = Bias::by_config, mlp = Bias::by_config;
};

/// The norm of each branch of a layer.
struct Norms {
  Norm norm{.kind = Norm::Kind::rms, .epsilon = 1e-6};  // the epsilon where the config has none
  Placement placement = Placement::before;
  const char *attention = "input_layernorm", *feed_forward = "post_attention_layernorm";
};

/// The heads that the reference has; "" for none.
struct HeadNames {
  const char *text = "score", *tokens = "score", *span = "qa_outputs";
  const char* span_base = "transformer";  // the base model's name under that head
};

/// What the config class of a type says where a config does not.
struct Defaults {
  int64_t kv_heads = 0;   // 0: as many as heads
  int64_t head_size = 0;  // 0: hidden size / heads
  int64_t window = 4096;  // 0: none
  bool tied = false;
  std::optional<int64_t> pad{};
};

/// What a relative does otherwise than Llama.
struct Family {
  const char* type;
  Biases bias{};
  Norms norms{};
  QueryKey query_key = QueryKey::as_they_are;
  Window window = Window::none;
  bool fused = false;           // queries, keys and values by one layer, the feed-forward's gate and values by another
  bool clips = false;           // queries, keys and values, by clip_qkv
  bool multiplies = false;      // embeddings, scores, branches and logits, each by a field
  bool turns_by_layer = false;  // by no_rope_layers
  HeadNames heads{};
  Defaults otherwise{};
};
inline const Family families[] = {
    {.type = "llama"},
    {.type = "mistral",
     .bias = {Bias::never, Bias::never, Bias::never},
     .window = Window::every_layer,
     .heads = {.span_base = "model"},
     .otherwise = {.kv_heads = 8}},
    {.type = "qwen2",
     .bias = {Bias::always, Bias::never, Bias::never},
     .window = Window::later_layers,
     .otherwise = {.kv_heads = 32}},
    {.type = "qwen3",
     .bias = {.mlp = Bias::never},
     .query_key = QueryKey::normed_by_head,
     .window = Window::later_layers,
     .otherwise = {.kv_heads = 32, .head_size = 128}},
    {.type = "smollm3",
     .window = Window::layers_that_do_not_turn,
     .turns_by_layer = true,
     .otherwise = {.kv_heads = 4, .window = 0, .tied = true, .pad = 128004}},
    {.type = "granite", .multiplies = true, .heads = {"", "", ""}},
    {.type = "olmo",
     .bias = {.mlp = Bias::never},
     .norms = {.norm = {.kind = Norm::Kind::layer, .weight = false, .bias = false}},
     .clips = true,
     .heads = {"score", "", ""},
     .otherwise = {.pad = 1}},
    {.type = "olmo2",
     .bias = {.mlp = Bias::never},
     .norms = {{.kind = Norm::Kind::rms, .epsilon = 1e-5},
               Placement::inside,
               "post_attention_layernorm",
               "post_feedforward_layernorm"},
     .query_key = QueryKey::normed_as_a_whole,
     .heads = {"score", "", ""},
     .otherwise = {.pad = 1}},
    {.type = "phi3",
     .bias = {Bias::never, Bias::never, Bias::never},
     .norms = {.norm = {.kind = Norm::Kind::rms, .epsilon = 1e-5}},
     .window = Window::every_layer,
     .fused = true,
     .heads = {.span = ""},
     .otherwise = {.window = 0, .pad = 32000}},
};

}  // namespace llama
