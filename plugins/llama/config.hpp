// SPDX-License-Identifier: Apache-2.0
// What config.json says of Llama and its relatives.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include <onnxport/layer_types.hpp>
#include <onnxport/rotary.hpp>

#include "families.hpp"

namespace llama {

inline const std::string full = "full_attention", sliding = "sliding_attention";

/// Granite's factors.
struct Multipliers {
  double embedding = 1, residual = 1, logits = 1;
  double scores = 0;  // 0: 1/√head size
};

/// Which layers turn queries and keys by their positions.
struct Turning {
  int64_t spared = 0;               // every so-manyth layer does not; 0: all do
  std::vector<int64_t> of_layer{};  // 0 for those that do not; where config.json lists them

  bool operator()(int64_t layer) const {
    if (!of_layer.empty()) return of_layer[static_cast<size_t>(layer)] != 0;
    return spared == 0 || (layer + 1) % spared != 0;
  }
};

struct LlamaConfig {
  LlamaConfig(const Config& c, const Family& family)
      : vocab(c.size("vocab_size", 32000)),
        hidden(c.size("hidden_size", 4096)),
        inner(c.size("intermediate_size", 11008)),
        layers(c.count("num_hidden_layers", 32)),
        heads(c.size("num_attention_heads", 32)),
        kv_heads(kv_heads_of(c, family, heads)),
        head_size(c.size("head_dim", family.otherwise.head_size == 0 ? std::max<int64_t>(1, hidden / heads)
                                                                     : family.otherwise.head_size)),
        positions(c.size("max_position_embeddings", 2048)),
        activation(c.text("hidden_act", "silu")),
        norm(norm_of(c, family)),
        clip(family.clips ? c.real("clip_qkv", 0) : 0),
        tied(c.tie(family.otherwise.tied)),
        qkv_bias(has(family.bias.qkv, c, "attention_bias")),
        output_bias(has(family.bias.output, c, "attention_bias")),
        mlp_bias(has(family.bias.mlp, c, "mlp_bias")),
        causal(c.boolean("is_causal", true)),
        multipliers(multipliers_of(c, family)),
        window(window_of(c, family)),
        turns(turning_of(c, family, layers)),
        types(types_of(c, family, *this)),
        rotary(c, head_size),
        labels(c.num_labels()),
        pad(c.is_null("pad_token_id") || c.has("pad_token_id") ? c.maybe_integer("pad_token_id")
                                                               : family.otherwise.pad) {
    require_multiple({"num_attention_heads", heads}, {"num_key_value_heads", kv_heads});
    c.no_effect({"pretraining_tp"});  // splits products for training; the result is the same
    c.no_effect({"embd_pdrop", "resid_pdrop"});
    c.no_effect({"max_window_layers", "original_max_position_embeddings"});  // without the options that they are of
  }
  int64_t vocab, hidden, inner, layers, heads, kv_heads, head_size, positions;
  std::string activation;
  Norm norm;
  double clip;
  Tie tied;
  bool qkv_bias, output_bias, mlp_bias;
  bool causal;  // false: an encoder that was made of the decoder
  Multipliers multipliers;
  int64_t window;  // in keys; 0: none
  Turning turns;
  std::vector<std::string> types;  // of each layer; empty: all have the window
  Rotary rotary;
  int64_t labels;
  std::optional<int64_t> pad;

  bool slides(int64_t layer) const { return types.empty() || types[static_cast<size_t>(layer)] == sliding; }

 private:
  static bool has(Bias bias, const Config& c, const char* field) {
    return bias == Bias::by_config ? c.boolean(field, false) : bias == Bias::always;
  }

  static int64_t kv_heads_of(const Config& c, const Family& family, int64_t heads) {
    const int64_t stated = family.otherwise.kv_heads;
    return c.size("num_key_value_heads", stated == 0 || c.is_null("num_key_value_heads") ? heads : stated);
  }

  // OLMo's has nothing to state.
  static Norm norm_of(const Config& c, const Family& family) {
    Norm norm = family.norms.norm;
    if (norm.weight) norm.epsilon = c.real("rms_norm_eps", norm.epsilon);
    return norm;
  }

  static Multipliers multipliers_of(const Config& c, const Family& family) {
    if (!family.multiplies) return {};
    return {.embedding = c.real("embedding_multiplier", 1),
            .residual = c.real("residual_multiplier", 1),
            .logits = 1 / c.real("logits_scaling", 1),
            .scores = c.real("attention_multiplier", 1)};
  }

  static int64_t window_of(const Config& c, const Family& family) {
    if (family.window == Window::none) return 0;
    const int64_t window = c.count("sliding_window", c.is_null("sliding_window") ? 0 : family.otherwise.window);
    return family.window == Window::every_layer || c.boolean("use_sliding_window", false) ? window : 0;
  }

  static Turning turning_of(const Config& c, const Family& family, int64_t layers) {
    if (!family.turns_by_layer) return {};
    const int64_t interval = c.size("no_rope_layer_interval", 4);
    if (!c.has("no_rope_layers")) return {.spared = interval};
    Turning stated{.of_layer = c.integers("no_rope_layers")};
    if (const auto entries = static_cast<int64_t>(stated.of_layer.size()); entries != layers) {
      throw Error(ONNXPORT_CONFIG, "config field 'no_rope_layers' has " + std::to_string(entries) +
                                       " entries; expected num_hidden_layers (" + std::to_string(layers) + ")");
    }
    return stated;
  }

  static std::vector<std::string> types_of(const Config& c, const Family& family, const LlamaConfig& self) {
    if (family.window != Window::later_layers && family.window != Window::layers_that_do_not_turn) return {};
    LayerTypes kinds{self.layers, {full}};
    if (self.window > 0) kinds.known.push_back(sliding);
    const bool later = family.window == Window::later_layers;
    kinds.otherwise = [&self, later, first = later ? c.count("max_window_layers", 28) : 0](int64_t i) {
      const bool slides = later ? i >= first : !self.turns(i);
      return self.window > 0 && slides ? sliding : full;
    };
    return layer_types(c, kinds);
  }
};

}  // namespace llama
