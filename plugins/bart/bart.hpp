// SPDX-License-Identifier: Apache-2.0
// The transformer that BART and its relatives are made of. Source: BartEncoder, BartDecoder and their twins,
// transformers 4.30, 4.57 and 5.24.
#pragma once

#include <onnxport/families/bart.hpp>
#include <onnxport/selection.hpp>
#include <onnxport/sinusoids.hpp>

#include "config.hpp"

namespace bart {

/// Encoder and decoder over a module "model".
class Transformer {
 public:
  /// `alone`: a decoder without an encoder, whose class has no table beside the decoder's.
  Transformer(const Family& family, BartConfig config, bool alone = false)
      : f(family), c(std::move(config)), is_alone(alone) {}

  const BartConfig& config() const { return c; }
  const Family& family() const { return f; }
  /// Of the longest text; 0: without a bound.
  int64_t max_positions() const { return is_unbounded() ? 0 : std::min(c.encoder.positions, c.decoder.positions); }

  /// Rows of the decoder's embedding. Parted from the encoder's it has a vocabulary of its own; before version 5 it
  /// starts as a copy of that, and has one only where a head of words (`said`) is tied to it.
  int64_t decoder_rows(bool said) const {
    const bool is_copy = !c.is_recent && !(said && c.tied.by_config);
    return c.shared || is_copy ? c.vocab : c.decoder_vocab;
  }

  /// The embedding of a side ("encoder", "decoder"), which both share unless the config parts them.
  Scope table(const Scope& model, const std::string& side) const {
    const Scope own = model / side / "embed_tokens";
    if (!c.shared) return own;
    model.graph().unused((model / "*coder.embed_tokens.weight").path());
    model.graph().unused((model / "shared.weight").path());
    // Before version 5 a side's own table was one only where the config ties none.
    return (c.is_recent || !c.tied) && own.has("weight") ? own : shared_table(model);
  }
  /// What both sides and the head take that have none of their own: of the tables that are one, the first that was
  /// kept. The head's is one of them where the config ties it, since version 5 before those of the sides. Source:
  /// BartModel, BartForConditionalGeneration and BartForCausalLM, transformers 4.57 and 5.24.
  Scope shared_table(const Scope& model) const {
    const Scope shared = model / "shared", head = model.graph().root() / "lm_head",
                decoder = model / "decoder.embed_tokens", encoder = model / "encoder.embed_tokens";
    if (is_alone)
      return c.tied ? first_with("weight", {decoder, head, shared, encoder})
                    : first_with("weight", {decoder, shared, encoder});
    if (!c.tied) return first_with("weight", {shared, decoder, encoder});
    return c.is_recent ? first_with("weight", {shared, head, decoder, encoder})
                       : first_with("weight", {shared, decoder, encoder, head});
  }
  /// The table that a tied head takes: the shared one, and where the config parts them, the decoder's.
  Scope table_of_head(const Scope& model) const { return c.shared ? shared_table(model) : table(model, "decoder"); }

  struct Source {
    Value ids, mask;      // i64[batch, encoder_sequence]
    Value global_mask{};  // the same, of Longformer's encoder: 1 where a token sees all and is seen by all
    Value embeddings{};   // f32[batch, encoder_sequence, width], in place of ids
  };
  /// Whether either side may be given the words' vectors in place of their ids: one table makes them for both, and
  /// places do not go by the ids.
  bool takes_embeddings() const { return c.shared && f.places != Places::counted && !f.words_normed_first; }
  // i64[batch, n] -> f32[batch, n, width]
  Value words(const Scope& model, const Value& ids) const {
    const Value x = embedding(shared_table(model), ids, {c.vocab, c.width});
    return c.scale == 1.0 ? x : x * c.scale;
  }
  // -> f32[batch, encoder_sequence, width]
  Value encode(const Scope& model, const Source& text) const {
    const Value &read = text.embeddings ? text.embeddings : text.ids, &mask = text.mask;
    const Scope s = model / "encoder";
    Value x =
        embed(model, {"encoder", text.ids, places_of(read, range(size_of(read, 1)), {}), c.vocab, text.embeddings});
    if (f.encoder_attention == EncoderAttention::global_local) return finish_encoder(s, encode_blocks(s, x, mask));
    if (f.encoder_attention == EncoderAttention::longformer) return finish_encoder(s, encode_windowed(s, x, text));
    x = c.is_sparse
            ? encode_sparse(s, x, mask)
            : transformer_layers(s / "layers", x,
                                 {c.encoder.layers, [&](int64_t i) { return encoder_layer(i, mask); }, "encoder_"},
                                 {.mask = mask});
    return finish_encoder(s, x);
  }

  // `rows` of the decoder's embedding -> f32[batch, decoder_sequence, width]; without an encoder's result or what the
  // cache holds of one, it attends to itself only.
  Value decode(const Scope& model, const DecoderStep& step, Cache& cache, int64_t rows) const {
    const Scope s = model / "decoder";
    Graph& g = s.graph();
    const Value places = places_of(step.text(), decoder_places(step, cache), cache.past_length());
    Value x = embed(model, {"decoder", step.ids, places, rows, step.embeddings});
    const bool alone = !step.encoder_hidden && !cache.past("0.encoder.key");
    const std::string side = alone ? "" : "decoder_";  // by itself it has no other side
    if (alone) g.unused((s / "layers.*.encoder_attn*").path());
    const Value counted = f.has_experts ? tokens_of_experts(step, cache) : Value();
    const auto form = [&](int64_t i) {
      TransformerLayer made = layer(c.decoder, i, counted);
      made.attention.causal = true;
      if (!alone) made.cross = {f.cross_at, made.attention, {f.norm, {}, f.cross_norm}};
      return made;
    };
    x = transformer_layers(
        s / "layers", x, {c.decoder.layers, form, side},
        {.mask = mask_of(step, cache), .cache = &cache, .encoder = {step.encoder_hidden, step.encoder_mask}});
    return g.mark(side + "hidden_states." + std::to_string(c.decoder.layers), finish(s, x));
  }

 private:
  bool is_unbounded() const { return f.places == Places::counted || f.places == Places::computed; }

  Value mask_of(const DecoderStep& step, const Cache& cache) const {
    if (!c.lone_step_sees_all || !step.mask || !cache.past_length()) return step.mask;
    Graph& g = step.mask.graph();
    return g.op("Max", {step.mask, cast(equal(size_of(step.text(), 1), 1), DType::i64)});
  }

  // Which tokens experts are run for: i64[batch, n]. Of a cached step the reference reads as many entries from the end
  // of the whole mask as the step has tokens, all texts one behind the other. Source: NllbMoeTop2Router.route_tokens.
  static Value tokens_of_experts(const DecoderStep& step, const Cache& cache) {
    if (!step.mask || !cache.past_length()) return step.mask;
    const Value all = reshape(step.mask, {-1}), count = size_of(step.text(), 0) * size_of(step.text(), 1);
    return reshape(from_row(all, 0, size_of(all, 0) - count), shape_of(step.text(), 0, 2));
  }

  struct Text {
    std::string side;
    Value ids, places;  // i64[batch, n], i64[n] or the same
    int64_t vocab;
    Value embeddings{};  // in place of ids
  };

  Value embed(const Scope& model, const Text& text) const {
    const Scope s = model / text.side;
    // Since version 5 words that are normed first are not scaled before.
    const bool normed_first = f.words_normed_first && text.side == "decoder";
    Value x = text.embeddings;
    if (!x) {
      x = embedding(table(model, text.side), text.ids, {text.vocab, c.width}).in(s);
      if (c.scale != 1.0 && !(normed_first && c.is_recent)) x = x * c.scale;
    }
    x = x.in(s);
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
    if (f.places == Places::computed) return sinusoids(at.in(s), frequencies_to_last(c.width)).in(s.parent());
    if (f.places == Places::counted) {
      s.graph().unused((s / "weights").path());  // the table of sinusoids, which older releases saved
      const Value is_text = cast(logical_not(equal(at, c.padding)), DType::f32);
      return (sinusoids(at.in(s), frequencies_to_last(c.width)) * unsqueeze(is_text, {-1})).in(s.parent());
    }
    if (f.places == Places::learned) {
      return embedding(s, f.offset == 0 ? at : at.in(s) + at.graph().integer(f.offset), {count + f.offset, c.width});
    }
    // Fixed ones are seldom saved.
    if (s.has("weight")) return embedding(s, at, {count, c.width});
    return gather(table_of_sinusoids(s.graph(), count), at.in(s));
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
  TransformerLayer encoder_layer(int64_t i, const Value& mask) const {
    TransformerLayer form = layer(c.encoder, i, mask);
    if (f.encoder_attention == EncoderAttention::big_bird) {
      Projections& made = form.attention.projections;
      made = {.query = "self.query", .key = "self.key", .value = "self.value", .output = "output", .bias = made.bias};
    }
    return form;
  }

  // Blocks of a text see their neighbours, the first and the last one.
  Value encode_sparse(const Scope& s, Value x, const Value& mask) const {
    const SparseRows rows = sparse_rows(s / "blocks", mask, c.blocks);
    const TransformerLayer form = encoder_layer(0, mask);
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

  // Pegasus-X's encoder: blocks, and global tokens beside the text.
  Value encode_blocks(const Scope& s, const Value& text, const Value& mask) const {
    Graph& g = s.graph();
    const GlobalLocal& form = c.global_local;
    const TextBlocks plain = text_blocks(s / "blocks", mask, form, 0);
    const TextBlocks staggered = c.staggered ? text_blocks(s / "staggered", mask, form, form.block / 2) : plain;
    const Value none = cast(range(size_of(mask, 0)) * g.integer(0), DType::f32);  // of each text
    TextAndGlobal x{text, unsqueeze(none, {1, 2}) + (s / "embed_global").weight("weight", {form.global, c.width})};
    const TransformerLayer layers = plain_layer(c.encoder);
    for (int64_t i = 0; i < c.encoder.layers; ++i) {
      const Scope layer = s / "layers" / i;
      g.mark("encoder_hidden_states." + std::to_string(i), x.text);
      const TextAndGlobal read{norm(layer / "self_attn_layer_norm", x.text, {}),
                               norm(layer / "global_self_attn_layer_norm", x.global, {})};
      const TextAndGlobal made =
          global_local_attention(layer / "self_attn", read, i % 2 == 1 ? staggered : plain, form);
      const auto feeds = [&](const Value& h) {
        return residual(layer, h, layers.feed_forward_branch,
                        [&](const Value& normed) { return feed_forward(layer, normed, layers.feed_forward); });
      };
      x.text = feeds((x.text.in(layer) + made.text).in(layer));
      // What the last layer makes of them nobody reads.
      if (i + 1 < c.encoder.layers) x.global = feeds((x.global.in(layer) + made.global).in(layer));
    }
    return x.text;
  }

  // Longformer's encoder: tokens see those near them and a few global ones.
  Value encode_windowed(const Scope& s, Value x, const Source& text) const {
    const GlobalPlaces places = global_places(s / "global", text.mask, text.global_mask);
    std::map<int64_t, WindowBlocks> blocks;
    for (const int64_t window : c.windows) {
      if (!blocks.contains(window))
        blocks.emplace(window, window_blocks(s / ("window" + std::to_string(window)), places, window / 2));
    }
    const TransformerLayer form = layer(c.encoder, 0, text.mask);
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

  // `counted`: i64[batch, n], the tokens that experts are run for; absent: all.
  TransformerLayer layer(const BartConfig::Side& side, int64_t i, const Value& counted) const {
    TransformerLayer form = plain_layer(side);
    if (side.is_sparse(i)) {
      form.own_feed_forward = [this, inner = side.inner, counted](const Scope& module, const Value& x) {
        const Value mixed = mixture(module, x, inner);
        return counted && !c.sparse.routes_padding ? mixed * unsqueeze(cast(counted, DType::f32), {-1}) : mixed;
      };
    }
    return form;
  }

  // The best two experts of each token, which are numbered by name.
  Value mixture(const Scope& ffn, const Value& x, int64_t inner) const {
    const SparseLayers& form = c.sparse;
    const Scope router = ffn / "router.classifier";
    const Value scores = softmax(linear(router, x, {.out = form.experts, .bias = form.router_bias}));
    if (form.asked == SparseLayers::Asked::first_two) return two_experts(ffn, x, scores, inner);
    const auto stacked = [&](const char* name, const std::vector<int64_t>& shape) {
      std::vector<Value> each;
      for (int64_t i = 0; i < form.experts; ++i)
        each.push_back((ffn / "experts" / ("expert_" + std::to_string(i))).weight(name, shape));
      return x.graph().composite("Stack", each);
    };
    Experts experts;
    experts.up = stacked("fc1.weight", {inner, c.width});
    experts.up_bias = stacked("fc1.bias", {inner});
    experts.down = stacked("fc2.weight", {c.width, inner});
    experts.down_bias = stacked("fc2.bias", {c.width});
    return mixture_of_experts(x.in(ffn), scores, experts,
                              {.top_k = 2, .normalize = true, .scale = form.share, .activation = c.activation});
  }

  // What experts 1 and 0 yield, by the shares of the best and of the next.
  Value two_experts(const Scope& ffn, const Value& x, const Value& scores, int64_t inner) const {
    ffn.graph().unused((ffn / "experts.expert_*").path());
    const std::vector<Value> best = split(top_k(scores, 2).values, -1, {1, 1});
    const Value both = best[0] + best[1];
    const auto yields = [&](const char* expert, const Value& share) {
      const Value made =
          feed_forward(ffn / "experts" / expert, x,
                       {.inner = inner, .activation = c.activation, .up = "fc1", .down = "fc2", .bias = true});
      return made * (share / both * c.sparse.share);
    };
    return yields("expert_1", best[0]).in(ffn) + yields("expert_0", best[1]).in(ffn);
  }

  TransformerLayer plain_layer(const BartConfig::Side& side) const {
    const bool bias = c.attention_bias;
    return onnxport::family::bart_layer({.width = c.width,
                                         .heads = side.heads,
                                         .inner = side.inner,
                                         .activation = c.activation,
                                         .norm = f.norm,
                                         .bias = {bias, bias, bias, bias},
                                         .feed_forward_at = f.feed_forward_at,
                                         .feed_forward_norm = f.feed_forward_norm});
  }

  Value finish(const Scope& s, const Value& x) const { return f.final_norm ? norm(s / f.final_norm, x, {}) : x; }

  const Family& f;
  BartConfig c;
  bool is_alone;
};

}  // namespace bart
