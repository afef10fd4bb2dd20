// SPDX-License-Identifier: Apache-2.0
// The transformer that BART and its relatives are made of. Source: BartEncoder, BartDecoder and their twins of mBART
// and Marian, transformers 4.30 and 4.57.
#pragma once

#include <onnxport/blocks/layer.hpp>
#include <onnxport/plugin.hpp>

namespace bart {

using namespace onnxport::sdk;

enum class Places { learned, sinusoidal };

/// What a relative does otherwise than BART.
struct Family {
  const char* type;
  Placement norm;       // of a layer: before or after its blocks
  bool embedding_norm;  // over the embeddings
  bool final_norm;      // behind the last layer
  Places places;
  int64_t offset;            // of the first position in the learnt table
  int64_t vocab, positions;  // defaults of the config class
};
inline constexpr Family families[] = {
    {"bart", Placement::after, true, false, Places::learned, 2, 50265, 1024},
    {"mbart", Placement::before, true, true, Places::learned, 2, 50265, 1024},
    {"marian", Placement::after, false, false, Places::sinusoidal, 0, 58101, 1024},
};

inline constexpr std::initializer_list<std::pair<const char*, const char*>> names{
    {"d_model", "hidden_size"}, {"encoder_attention_heads", "num_attention_heads"}};

struct BartConfig {
  BartConfig(const Config& c, const Family& family)
      : vocab(c.size("vocab_size", family.vocab)),
        decoder_vocab(c.size("decoder_vocab_size", vocab)),
        width(c.size("d_model", 1024)),
        encoder{c.count("encoder_layers", 12), c.size("encoder_attention_heads", 16), c.size("encoder_ffn_dim", 4096)},
        decoder{c.count("decoder_layers", 12), c.size("decoder_attention_heads", 16), c.size("decoder_ffn_dim", 4096)},
        positions(c.size("max_position_embeddings", family.positions)),
        activation(c.text("activation_function", "gelu")),
        scale(c.boolean("scale_embedding", false) ? std::sqrt(static_cast<double>(width)) : 1.0),
        shared(c.boolean("share_encoder_decoder_embeddings", true)),
        own_tables(c.written_since(5, 0)),
        tied(c.tie(true)),
        eos(c.has("eos_token_id") ? c.ids("eos_token_id") : std::vector<int64_t>{2}),
        labels(c.num_labels(3)) {
    for (const int64_t heads : {encoder.heads, decoder.heads}) {
      if (width % heads != 0) {
        throw Error(ONNXPORT_CONFIG, "config field 'd_model' is " + std::to_string(width) +
                                         ", not a multiple of the attention heads (" + std::to_string(heads) + ")");
      }
    }
    // Of the models' forerunners, and of training.
    c.no_effect({"num_hidden_layers", "init_std", "encoder_layerdrop", "decoder_layerdrop", "normalize_before",
                 "normalize_embedding", "add_final_layer_norm", "add_bias_logits", "static_position_embeddings",
                 "extra_pos_embeddings", "force_bos_token_to_be_generated", "max_decoder_position_embeddings"});
  }
  struct Side {
    int64_t layers, heads, inner;
  };
  int64_t vocab, decoder_vocab, width;
  Side encoder, decoder;
  int64_t positions;
  std::string activation;
  double scale;
  bool shared;
  bool own_tables;  // a side's table that is saved beside the shared one is one of its own
  Tie tied;
  std::vector<int64_t> eos;  // one, but for generation, which takes several
  int64_t labels;
};

/// Encoder and decoder over a module "model".
class Transformer {
 public:
  Transformer(const Family& family, BartConfig config) : f(family), c(std::move(config)) {}

  const BartConfig& config() const { return c; }

  /// Rows of the decoder's embedding. Parted from the encoder's it starts as a copy of that, and has a vocabulary of
  /// its own only where the head is tied to it.
  int64_t decoder_rows() const { return c.shared || !c.tied.by_config ? c.vocab : c.decoder_vocab; }

  /// The embedding of a side ("encoder", "decoder"), which both share unless the config parts them.
  Scope table(const Scope& model, const std::string& side) const {
    const Scope own = model / side / "embed_tokens";
    if (!c.shared) return own;
    model.graph().unused((model / "*coder.embed_tokens.weight").path());
    model.graph().unused((model / "shared.weight").path());
    if (c.own_tables && own.has("weight")) return own;
    return first_with("weight", {model / "shared", own, model / "encoder.embed_tokens"});
  }

  // -> f32[batch, encoder_sequence, width]
  Value encode(const Scope& model, const Value& ids, const Value& mask) const {
    const Scope s = model / "encoder";
    Graph& g = s.graph();
    Value x = embed(model, {"encoder", ids, range(size_of(ids, 1)), c.vocab});
    x = transformer_layers(
        s / "layers", x, {c.encoder.layers, [this](int64_t) { return layer(c.encoder); }, "encoder_"}, {.mask = mask});
    return g.mark("encoder_hidden_states." + std::to_string(c.encoder.layers), finish(s, x));
  }

  // `rows` of the decoder's embedding -> f32[batch, decoder_sequence, width]; without an encoder's result or what the
  // cache holds of one, it attends to itself only.
  Value decode(const Scope& model, const DecoderStep& step, Cache& cache, int64_t rows) const {
    const Scope s = model / "decoder";
    Graph& g = s.graph();
    Value x = embed(model, {"decoder", step.ids, decoder_places(step, cache), rows});
    const bool alone = !step.encoder_mask;
    const std::string side = alone ? "" : "decoder_";  // by itself it has no other side
    TransformerLayer form = layer(c.decoder);
    form.attention.causal = true;
    if (alone) g.unused((s / "layers.*.encoder_attn*").path());
    if (!alone) form.cross = {"encoder_attn", form.attention, {f.norm, {}, "encoder_attn_layer_norm"}};
    x = transformer_layers(s / "layers", x, {c.decoder.layers, [&](int64_t) { return form; }, side},
                           {.mask = step.mask, .cache = &cache, .encoder = {step.encoder_hidden, step.encoder_mask}});
    return g.mark(side + "hidden_states." + std::to_string(c.decoder.layers), finish(s, x));
  }

 private:
  struct Text {
    std::string side;
    Value ids, places;  // i64[batch, n], i64[n]
    int64_t vocab;
  };

  Value embed(const Scope& model, const Text& text) const {
    const Scope s = model / text.side;
    Value x = embedding(table(model, text.side), text.ids, {text.vocab, c.width}).in(s);
    if (c.scale != 1.0) x = x * c.scale;
    x = x + places(s / "embed_positions", text.places);
    return f.embedding_norm ? norm(s / "layernorm_embedding", x, {}) : x;
  }

  // The places' vectors: f32[n, width]
  Value places(const Scope& s, const Value& at) const {
    if (f.places == Places::learned) {
      return embedding(s, f.offset == 0 ? at : at.in(s) + at.graph().integer(f.offset),
                       {c.positions + f.offset, c.width});
    }
    // Fixed ones are seldom saved.
    if (s.has("weight")) return embedding(s, at, {c.positions, c.width});
    return gather(sinusoids(s.graph()), at.in(s));
  }

  // Sines of even dimensions, then cosines of odd ones. Source: MarianSinusoidalPositionalEmbedding.
  Value sinusoids(Graph& g) const {
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

  TransformerLayer layer(const BartConfig::Side& side) const {
    return {.feed_forward_at = "",
            .attention = {.heads = side.heads,
                          .head_size = c.width / side.heads,
                          .projections = {.output = "out_proj", .bias = all_biased}},
            .feed_forward = {.inner = side.inner, .activation = c.activation, .up = "fc1", .down = "fc2", .bias = true},
            .attention_branch = {f.norm, {}, "self_attn_layer_norm"},
            .feed_forward_branch = {f.norm, {}, "final_layer_norm"}};
  }

  Value finish(const Scope& s, const Value& x) const { return f.final_norm ? norm(s / "layer_norm", x, {}) : x; }

  const Family& f;
  BartConfig c;
};

}  // namespace bart
