// SPDX-License-Identifier: Apache-2.0
// What Llama's relatives can do otherwise than Llama.
#pragma once

#include <optional>
#include <vector>

#include <onnxport/families/mixtures.hpp>

namespace llama {

using namespace onnxport::sdk;

/// Whether layers have a bias: the field that says so, and what holds where config.json has none.
struct Bias {
  const char* field = "";
  bool otherwise = false;
};
inline constexpr Bias never{}, always{.otherwise = true}, by_attention_bias{"attention_bias"}, by_mlp_bias{"mlp_bias"};

struct Biases {
  Bias qkv = by_attention_bias, output = by_attention_bias, mlp = by_mlp_bias;
};

/// The norms of a layer's branches.
struct Norms {
  Norm norm{.kind = Norm::Kind::rms, .epsilon = 1e-6};  // the epsilon where the config has none
  const char* epsilon = "rms_norm_eps";
  Placement placement = Placement::before;
  const char *attention = "input_layernorm", *feed_forward = "post_attention_layernorm";
  const char *behind_attention = "", *behind_feed_forward = "";  // where norms stand around the branches
  const char* around = "";  // the field by which they do, where one says so; else they stand before
};

/// How the feed-forward's gate is made.
enum class Gate {
  apart,
  with_values,  // both by one layer
  none,
};

/// Which layers have a window, where the config has no list of their kinds.
enum class Window {
  none,
  every_layer,  // even where there is a list
  later_layers,
  layers_that_do_not_turn,
  all_but_some,
  all_but_ends,  // all but the first two, every fourth from the second on, and the last
};
/// One of so many layers sees all, 0: none does; the field that may say so; and whether it is the first of them, not
/// the last.
struct SeesAll {
  int64_t one_of = 0;
  const char* field = "";
  bool first = false;
};

/// Which layers turn queries and keys by their positions.
enum class Turns { every_layer, by_no_rope_layers, layers_with_a_window };

/// How positions become angles.
struct Turning {
  double theta = 10000, partial = 1;                  // where the config has none
  bool interleaved = false;                           // pairs that turn are neighbours
  bool by_alpha = false;                              // as of RotaryFields
  bool by_kind = false;                               // layers with a window and those without have angles of their own
  bool by_layer_theta = false;                        // by layer_rope_theta, where 0 is a layer that does not turn
  RotaryFields::Axes axes = RotaryFields::Axes::one;  // of the positions
  bool needs_scaling = false;  // config classes whose default is a scaling; files that are saved state it
};

/// Fields by which embeddings, scores, branches and logits are multiplied; the logits' may be what divides them.
enum class Multipliers { none, dividing_logits, multiplying_logits };

/// Where weights lie.
struct Names {
  const char *base = "model", *embedding = "embed_tokens", *layers = "layers", *norm = "norm";
  const char *attention = "self_attn", *output = "o_proj";
  const char *gate = "gate_proj", *up = "up_proj", *down = "down_proj";
  const char* fused = "qkv_proj";
};
/// Another name that the config class gives to a field (its attribute_map).
struct OtherName {
  const char *field, *other;
};

/// The heads that the reference has; "" for none.
struct HeadNames {
  const char *text = "score", *tokens = "score", *span = "qa_outputs";
  const char* span_base = "transformer";  // the base model's name under that head; "" where it is the others'
};

/// What the config class of a type says where a config does not.
struct Defaults {
  int64_t kv_heads = 0;   // 0: as many as heads
  int64_t head_size = 0;  // 0: hidden size / heads
  int64_t window = 4096;  // 0: none
  bool tied = false;
  std::optional<int64_t> pad{};
  const char* activation = "silu";
};

struct Family {
  const char* type;
  Biases bias{};
  Norms norms{};
  std::optional<QueryKeyNorm> query_key{};
  /// Every head's queries may attend to nothing, by a learnt score; its name in each release that saves it otherwise.
  std::vector<const char*> sinks{};
  bool fused = false;  // queries, keys and values by one layer
  Gate gate = Gate::apart;
  Window window = Window::none;
  SeesAll sees_all{};
  Turns turns = Turns::every_layer;
  Turning turning{};
  bool clips = false;  // queries, keys and values, by clip_qkv
  Multipliers multipliers = Multipliers::none;
  /// As part of a model with images, further vectors of these are added behind the first layers.
  bool deep_images = false;
  bool queries_grow = false;                                          // with their positions, by llama_4_scaling_beta
  FeedForwards (*mixtures)(const Config&, int64_t hidden) = nullptr;  // absent: no layer has experts
  Names names{};
  std::vector<OtherName> other_names{};
  HeadNames heads{};
  Defaults otherwise{};
};

}  // namespace llama
