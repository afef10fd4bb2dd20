// SPDX-License-Identifier: Apache-2.0
// The transformer that BART and its relatives are made of. Source: BartEncoder, BartDecoder and their twins,
// transformers 4.30, 4.57 and 5.24.
#pragma once

#include <onnxport/sinusoids.hpp>

#include "config.hpp"

namespace bart {

/// Encoder and decoder over a module "model".
class Transformer {
 public:
  Transformer(const Family& family, BartConfig config) : f(family), c(std::move(config)) {}

  const BartConfig& config() const { return c; }
  const Family& family() const { return f; }
  /// Of the longest text; 0: without a bound.
  int64_t max_positions() const {
    return f.places == Places::counted ? 0 : std::min(c.encoder.positions, c.decoder.positions);
  }

  /// Rows of the decoder's embedding. Parted from the encoder's it starts as a copy of that, and has a vocabulary of
  /// its own only where the head is tied to it.
  int64_t decoder_rows() const { return c.shared || !c.tied.by_config ? c.vocab : c.decoder_vocab; }

  /// The embedding of a side ("encoder", "decoder"), which both share unless the config parts them.
  Scope table(const Scope& model, const std::string& side) const {
    const Scope own = model / side / "embed_tokens";
    if (!c.shared) return own;
    model.graph().unused((model / "*coder.embed_tokens.weight").path());
    model.graph().unused((model / "shared.weight").path());
    if (c.is_recent && own.has("weight")) return own;
    return first_with("weight", {model / "shared", own, model / "encoder.embed_tokens"});
  }

  struct Source {
    Value ids, mask;      // i64[batch, encoder_sequence]
    Value global_mask{};  // the same, of Longformer's encoder: 1 where a token sees all and is seen by all
  };
  // -> f32[batch, encoder_sequence, width]
  Value encode(const Scope& model, const Source& text) const {
    const Value &ids = text.ids, &mask = text.mask;
    const Scope s = model / "encoder";
    Value x = embed(model, {"encoder", ids, places_of(ids, range(size_of(ids, 1)), {}), c.vocab});
    if (f.encoder_attention == EncoderAttention::longformer) return finish_encoder(s, encode_windowed(s, x, text));
    x = c.is_sparse ? encode_sparse(s, x, mask)
                    : transformer_layers(s / "layers", x,
                                         {c.encoder.layers, [this](int64_t) { return encoder_layer(); }, "encoder_"},
                                         {.mask = mask});
    return finish_encoder(s, x);
  }

  // `rows` of the decoder's embedding -> f32[batch, decoder_sequence, width]; without an encoder's result or what the
  // cache holds of one, it attends to itself only.
  Value decode(const Scope& model, const DecoderStep& step, Cache& cache, int64_t rows) const {
    const Scope s = model / "decoder";
    Graph& g = s.graph();
    const Value places = places_of(step.ids, decoder_places(step, cache), cache.past_length());
    Value x = embed(model, {"decoder", step.ids, places, rows});
    const bool alone = !step.encoder_mask;
    const std::string side = alone ? "" : "decoder_";  // by itself it has no other side
    TransformerLayer form = layer(c.decoder);
    form.attention.causal = true;
    if (alone) g.unused((s / "layers.*.encoder_attn*").path());
    if (!alone) form.cross = {"encoder_attn", form.attention, {f.norm, {}, "encoder_attn_layer_norm"}};
    x = transformer_layers(
        s / "layers", x, {c.decoder.layers, [&](int64_t) { return form; }, side},
        {.mask = mask_of(step, cache), .cache = &cache, .encoder = {step.encoder_hidden, step.encoder_mask}});
    return g.mark(side + "hidden_states." + std::to_string(c.decoder.layers), finish(s, x));
  }

 private:
  Value mask_of(const DecoderStep& step, const Cache& cache) const {
    if (!c.lone_step_sees_all || !step.mask || !cache.past_length()) return step.mask;
    Graph& g = step.mask.graph();
    return g.op("Max", {step.mask, cast(equal(size_of(step.ids, 1), 1), DType::i64)});
  }

  struct Text {
    std::string side;
    Value ids, places;  // i64[batch, n], i64[n] or the same
    int64_t vocab;
  };

  Value embed(const Scope& model, const Text& text) const {
    const Scope s = model / text.side;
    Value x = embedding(table(model, text.side), text.ids, {text.vocab, c.width}).in(s);
    // Since version 5 words that are normed first are not scaled before.
    const bool normed_first = f.words_normed_first && text.side == "decoder";
    if (c.scale != 1.0 && !(normed_first && c.is_recent)) x = x * c.scale;
    const auto normed = [&](const Value& y) { return norm(s / "layernorm_embedding", y, {}); };
    const BartConfig::Side& side = text.side == "decoder" ? c.decoder : c.encoder;
    const Value vectors = places(s / "embed_positions", text.places, side.positions);
    if (normed_first) return normed(x) + vectors;
    return f.embedding_norm ? normed(x + vectors) : x + vectors;
  }

  // Where the ids stand: as they follow each other, or counted past padding (after `past` tokens, if any).
  Value places_of(const Value& ids, const Value& sequence, const Value& past) const {
    if (f.places != Places::counted) return sequence;
    const Value counts = cast(logical_not(equal(ids, c.padding)), DType::i64);
    const Value counted = cumulative_sum(counts, 1);
    return (past ? counted + past : counted) * counts + ids.graph().integer(c.padding);
  }

  // The places' vectors: f32[n, width], or f32[batch, n, width]
  Value places(const Scope& s, const Value& at, int64_t count) const {
    if (f.places == Places::counted) {
      s.graph().unused((s / "weights").path());  // the table of sinusoids, which older releases saved
      const Value is_text = cast(logical_not(equal(at, c.padding)), DType::f32);
      return (sinusoids(at.in(s), frequencies()) * unsqueeze(is_text, {-1})).in(s.parent());
    }
    if (f.places == Places::learned) {
      return embedding(s, f.offset == 0 ? at : at.in(s) + at.graph().integer(f.offset), {count + f.offset, c.width});
    }
    // Fixed ones are seldom saved.
    if (s.has("weight")) return embedding(s, at, {count, c.width});
    return gather(table_of_sinusoids(s.graph(), count), at.in(s));
  }

  // Source: M2M100SinusoidalPositionalEmbedding.
  std::vector<double> frequencies() const {
    std::vector<double> all;
    const int64_t half = c.width / 2;
    for (int64_t i = 0; i < half; ++i)
      all.push_back(std::exp(-std::log(10000.0) * static_cast<double>(i) / static_cast<double>(half - 1)));
    return all;
  }

  // Sines of even dimensions, then cosines of odd ones. Source: MarianSinusoidalPositionalEmbedding.
  Value table_of_sinusoids(Graph& g, int64_t count) const {
    constexpr int64_t most = 1 << 28;
    if (c.width > most || count > most / c.width) {
      throw Error(ONNXPORT_CONFIG, "config fields max_position_embeddings (" + std::to_string(count) +
                                       ") and d_model (" + std::to_string(c.width) +
                                       ") ask for a table of positions that is too large");
    }
    std::vector<float> table;
    for (int64_t place = 0; place < count; ++place) {
      for (const int64_t odd : {0, 1}) {
        for (int64_t j = odd; j < c.width; j += 2) {
          const double angle = static_cast<double>(place) /
                               std::pow(10000.0, static_cast<double>(2 * (j / 2)) / static_cast<double>(c.width));
          table.push_back(static_cast<float>(odd == 0 ? std::sin(angle) : std::cos(angle)));
        }
      }
    }
    return g.constant<float>(DType::f32, {count, c.width}, table);
  }

  // BigBird's attention keeps BERT's names.
  TransformerLayer encoder_layer() const {
    TransformerLayer form = layer(c.encoder);
    if (f.encoder_attention == EncoderAttention::big_bird) {
      Projections& made = form.attention.projections;
      made = {.query = "self.query", .key = "self.key", .value = "self.value", .output = "output", .bias = made.bias};
    }
    return form;
  }

  // Blocks of a text see their neighbours, the first and the last one.
  Value encode_sparse(const Scope& s, Value x, const Value& mask) const {
    const SparseRows rows = sparse_rows(s / "blocks", mask, c.blocks);
    const TransformerLayer form = encoder_layer();
    for (int64_t i = 0; i < c.encoder.layers; ++i) {
      const Scope at = s / "layers" / i, attention = at / form.attention_at;
      s.graph().mark("encoder_hidden_states." + std::to_string(i), x);
      x = residual(at, x, form.attention_branch, [&](const Value& h) {
        const Value mixed = block_sparse_attention(project(attention, h, form.attention), rows,
                                                   {.heads = form.attention.heads, .mask = mask});
        return linear(attention / "output", mixed, {.out = c.width, .bias = c.attention_bias});
      });
      x = residual(at, x, form.feed_forward_branch,
                   [&](const Value& h) { return feed_forward(at, h, form.feed_forward); });
    }
    return x;
  }

  // Longformer's encoder: tokens see those near them and a few global ones.
  Value encode_windowed(const Scope& s, Value x, const Source& text) const {
    const GlobalPlaces places = global_places(s / "global", text.mask, text.global_mask);
    std::map<int64_t, WindowBlocks> blocks;
    for (const int64_t window : c.windows) {
      if (!blocks.contains(window))
        blocks.emplace(window, window_blocks(s / ("window" + std::to_string(window)), places, window / 2));
    }
    const TransformerLayer form = layer(c.encoder);
    for (int64_t i = 0; i < c.encoder.layers; ++i) {
      const Scope at = s / "layers" / i, attention = at / form.attention_at;
      s.graph().mark("encoder_hidden_states." + std::to_string(i), x);
      x = residual(at, x, form.attention_branch, [&](const Value& h) {
        const WindowBlocks& window = blocks.at(c.windows[static_cast<size_t>(i)]);
        const Value mixed = windowed_attention(attention / "longformer_self_attn", h, c.encoder.heads, places, window);
        return linear(attention / "output", mixed, {.out = c.width});
      });
      x = residual(at, x, form.feed_forward_branch,
                   [&](const Value& h) { return feed_forward(at, h, form.feed_forward); });
    }
    return x;
  }

  Value finish_encoder(const Scope& s, const Value& x) const {
    return s.graph().mark("encoder_hidden_states." + std::to_string(c.encoder.layers), finish(s, x));
  }

  TransformerLayer layer(const BartConfig::Side& side) const {
    const bool bias = c.attention_bias;
    return {.feed_forward_at = "",
            .attention = {.heads = side.heads,
                          .head_size = c.width / side.heads,
                          .projections = {.output = "out_proj", .bias = {bias, bias, bias, bias}}},
            .feed_forward = {.inner = side.inner, .activation = c.activation, .up = "fc1", .down = "fc2", .bias = true},
            .attention_branch = {f.norm, {}, "self_attn_layer_norm"},
            .feed_forward_branch = {f.norm, {}, "final_layer_norm"}};
  }

  Value finish(const Scope& s, const Value& x) const { return f.final_norm ? norm(s / f.final_norm, x, {}) : x; }

  const Family& f;
  BartConfig c;
};

}  // namespace bart
