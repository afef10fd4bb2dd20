// SPDX-License-Identifier: Apache-2.0
// BERT whose positions are angles of queries and keys: embeddings without places, and layers that norm behind each sum.
// Source: JinaEmbeddingsV3Model, NomicBertModel and GteModel, transformers 5.24, which share their modules.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <functional>
#include <string>
#include <utility>

#include <onnxport/blocks/layer.hpp>
#include <onnxport/plugin.hpp>
#include <onnxport/rotary.hpp>

namespace onnxport::family {

using namespace onnxport::sdk;

/// Where a checkpoint has the modules: by the class's own names, or by those that were published before it.
struct RotaryBertNames {
  std::string embedding_norm = "embeddings.LayerNorm", layers = "layers";
  std::string attention = "self_attn";     ///< below a layer
  std::string fused{}, output = "o_proj";  ///< below the attention; `fused` empty: q_proj, k_proj and v_proj
  std::string attention_norm = "post_attention_layernorm", feed_forward_norm = "post_mlp_layernorm";
};

/// Where a config class departs from the others' defaults.
struct RotaryBertDefaults {
  int64_t vocab, hidden = 768, layers = 12, heads = 12, inner = 3072, segments = 1;
  const char* activation = "gelu";
  double epsilon = 1e-12;
  bool head_dim = false;  ///< whether the class goes by the field of this name
};

/// The model between its inputs and its heads.
struct RotaryBert {
  RotaryBert(const Config& c, const RotaryBertDefaults& defaults, Rotary turns)
      : vocab(c.size("vocab_size", defaults.vocab)),
        hidden(c.size("hidden_size", defaults.hidden)),
        layers(c.count("num_hidden_layers", defaults.layers)),
        heads(c.size("num_attention_heads", defaults.heads)),
        head_size(head_size_of(c, defaults)),
        inner(c.size("intermediate_size", defaults.inner)),
        segments(c.count("type_vocab_size", defaults.segments)),
        epsilon(c.real("layer_norm_eps", defaults.epsilon)),
        activation(c.text("hidden_act", defaults.activation)),
        tied(c.tie(true)),
        rotary(std::move(turns)) {
    if (!states_heads(c, defaults)) require_multiple({"hidden_size", hidden}, {"num_attention_heads", heads});
  }

  /// The width of one head: the field head_dim, or an equal share of hidden_size.
  static int64_t head_size_of(const Config& c, const RotaryBertDefaults& defaults) {
    if (states_heads(c, defaults)) return c.size("head_dim");
    return c.size("hidden_size", defaults.hidden) / c.size("num_attention_heads", defaults.heads);
  }

  /// What a text's vectors are before the layers: f[batch, n, hidden].
  Value embed(const Scope& s, const Text& text, const RotaryBertNames& names) const {
    const Scope embeddings = s / "embeddings";
    Value x = embedding(embeddings / "word_embeddings", text.ids, {vocab, hidden}).in(embeddings);
    if (segments > 0) x = x + embedding(embeddings / "token_type_embeddings", text.segments, {segments, hidden});
    return norm(s / names.embedding_norm, x, {.epsilon = epsilon});
  }

  /// A layer's attention and norms; the feed-forward is the model's own.
  TransformerLayer layer(const RotaryBertNames& names, bool bias) const {
    return {.attention_at = names.attention,
            .attention = {.heads = heads,
                          .head_size = head_size,
                          .projections = {.packing = names.fused.empty() ? Projections::Packing::apart
                                                                         : Projections::Packing::blocks,
                                          .fused = names.fused,
                                          .output = names.output,
                                          .bias = {bias, bias, bias, bias}}},
            .feed_forward = {.inner = inner, .activation = activation},
            .attention_branch = {Placement::after, {.epsilon = epsilon}, names.attention_norm},
            .feed_forward_branch = {Placement::after, {.epsilon = epsilon}, names.feed_forward_norm}};
  }

  /// The layers: x: f[batch, n, hidden] -> the same.
  Value encode(const Scope& s, const Value& x, const Text& text, std::function<TransformerLayer(int64_t)> each) const {
    s.graph().unused("*rotary_emb.inv_freq");
    const Value positions = unsqueeze(range(size_of(text.ids, 1)), {0}).in(s / "rotary_emb");
    const Value y =
        transformer_layers(s, x, {layers, std::move(each)}, {.mask = text.mask, .angles = rotary.angles(positions)});
    return s.graph().mark("hidden_states." + std::to_string(layers), y);
  }

  /// The first token through a tanh layer: f[batch, hidden].
  Value pool(const Scope& s, const Value& x) const { return tanh(linear(s / "dense", pick(x, 1, 0), {.out = hidden})); }

  int64_t vocab, hidden, layers, heads, head_size, inner, segments;
  double epsilon;
  std::string activation;
  Tie tied;
  Rotary rotary;

 private:
  static bool states_heads(const Config& c, const RotaryBertDefaults& defaults) {
    return defaults.head_dim && c.has("head_dim");
  }
};

}  // namespace onnxport::family
