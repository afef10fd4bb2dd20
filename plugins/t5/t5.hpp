// SPDX-License-Identifier: Apache-2.0
// The transformer that T5 and its relatives are made of. Source: T5Stack and its twins of mT5, UMT5 and LongT5,
// transformers 4.30, 4.57 and 5.24.
#pragma once

#include "near.hpp"

namespace t5 {

using namespace onnxport::sdk;

inline constexpr std::initializer_list<std::pair<const char*, const char*>> names{{"d_model", "hidden_size"},
                                                                                  {"d_kv", "head_dim"},
                                                                                  {"num_heads", "num_attention_heads"},
                                                                                  {"num_layers", "num_hidden_layers"}};

/// What a relative does otherwise than T5, and the defaults of its config class.
struct Family {
  const char* type;
  bool bias_in_each_layer = false;  // the first one's serves all, if not
  bool scales = true;               // since version 5, whether a config may ask for what a tied head reads
  int64_t vocab = 250112, inner = 1024, layers = 8, heads = 6;
  const char* feed_forward = "gated-gelu";
  bool tied = true;
  bool is_long = false;  // its encoder sees only what is near
};
inline constexpr Family families[] = {
    {.type = "t5", .vocab = 32128, .inner = 2048, .layers = 6, .heads = 8, .feed_forward = "relu"},
    {.type = "mt5", .scales = false, .tied = false},
    {.type = "umt5", .bias_in_each_layer = true},
    {.type = "longt5", .vocab = 32128, .inner = 2048, .layers = 6, .heads = 8, .feed_forward = "relu", .is_long = true},
};

struct T5Config {
  T5Config(const Config& c, const Family& of)
      : family(of),
        vocab(c.size("vocab_size", of.vocab)),
        width(c.size("d_model", 512)),
        head_size(c.size("d_kv", 64)),
        inner(c.size("d_ff", of.inner)),
        layers(c.count("num_layers", of.layers)),
        decoder_layers(c.count("num_decoder_layers", layers)),
        heads(c.size("num_heads", of.heads)),
        buckets(c.size("relative_attention_num_buckets", 32)),
        max_distance(c.size("relative_attention_max_distance", 128)),
        epsilon(c.real("layer_norm_epsilon", 1e-6)),
        is_recent(c.written_since(5, 0)),
        tied(c.tie(of.tied)),
        scaled(is_recent ? of.scales && c.boolean("scale_decoder_outputs", tied.by_config) : tied.by_config) {
    // "relu", or "gated-gelu": the activation, and whether a second product gates it.
    const std::string form = c.text("feed_forward_proj", of.feed_forward);
    const bool is_gated = form.starts_with("gated-");
    const std::string named = is_gated ? form.substr(6) : form;
    activation = c.text("dense_act_fn", form == "gated-gelu" ? "gelu_new" : named);
    gated = c.boolean("is_gated_act", is_gated);
    labels = c.num_labels();
    eos = c.has("eos_token_id") ? c.ids("eos_token_id") : std::vector<int64_t>{1};
    if (of.is_long) {
      has_sums = c.choice("encoder_attention_type", "local", {"local", "transient-global"}) == "transient-global";
      radius = c.count("local_radius", 127);
      summed = c.size("global_block_size", 16);
    }
    c.no_effect({"n_positions", "output_past", "classifier_dropout", "scalable_attention", "tokenizer_class"});
  }
  const Family& family;
  int64_t vocab, width, head_size, inner, layers, decoder_layers, heads, buckets, max_distance;
  double epsilon;
  bool is_recent;  // written by version 5
  Tie tied;
  bool scaled;  // what the head reads
  std::string activation;
  bool gated;
  bool has_sums = false;  // LongT5: beside what is near, sums of blocks are seen
  int64_t radius = 0, summed = 0;
  int64_t labels;
  std::vector<int64_t> eos;
};

/// The two sides below a scope: the root, or "transformer" within the classes whose head stands beside them.
struct T5Model {
  const T5Config& c;

  // ids, mask: i64[batch, encoder_sequence] -> f32[batch, encoder_sequence, width]
  Value encode(const Scope& base, const Value& ids, const Value& mask) const {
    const Scope encoder = base / "encoder";
    Value x = embed(base, ids, encoder);
    if (c.family.is_long) return finish(encoder, encode_near(encoder / "block", x, mask));
    const Value places = range(size_of(ids, 1));
    Attended given{.mask = mask};
    tell_distances(given, encoder, {places, places, true});
    x = transformer_layers(encoder / "block", x,
                           {c.layers, [this](int64_t) { return layer(Side::encoder); }, "encoder_"}, given);
    return finish(encoder, x);
  }

  // -> f32[batch, decoder_sequence, width]
  Value decode(const Scope& base, const DecoderStep& step, Cache& cache) const {
    Graph& g = base.graph();
    const Scope decoder = base / "decoder";
    g.unused("*.layer.1.EncDecAttention.relative_attention_bias.weight");  // saved by the first releases, never read
    Value x = embed(base, step.ids, decoder);
    Attended given{.mask = step.mask, .cache = &cache, .encoder = {step.encoder_hidden, step.encoder_mask}};
    tell_distances(given, decoder, places_of(step, cache));
    x = transformer_layers(decoder / "block", x,
                           {c.decoder_layers, [this](int64_t) { return layer(Side::decoder); }, "decoder_"}, given);
    return g.mark("decoder_hidden_states." + std::to_string(c.decoder_layers),
                  norm(decoder / "final_layer_norm", x, rms()));
  }

  // What both sides and a tied head take that have none of their own: of the tables that are one, the first that was
  // kept. The order is that of transformers 5.
  static Scope shared(const Scope& base) {
    base.graph().unused("*coder.embed_tokens.weight");
    return first_with("weight", {base / "shared", base / "encoder.embed_tokens", base / "decoder.embed_tokens",
                                 base.graph().root() / "lm_head"});
  }

 private:
  Value embed(const Scope& base, const Value& ids, const Scope& side) const {
    // Since version 5 a side's table that is saved beside the shared one is one of its own.
    const Scope own = side / "embed_tokens";
    const Scope table = c.is_recent && own.has("weight") && !has_all(base) ? own : shared(base);
    return embedding(table, ids, {c.vocab, c.width}).in(side);
  }

  /// Whether any tensor is there, as in weights that are drawn to fit: those have one table, as files do.
  static bool has_all(const Scope& base) { return base.has("no such tensor"); }

  Norm rms() const { return {.kind = Norm::Kind::rms, .epsilon = c.epsilon}; }

  Value finish(const Scope& encoder, const Value& x) const {
    const Value y = norm(encoder / "final_layer_norm", x, rms());
    return y.graph().mark("encoder_hidden_states." + std::to_string(c.layers), y);
  }

  // LongT5's layers: the tables of the first one's distances serve all.
  Value encode_near(const Scope& blocks, Value x, const Value& mask) const {
    const std::string attention = c.has_sums ? "layer.0.TransientGlobalSelfAttention" : "layer.0.LocalSelfAttention";
    const NearAttention near{.heads = c.heads,
                             .head_size = c.head_size,
                             .size = c.radius + 1,
                             .summed = c.has_sums ? c.summed : 0,
                             .distances = {c.buckets, c.max_distance, c.heads},
                             .sum_norm = rms()};
    const NearText text = near_text(blocks / 0 / attention, mask, near);
    const TransformerLayer form = layer(Side::encoder);
    for (int64_t i = 0; i < c.layers; ++i) {
      const Scope block = blocks / i;
      x.graph().mark("encoder_hidden_states." + std::to_string(i), x);
      x = residual(block, x, form.attention_branch,
                   [&](const Value& h) { return near_attention(block / attention, h, text, near); });
      x = residual(block, x, form.feed_forward_branch,
                   [&](const Value& h) { return feed_forward(block / form.feed_forward_at, h, form.feed_forward); });
    }
    return x;
  }

  enum class Side { encoder, decoder };

  // The halves of a layer are numbered. Scores are not scaled: the initialisation of the weights accounts for it.
  TransformerLayer layer(Side side) const {
    const bool decodes = side == Side::decoder;
    const std::string last = decodes ? "layer.2." : "layer.1.";
    const AttentionBlock attention{.heads = c.heads,
                                   .head_size = c.head_size,
                                   .projections = {.query = "q", .key = "k", .value = "v", .output = "o"},
                                   .scale = 1.0,
                                   .causal = decodes};
    FeedForward inner{.inner = c.inner, .activation = c.activation, .up = c.gated ? "wi_1" : "wi", .down = "wo"};
    if (c.gated) inner.gate = "wi_0";
    TransformerLayer form{.attention_at = "layer.0.SelfAttention",
                          .feed_forward_at = last + "DenseReluDense",
                          .attention = attention,
                          .feed_forward = inner,
                          .attention_branch = {.norm = rms(), .name = "layer.0.layer_norm"},
                          .feed_forward_branch = {.norm = rms(), .name = last + "layer_norm"}};
    if (decodes) form.cross = {"layer.1.EncDecAttention", attention, {.norm = rms(), .name = "layer.1.layer_norm"}};
    return form;
  }

  struct Places {
    Value queries, keys;  // i64[n], i64[total]
    bool bidirectional;
  };

  static Places places_of(const DecoderStep& step, const Cache& cache) {
    const Value queries = decoder_places(step, cache), past = cache.past_keys();
    return {queries, past ? range(size_of(past, 2) + size_of(step.ids, 1)) : queries, false};
  }

  // How far apart two tokens are, by the table of each layer or of its side's first one.
  void tell_distances(Attended& given, const Scope& side, const Places& places) const {
    const auto bias = [this, places](const Scope& attention) {
      return relative_bias(attention / "relative_attention_bias", places.queries, places.keys,
                           {c.buckets, c.max_distance, c.heads, places.bidirectional});
    };
    if (c.family.bias_in_each_layer)
      given.scores = [bias](const Scope& attention, const QueryKeyValue&) { return bias(attention); };
    else
      given.bias = bias(side / "block.0.layer.0.SelfAttention");
  }
};

}  // namespace t5
