// SPDX-License-Identifier: Apache-2.0
// The transformer that BART and its relatives are made of. Source: BartEncoder, BartDecoder and their twins of mBART,
// PLBART, Marian, Pegasus, BigBird-Pegasus, Blenderbot and M2M100, transformers 4.30, 4.57 and 5.24.
#pragma once

#include <onnxport/blocks/block_sparse_attention.hpp>
#include <onnxport/blocks/layer.hpp>
#include <onnxport/plugin.hpp>
#include <onnxport/sinusoids.hpp>

namespace bart {

using namespace onnxport::sdk;

enum class Places {
  learned,
  sinusoidal,  ///< a table of them, which may be saved
  counted,     ///< sinusoids of any number of places, which count the tokens that are no padding
};

/// What a relative does otherwise than BART, and the defaults of its config class.
struct Family {
  const char* type;
  Placement norm = Placement::after;  // of a layer: before or after its blocks
  bool embedding_norm = true;         // over the embeddings
  bool words_normed_first = false;    // in the decoder places are added to what is normed already
  const char* final_norm = nullptr;   // behind the last layer
  Places places = Places::learned;
  int64_t offset = 0;         // of the first position in the learnt table
  bool words_bias = true;     // the head of words has final_logits_bias
  bool has_big_bird = false;  // the encoder attends as BigBird does
  /// Before version 4.35 a step of one token saw all that is cached, padding or not.
  bool lone_step_saw_all = false;

  int64_t vocab = 50265, positions = 1024, width = 1024;
  int64_t encoder_layers = 12, decoder_layers = 12, heads = 16, inner = 4096;
  const char* activation = "gelu";
  bool scaled = false;
  int64_t padding = 1, eos = 2, labels = 2;
};
inline constexpr Family families[] = {
    {.type = "bart", .offset = 2, .labels = 3},
    {.type = "mvp", .offset = 2, .vocab = 50267},
    {.type = "mbart", .norm = Placement::before, .final_norm = "layer_norm", .offset = 2},
    {.type = "plbart",
     .offset = 2,
     .vocab = 50005,
     .width = 768,
     .encoder_layers = 6,
     .decoder_layers = 6,
     .heads = 12,
     .inner = 3072,
     .scaled = true},
    {.type = "marian", .embedding_norm = false, .places = Places::sinusoidal, .vocab = 58101},
    {.type = "pegasus",
     .norm = Placement::before,
     .embedding_norm = false,
     .final_norm = "layer_norm",
     .places = Places::sinusoidal},
    {.type = "bigbird_pegasus",
     .norm = Placement::before,
     .embedding_norm = false,
     .final_norm = "layernorm_embedding",
     .has_big_bird = true,
     .vocab = 96103,
     .positions = 4096,
     .encoder_layers = 16,
     .decoder_layers = 16,
     .activation = "gelu_new",
     .scaled = true,
     .padding = 0,
     .eos = 1},
    {.type = "blenderbot",
     .norm = Placement::before,
     .embedding_norm = false,
     .final_norm = "layer_norm",
     .vocab = 8008,
     .positions = 128,
     .width = 2560,
     .encoder_layers = 2,
     .decoder_layers = 24,
     .heads = 32,
     .inner = 10240},
    {.type = "blenderbot-small",
     .words_normed_first = true,
     .positions = 512,
     .width = 512,
     .encoder_layers = 8,
     .decoder_layers = 8,
     .inner = 2048},
    {.type = "m2m_100",
     .norm = Placement::before,
     .embedding_norm = false,
     .final_norm = "layer_norm",
     .places = Places::counted,
     .words_bias = false,
     .lone_step_saw_all = true,
     .vocab = 128112,
     .activation = "relu",
     .scaled = true},
};

inline constexpr std::initializer_list<std::pair<const char*, const char*>> names{
    {"d_model", "hidden_size"}, {"encoder_attention_heads", "num_attention_heads"}};

struct BartConfig {
  BartConfig(const Config& c, const Family& family)
      : vocab(c.size("vocab_size", family.vocab)),
        decoder_vocab(c.size("decoder_vocab_size", vocab)),
        width(c.size("d_model", family.width)),
        encoder{c.count("encoder_layers", family.encoder_layers), c.size("encoder_attention_heads", family.heads),
                c.size("encoder_ffn_dim", family.inner)},
        decoder{c.count("decoder_layers", family.decoder_layers), c.size("decoder_attention_heads", family.heads),
                c.size("decoder_ffn_dim", family.inner)},
        positions(c.size("max_position_embeddings", family.positions)),
        padding(c.integer("pad_token_id", family.padding)),
        activation(c.text("activation_function", family.activation)),
        scale(c.boolean("scale_embedding", family.scaled) ? std::sqrt(static_cast<double>(width)) : 1.0),
        shared(c.boolean("share_encoder_decoder_embeddings", true)),
        is_recent(c.written_since(5, 0)),
        lone_step_sees_all(family.lone_step_saw_all && c.written_before(4, 35)),
        tied(c.tie(true)),
        eos(c.has("eos_token_id") ? c.ids("eos_token_id") : std::vector<int64_t>{family.eos}),
        labels(c.num_labels(family.labels)) {
    for (const int64_t heads : {encoder.heads, decoder.heads}) {
      if (width % heads != 0) {
        throw Error(ONNXPORT_CONFIG, "config field 'd_model' is " + std::to_string(width) +
                                         ", not a multiple of the attention heads (" + std::to_string(heads) + ")");
      }
    }
    if (family.has_big_bird) {
      attention_bias = c.boolean("use_bias", false);
      is_sparse = c.choice("attention_type", "block_sparse", {"original_full", "block_sparse"}) == "block_sparse";
      blocks = {c.size("block_size", 64), c.count("num_random_blocks", 3)};
    }
    // Of the models' forerunners, and of training.
    c.no_effect({"num_hidden_layers", "init_std", "encoder_layerdrop", "decoder_layerdrop", "normalize_before",
                 "normalize_embedding", "add_final_layer_norm", "add_bias_logits", "static_position_embeddings",
                 "extra_pos_embeddings", "force_bos_token_to_be_generated", "max_decoder_position_embeddings"});
    if (c.boolean("use_prompt", false)) {
      throw Error(ONNXPORT_UNSUPPORTED,
                  "config field 'use_prompt' is true; keys and values that are learnt in front of a text are not "
                  "supported");
    }
    c.no_effect({"prompt_length", "prompt_mid_dim"});
    if (family.places == Places::counted && width % 2 != 0) {
      throw Error(ONNXPORT_UNSUPPORTED, "config field 'd_model' is " + std::to_string(width) +
                                            "; sinusoids of an odd width are not supported");
    }
  }
  struct Side {
    int64_t layers, heads, inner;
  };
  int64_t vocab, decoder_vocab, width;
  Side encoder, decoder;
  int64_t positions, padding;
  std::string activation;
  double scale;
  bool attention_bias = true;
  bool is_sparse = false;  // BigBird's encoder sees blocks of a long text
  SparseBlocks blocks{};
  bool shared;
  bool is_recent;  // written by version 5, where a side's table that is saved beside the shared one is one of its own
  bool lone_step_sees_all;
  Tie tied;
  std::vector<int64_t> eos;  // one, but for generation, which takes several
  int64_t labels;
};

/// Encoder and decoder over a module "model".
class Transformer {
 public:
  Transformer(const Family& family, BartConfig config) : f(family), c(std::move(config)) {}

  const BartConfig& config() const { return c; }
  const Family& family() const { return f; }
  /// Of the longest text; 0: without a bound.
  int64_t max_positions() const { return f.places == Places::counted ? 0 : c.positions; }

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

  // -> f32[batch, encoder_sequence, width]
  Value encode(const Scope& model, const Value& ids, const Value& mask) const {
    const Scope s = model / "encoder";
    Graph& g = s.graph();
    Value x = embed(model, {"encoder", ids, places_of(ids, range(size_of(ids, 1)), {}), c.vocab});
    x = c.is_sparse ? encode_sparse(s, x, mask)
                    : transformer_layers(s / "layers", x,
                                         {c.encoder.layers, [this](int64_t) { return encoder_layer(); }, "encoder_"},
                                         {.mask = mask});
    return g.mark("encoder_hidden_states." + std::to_string(c.encoder.layers), finish(s, x));
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
    const Value vectors = places(s / "embed_positions", text.places);
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
  Value places(const Scope& s, const Value& at) const {
    if (f.places == Places::counted) {
      s.graph().unused((s / "weights").path());  // the table of sinusoids, which older releases saved
      const Value is_text = cast(logical_not(equal(at, c.padding)), DType::f32);
      return (sinusoids(at.in(s), frequencies()) * unsqueeze(is_text, {-1})).in(s.parent());
    }
    if (f.places == Places::learned) {
      return embedding(s, f.offset == 0 ? at : at.in(s) + at.graph().integer(f.offset),
                       {c.positions + f.offset, c.width});
    }
    // Fixed ones are seldom saved.
    if (s.has("weight")) return embedding(s, at, {c.positions, c.width});
    return gather(table_of_sinusoids(s.graph()), at.in(s));
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
  Value table_of_sinusoids(Graph& g) const {
    constexpr int64_t most = 1 << 28;
    if (c.width > most || c.positions > most / c.width) {
      throw Error(ONNXPORT_CONFIG, "config fields max_position_embeddings (" + std::to_string(c.positions) +
                                       ") and d_model (" + std::to_string(c.width) +
                                       ") ask for a table of positions that is too large");
    }
    std::vector<float> table;
    for (int64_t place = 0; place < c.positions; ++place) {
      for (const int64_t odd : {0, 1}) {
        for (int64_t j = odd; j < c.width; j += 2) {
          const double angle = static_cast<double>(place) /
                               std::pow(10000.0, static_cast<double>(2 * (j / 2)) / static_cast<double>(c.width));
          table.push_back(static_cast<float>(odd == 0 ? std::sin(angle) : std::cos(angle)));
        }
      }
    }
    return g.constant<float>(DType::f32, {c.positions, c.width}, table);
  }

  // BigBird's attention keeps BERT's names.
  TransformerLayer encoder_layer() const {
    TransformerLayer form = layer(c.encoder);
    if (f.has_big_bird) {
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
