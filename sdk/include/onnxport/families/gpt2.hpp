// SPDX-License-Identifier: Apache-2.0
// What GPT-2 shares with the models that kept its modules: how its config is written, its layers, and what runs them.
// Source: GPT2Model, transformers 4.30 and 4.57 (modeling_gpt2.py).
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <cmath>
#include <string>
#include <utility>

#include <onnxport/blocks/layer.hpp>
#include <onnxport/plugin.hpp>

namespace onnxport::family {

using namespace onnxport::sdk;

/// The fields' other names: GPT2Config.attribute_map.
inline constexpr std::initializer_list<std::pair<const char*, const char*>> gpt2_names{
    {"n_embd", "hidden_size"},
    {"n_positions", "max_position_embeddings"},
    {"n_head", "num_attention_heads"},
    {"n_layer", "num_hidden_layers"}};

/// What scores are multiplied by.
struct Gpt2Scale {
  explicit Gpt2Scale(const Config& c)
      : by_width(c.boolean("scale_attn_weights", true)), by_layer(c.boolean("scale_attn_by_inverse_layer_idx", false)) {
    // Scores in 32 bits, keys scaled before the product: in a graph of 32 bits both are the same.
    c.no_effect({"reorder_and_upcast_attn"});
  }
  double of(int64_t layer, int64_t head_size) const {
    const double scale = by_width ? 1 / std::sqrt(static_cast<double>(head_size)) : 1.0;
    return by_layer ? scale / static_cast<double>(layer + 1) : scale;
  }
  bool by_width, by_layer;
};

/// A layer of GPT-2, whose matrices stand transposed (Conv1D).
struct Gpt2Layer {
  int64_t heads, hidden, inner;
  std::string activation;
  Norm norm{};
  Placement placement = Placement::before;
  double scale = 0;  ///< of the scores; 0: 1/√head size
  bool over_encoder = false;

  TransformerLayer form() const {
    TransformerLayer layer = alone();
    if (!over_encoder) return layer;
    CrossAttention& cross =
        layer.cross.emplace(CrossAttention{"crossattention", layer.attention, {placement, norm, "ln_cross_attn"}});
    cross.attention.projections.query = "q_attn";
    return layer;
  }

 private:
  TransformerLayer alone() const {
    return {.attention_at = "attn",
            .attention = {.heads = heads,
                          .head_size = hidden / heads,
                          .projections = {.packing = Projections::Packing::blocks,
                                          .fused = "c_attn",
                                          .output = "c_proj",
                                          .bias = all_biased,
                                          .matrix = Matrix::in_out},
                          .scale = scale,
                          .causal = true},
            .feed_forward = {.inner = inner,
                             .activation = activation,
                             .up = "c_fc",
                             .down = "c_proj",
                             .bias = true,
                             .matrix = Matrix::in_out},
            .attention_branch = {placement, norm, "ln_1"},
            .feed_forward_branch = {placement, norm, "ln_2"}};
  }
};

/// The layers and the norm behind them: x: f[batch, n, hidden] -> the same. Marks hidden_states.{i}.
inline Value gpt2_layers(const Scope& s, const Operand& x, const LayerStack& layers, const Attended& given,
                         const Norm& last) {
  Graph& g = s.graph();
  g.unused("*.attn.bias");  // the causal mask, which older releases saved
  g.unused("*.attn.masked_bias");
  if (!given.encoder.attends()) {  // without an encoder they have nothing to attend to
    g.unused("*.crossattention.*");
    g.unused("*.ln_cross_attn.*");
  }
  const Value y = transformer_layers(s / "h", x, layers, given);
  return g.mark("hidden_states." + std::to_string(layers.count), norm(s / "ln_f", y, last));
}

}  // namespace onnxport::family
