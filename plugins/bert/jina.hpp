// SPDX-License-Identifier: Apache-2.0
// Jina Embeddings v2, whose config says bert with position_embedding_type "alibi": BERT with gated feed-forwards, where
// a key counts the less the farther away it is. Source: JinaBertModel, the code that its checkpoints bring along, in
// two forms (jina-bert-implementation, and jina-bert-v2-qk-post-norm of the models of source code).
#pragma once

#include <onnxport/blocks/alibi.hpp>
#include <onnxport/families/bert.hpp>

namespace jina {

using namespace onnxport::family;

class JinaBertOnnxConfig final : public BertTextEncoder {
 public:
  explicit JinaBertOnnxConfig(const Request& request)
      : BertTextEncoder(request, "bert", {.relative = false}),
        feed_forward_type(request.config.choice("feed_forward_type", "original", {"original", "geglu", "reglu"})) {
    if (bert.is_decoder) {
      throw Error(ONNXPORT_UNSUPPORTED,
                  "config field 'is_decoder' is true; with position_embedding_type \"alibi\" encoders alone are "
                  "supported");
    }
    request.config.no_effect({"emb_pooler", "attn_implementation"});
  }

 private:
  TextEncoderTraits traits() const override {
    TextEncoderTraits t = BertTextEncoder::traits();
    t.max_positions = 0;
    return t;
  }

  Value embed(const Scope& s, const Text& text) const override {
    return bert.embed(s, {.ids = text.ids, .segments = text.segments, .placed = false});
  }

  Value encode(const Scope& s, const Text& text) const override {
    const Scope layers = s / "encoder.layer";
    Value x = embed(s / "embeddings", text);
    const Attended given{.mask = text.mask, .bias = distances(s / "encoder", text.ids)};
    const bool is_first = (layers / (is_gated() ? "0.mlp.gated_layers" : "0.intermediate.dense")).has("weight");
    if (is_first) return bert.encode(s / "encoder", x, BertEncoder::Layers{first_layer(), given});
    for (int64_t i = 0; i < bert.layers; ++i) {
      s.graph().mark("hidden_states." + std::to_string(i), x);
      Attended seen = given;
      seen.probabilities = "attentions." + std::to_string(i);
      x = later_layer(layers / i, x, seen);
    }
    return s.graph().mark("hidden_states." + std::to_string(bert.layers), x);
  }

  // -slope · |key - query|: f32[1, heads, n, n].
  Value distances(const Scope& s, const Value& ids) const {
    Graph& g = s.graph();
    const Value place = range(size_of(ids, 1)).in(s);
    const Value away = g.op("Abs", {unsqueeze(place, {0}) - unsqueeze(place, {1})});
    const Value slopes = g.constant<float>(DType::f32, {1, bert.heads, 1, 1}, alibi_slopes(bert.heads));
    return -(unsqueeze(cast(away, DType::f32), {0, 1}) * slopes);
  }

  bool is_gated() const { return feed_forward_type != "original"; }
  std::string gated_by() const { return feed_forward_type == "geglu" ? "gelu" : "relu"; }

  // The norm behind a gated feed-forward is one of its modules.
  TransformerLayer first_layer() const {
    TransformerLayer form = bert.layer();
    if (!is_gated()) return form;
    form.feed_forward_at = "mlp";
    form.feed_forward = {.inner = bert.inner,
                         .activation = gated_by(),
                         .down = "wo",
                         .gate_up = "gated_layers",
                         .bias = true,
                         .up_bias = false};
    form.feed_forward_branch.name = "mlp.layernorm";
    return form;
  }

  // Queries and keys are normed over all heads, and what the attention makes of a token is joined to it twice.
  Value later_layer(const Scope& layer, const Value& x, const Attended& given) const {
    const Norm norm{.epsilon = bert.epsilon};
    TransformerLayer form = bert.layer();
    form.attention.query_key_norm =
        QueryKeyNorm{.norm = norm, .per_head = false, .query = "self.layer_norm_q", .key = "self.layer_norm_k"};
    const FeedForward inner{.inner = bert.inner,
                            .activation = is_gated() ? gated_by() : bert.activation,
                            .up = "up_layer",
                            .down = "down_layer",
                            .gate_up = is_gated() ? "up_gated_layer" : "",
                            .up_first = true,
                            .bias = true,
                            .up_bias = false};
    const Value attended = residual(layer, x, {Placement::after, norm, "layer_norm_1"}, [&](const Value& h) {
      return residual(layer, h, form.attention_branch, [&](const Value& read) {
        return attend(layer / form.attention_at, read, form.attention, given);
      });
    });
    return residual(layer, attended, {Placement::after, norm, "layer_norm_2"},
                    [&](const Value& h) { return feed_forward(layer / "mlp", h, inner); });
  }

  const std::string feed_forward_type;
};

}  // namespace jina
