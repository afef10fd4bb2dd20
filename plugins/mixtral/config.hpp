// SPDX-License-Identifier: Apache-2.0
// What config.json says of Mixtral and its relatives.
#pragma once

#include <algorithm>
#include <optional>

#include "families.hpp"

namespace mixtral {

/// Granite's factors.
struct Multipliers {
  double embedding = 1, residual = 1, logits = 1;
  double scores = 0;  // 0: 1/√head size
};

struct MixtralConfig {
  MixtralConfig(const Config& c, const Family& family)
      : vocab(c.size("vocab_size", family.otherwise.vocab)),
        hidden(c.size("hidden_size", family.otherwise.hidden)),
        layers(c.count("num_hidden_layers", family.otherwise.layers)),
        heads(c.size("num_attention_heads", family.otherwise.heads)),
        kv_heads(kv_heads_of(c, family.otherwise, heads)),
        head_size(c.size("head_dim", family.otherwise.head_size == 0 ? std::max<int64_t>(1, hidden / heads)
                                                                     : family.otherwise.head_size)),
        positions(c.size("max_position_embeddings", family.otherwise.positions)),
        norm{.kind = family.norms.kind, .epsilon = c.real("rms_norm_eps", family.otherwise.epsilon)},
        qkv_bias(has(family.qkv_bias, c)),
        output_bias(has(family.output_bias, c)),
        words_bias(has(family.words_bias, c)),
        query_key(query_key_of(c, family)),
        clip(family.clips ? c.real("clip_qkv", 0) : 0),
        multipliers(multipliers_of(c, family)),
        windows(family.windows(c, layers)),
        rotary(family.rotary(c, head_size)),
        feed_forwards(family.feed_forwards(c, hidden)),
        tied(c.tie(family.otherwise.tied)),
        labels(c.num_labels(family.otherwise.labels)),
        pad(c.is_null("pad_token_id") || c.has("pad_token_id") ? c.maybe_integer("pad_token_id")
                                                               : family.otherwise.pad) {
    require_multiple({"num_attention_heads", heads}, {"num_key_value_heads", kv_heads});
    no_effect_of_router_training(c);
    c.no_effect({"pretraining_tp"});  // splits products for training; the result is the same
    if (family.deep_images) c.no_effect({"sliding_window"});
    c.no_effect({"position_embedding_type"});  // always rotary
  }
  int64_t vocab, hidden, layers, heads, kv_heads, head_size, positions;
  Norm norm;
  bool qkv_bias, output_bias, words_bias;
  QueryKey query_key;
  double clip;
  Multipliers multipliers;
  Windows windows;
  Rotary rotary;
  FeedForwards feed_forwards;
  Tie tied;
  int64_t labels;
  std::optional<int64_t> pad;

  int64_t window(int64_t layer) const { return windows[std::min(static_cast<size_t>(layer), windows.size() - 1)]; }

 private:
  static bool has(const BiasField& field, const Config& c) {
    return *field.name != '\0' && c.boolean(field.name, field.otherwise);
  }

  static int64_t kv_heads_of(const Config& c, const Defaults& otherwise, int64_t heads) {
    const bool as_heads = otherwise.kv_heads == 0 || c.is_null("num_key_value_heads");
    return c.size("num_key_value_heads", as_heads ? heads : otherwise.kv_heads);
  }

  static QueryKey query_key_of(const Config& c, const Family& family) {
    if (family.query_key != QueryKey::normed_by_head_if_asked) return family.query_key;
    return c.boolean("use_qk_norm", false) ? QueryKey::normed_by_head : QueryKey::as_they_are;
  }

  static Multipliers multipliers_of(const Config& c, const Family& family) {
    if (!family.multiplies) return {};
    return {.embedding = c.real("embedding_multiplier", 1),
            .residual = c.real("residual_multiplier", 1),
            .logits = 1 / c.real("logits_scaling", 1),
            .scores = c.real("attention_multiplier", 1)};
  }
};

}  // namespace mixtral
