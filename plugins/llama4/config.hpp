// SPDX-License-Identifier: Apache-2.0
// What config.json says of Llama 4's text model.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include <onnxport/blocks/layer.hpp>
#include <onnxport/families/mixtures.hpp>
#include <onnxport/layer_types.hpp>

namespace llama4 {

using namespace onnxport::sdk;

inline const std::string full = "full_attention", chunked = "chunked_attention";

struct Llama4Config {
  explicit Llama4Config(const Config& c)
      : vocab(c.size("vocab_size", 202048)),
        hidden(c.size("hidden_size", 5120)),
        layers(c.count("num_hidden_layers", 48)),
        heads(c.size("num_attention_heads", 40)),
        kv_heads(c.size("num_key_value_heads", c.is_null("num_key_value_heads") ? heads : 8)),
        head_size(c.size("head_dim", c.is_null("head_dim") ? std::max<int64_t>(1, hidden / heads) : 128)),
        positions(c.size("max_position_embeddings", 131072)),
        norm{.kind = Norm::Kind::rms, .epsilon = c.real("rms_norm_eps", 1e-5)},
        bias(c.boolean("attention_bias", false)),
        query_key_norm(c.boolean("use_qk_norm", true)),
        chunk(c.count("attention_chunk_size", c.is_null("attention_chunk_size") ? 0 : 8192)),
        turned(turned_layers(c, layers)),
        types(types_of(c, *this)),
        tuned(c.boolean("attn_temperature_tuning", true)),
        floor_scale(c.size("floor_scale", 8192)),
        growth(c.real("attn_scale", 0.1)),
        is_mixture(mixture_layers(c, layers)),
        dense(gated_feed_forward(c.size("intermediate_size_mlp", 16384), c.text("hidden_act", "silu"))),
        shared(gated_feed_forward(c.size("intermediate_size", 8192), dense.activation)),
        experts{.count = c.size("num_local_experts", 16),
                .hidden = hidden,
                .inner = shared.inner,
                .up = "",
                .turned = true},
        top_k(c.size("num_experts_per_tok", 1)),
        tied(c.tie(false)),
        rotary(c, head_size, RotaryFields{.theta = c.real("rope_theta", 500'000)}) {
    require_multiple({"num_attention_heads", heads}, {"num_key_value_heads", kv_heads});
    require_at_most({"num_experts_per_tok", top_k}, {"num_local_experts", experts.count});
    no_effect_of_router_training(c);
    c.no_effect({"cache_implementation", "for_llm_compressor"});
  }
  int64_t vocab, hidden, layers, heads, kv_heads, head_size, positions;
  Norm norm;
  bool bias, query_key_norm;
  int64_t chunk;                   // a text is cut into; 0: it is not
  std::vector<bool> turned;        // by its positions, a layer
  std::vector<std::string> types;  // of each layer
  bool tuned;                      // queries of layers that do not turn grow with their places
  int64_t floor_scale;
  double growth;
  std::vector<bool> is_mixture;  // a layer
  FeedForward dense, shared;
  ExpertsLayout experts;
  int64_t top_k;
  Tie tied;
  Rotary rotary;

  bool turns(int64_t layer) const { return turned[static_cast<size_t>(layer)]; }
  bool is_chunked(int64_t layer) const { return types[static_cast<size_t>(layer)] == chunked; }

 private:
  // An empty list is as none.
  static std::vector<bool> turned_layers(const Config& c, int64_t layers) {
    require_at_most({"num_hidden_layers", layers}, {"as many as any model has", 100'000});
    std::vector<int64_t> listed = c.integers("no_rope_layers");
    const int64_t every = c.size("no_rope_layer_interval", 4);
    if (listed.empty()) {
      for (int64_t i = 0; i < layers; ++i) listed.push_back((i + 1) % every != 0);
    }
    if (static_cast<int64_t>(listed.size()) < layers) {
      throw Error(ONNXPORT_CONFIG, "config field 'no_rope_layers' has " + std::to_string(listed.size()) +
                                       " entries; expected num_hidden_layers (" + std::to_string(layers) + ")");
    }
    std::vector<bool> turned;
    for (int64_t i = 0; i < layers; ++i) turned.push_back(listed[static_cast<size_t>(i)] != 0);
    return turned;
  }

  static std::vector<std::string> types_of(const Config& c, const Llama4Config& self) {
    LayerTypes of{.layers = self.layers, .known = {full}, .otherwise = [&self](int64_t i) {
                    return self.chunk > 0 && self.turns(i) ? chunked : full;
                  }};
    if (self.chunk > 0) of.known.push_back(chunked);
    return layer_types(c, of);
  }

  static std::vector<bool> mixture_layers(const Config& c, int64_t layers) {
    const int64_t step = c.size("interleave_moe_layer_step", 1);
    const std::vector<int64_t> listed = c.integers("moe_layers");
    std::vector<bool> mixtures;
    for (int64_t i = 0; i < layers; ++i) {
      mixtures.push_back(c.has("moe_layers") ? std::find(listed.begin(), listed.end(), i) != listed.end()
                                             : (i + 1) % step == 0);
    }
    return mixtures;
  }
};

}  // namespace llama4
