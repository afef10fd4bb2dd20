// SPDX-License-Identifier: Apache-2.0
// The Q-Former: a BERT through which either learnt queries go, which look at an image, or a text.
// Source: Blip2QFormerModel and Blip2TextEmbeddings, transformers 4.57 (modeling_blip_2.py).
#pragma once

#include <initializer_list>
#include <string>

#include <onnxport/blocks/layer.hpp>
#include <onnxport/plugin.hpp>

namespace onnxport::family {

using namespace onnxport::sdk;

struct QFormer {
  explicit QFormer(const Config& c)
      : hidden(c.size("hidden_size", 768)),
        layers(c.count("num_hidden_layers", 12)),
        heads(c.size("num_attention_heads", 12)),
        inner(c.size("intermediate_size", 3072)),
        vocab(c.size("vocab_size", 30522)),
        positions(c.size("max_position_embeddings", 512)),
        looks_every(c.size("cross_attention_frequency", 2)),
        activation(c.text("hidden_act", "gelu")),
        epsilon(c.real("layer_norm_eps", 1e-12)),
        reads(c.boolean("use_qformer_text_input", false)) {
    c.no_effect({"encoder_hidden_size", "pad_token_id", "position_embedding_type"});
    require_multiple({"hidden_size", hidden}, {"num_attention_heads", heads});
  }

  /// Queries that look at an image: queries: f[batch, n, hidden], image: f[batch, m, width] -> f[batch, n, hidden].
  Value ask(const Scope& s, const Value& queries, const Value& image) const {
    Value x = norm(s / "layernorm", queries, {.epsilon = epsilon});
    for (int64_t i = 0; i < layers; ++i) {
      const Scope layer = s / "encoder.layer" / i;
      x = see_each_other(layer, x, {});
      if (i % looks_every == 0) x = look(layer, x, image);
      x = feed(layer, x, "_query");
    }
    return x;
  }
  /// A text by itself: words: f[batch, sequence, hidden] -> the same.
  Value read(const Scope& s, const Value& words, const Value& mask) const {
    if (!reads) {
      throw Error(ONNXPORT_CONFIG,
                  "config field 'qformer_config.use_qformer_text_input' is false; expected true, since without it the "
                  "Q-Former has nothing that texts are fed through",
                  s.path());
    }
    Value x = norm(s / "layernorm", words, {.epsilon = epsilon});
    for (int64_t i = 0; i < layers; ++i) {
      const Scope layer = s / "encoder.layer" / i;
      x = feed(layer, see_each_other(layer, x, mask), "");
    }
    return x;
  }
  /// Where no text is read, there may still be what it would be fed through; and where nothing is asked, the like.
  void skip_text(const Scope& s) const { skip(s, {"intermediate", "output"}); }
  void skip_queries(const Scope& s) const { skip(s, {"crossattention", "intermediate_query", "output_query"}); }
  /// What it reads of a text: i64[batch, sequence] -> f[batch, sequence, hidden].
  Value embed(const Scope& s, const Value& ids) const {
    s.graph().unused("*" + (s / "position_ids").path());
    const Value table = (s / "position_embeddings").weight("weight", {positions, hidden});
    return embedding(s / "word_embeddings", ids, {vocab, hidden}) + first_rows(table, size_of(ids, 1));
  }

  int64_t hidden, layers, heads, inner, vocab, positions;
  int64_t looks_every;  // so many layers, the first among them
  std::string activation;
  double epsilon;
  bool reads;  // whether it has what texts are fed through

 private:
  void skip(const Scope& s, std::initializer_list<const char*> modules) const {
    for (int64_t i = 0; i < layers; ++i) {
      for (const char* module : modules) s.graph().unused((s / "encoder.layer" / i / module).path() + ".*");
    }
  }

  AttentionBlock attention() const {
    return {.heads = heads,
            .head_size = hidden / heads,
            .projections = {.query = "attention.query",
                            .key = "attention.key",
                            .value = "attention.value",
                            .output = "output.dense",
                            .bias = all_biased}};
  }
  Residual behind(const std::string& name) const { return {Placement::after, {.epsilon = epsilon}, name}; }

  Value see_each_other(const Scope& layer, const Value& x, const Value& mask) const {
    return residual(layer, x, behind("attention.output.LayerNorm"),
                    [&](const Value& h) { return attend(layer / "attention", h, attention(), {.mask = mask}); });
  }
  Value look(const Scope& layer, const Value& x, const Value& image) const {
    const Scope module = layer / "crossattention";
    const auto made = [&](const char* name, const Value& of) {
      return linear(module / "attention" / name, of, {.out = hidden});
    };
    return residual(layer, x, behind("crossattention.output.LayerNorm"), [&](const Value& h) {
      const Value mixed =
          sdk::attention(made("query", h), made("key", image), made("value", image), {.heads = heads}).mixed;
      return linear(module / "output.dense", mixed, {.out = hidden});
    });
  }
  Value feed(const Scope& layer, const Value& x, const std::string& kind) const {
    const FeedForward form{.inner = inner,
                           .activation = activation,
                           .up = "intermediate" + kind + ".dense",
                           .down = "output" + kind + ".dense",
                           .bias = true};
    return residual(layer, x, behind("output" + kind + ".LayerNorm"),
                    [&](const Value& h) { return feed_forward(layer, h, form); });
  }
};

}  // namespace onnxport::family
