// SPDX-License-Identifier: Apache-2.0
// T5Gemma: Gemma 2's layers as an encoder and a decoder, each with a config of its own. Source: T5GemmaModel,
// T5GemmaEncoderModel and their heads, transformers 4.57 and 5.24 (modeling_t5gemma.py).
#include <onnxport/blocks/layer.hpp>
#include <onnxport/layer_types.hpp>
#include <onnxport/plugin.hpp>
#include <onnxport/seq2seq.hpp>
#include <onnxport/text_encoder.hpp>

using namespace onnxport::sdk;

namespace {

const std::string full = "full_attention", sliding = "sliding_attention";

/// One of the two sides: T5GemmaModuleConfig.
struct Side {
  explicit Side(const Config& c)
      : vocab(c.size("vocab_size", 256000)),
        hidden(c.size("hidden_size", 2304)),
        inner(c.size("intermediate_size", 9216)),
        layers(c.count("num_hidden_layers", 26)),
        heads(c.size("num_attention_heads", 8)),
        kv_heads(c.size("num_key_value_heads", 4)),
        head_size(c.size("head_dim", 256)),
        positions(c.size("max_position_embeddings", 8192)),
        activation(c.text("hidden_activation", "gelu_pytorch_tanh")),
        rms{.kind = Norm::Kind::rms, .epsilon = c.real("rms_norm_eps", 1e-6), .offset = 1},
        bias(c.boolean("attention_bias", false)),
        scale(1 / std::sqrt(c.real("query_pre_attn_scalar", 256))),
        score_cap(c.is_null("attn_logit_softcapping") ? 0 : c.real("attn_logit_softcapping", 50)),
        word_cap(c.is_null("final_logit_softcapping") ? 0 : c.real("final_logit_softcapping", 30)),
        window(c.count("sliding_window", c.is_null("sliding_window") ? 0 : 4096)),
        pad(c.is_null("pad_token_id") ? std::nullopt : std::optional(c.integer("pad_token_id", 0))),
        tied(c.boolean("tie_word_embeddings", true)),
        rotary(c, head_size) {
    require_multiple({"num_attention_heads", heads}, {"num_key_value_heads", kv_heads});
    LayerTypes kinds{layers, {full}, [](int64_t i) { return (i + 1) % 2 == 0 ? full : sliding; }};
    if (window > 0) kinds.known.push_back(sliding);
    types = layer_types(c, kinds);
    // What the two are to each other is known.
    c.no_effect({"is_decoder", "cross_attention_hidden_size", "dropout_rate"});
  }
  int64_t vocab, hidden, inner, layers, heads, kv_heads, head_size, positions;
  std::string activation;
  Norm rms;
  bool bias;
  double scale, score_cap, word_cap;  // 0: no cap
  int64_t window;                     // in keys, of layers that have one; 0: none has
  std::optional<int64_t> pad;
  bool tied;  // by its own field
  Rotary rotary;
  std::vector<std::string> types;  // of each layer

  bool is_usual() const { return heads * head_size == hidden && kv_heads == heads; }
};

struct T5GemmaConfig {
  explicit T5GemmaConfig(const Config& c)
      : encoder(c.section("encoder")),
        // Version 4 takes what is missing from the other side; version 5 from the class's defaults.
        decoder(c.section(c.has("decoder") || !c.written_before(5, 0) ? "decoder" : "encoder")),
        tied(c.tie(true)),
        labels(c.num_labels()),
        pad(c.has("pad_token_id") ? c.maybe_integer("pad_token_id") : decoder.pad),
        // Version 4 sees keys less than the window's width away to either side, version 5 those at its edge as well.
        edge(c.written_before(5, 0) ? 0 : 1) {
    // In version 4 the vocabulary above the sides rules.
    const int64_t vocab = c.size("vocab_size", 256000);
    if (c.written_before(5, 0)) encoder.vocab = decoder.vocab = vocab;
    if (!tied && decoder.tied && c.written_before(5, 0)) {
      tied = true;
      words_width = {"that of the encoder, to whose words decoder.tie_word_embeddings ties the head", encoder.hidden};
      words_of = "encoder.embed_tokens";
    }
    c.no_effect({"classifier_dropout_rate", "dropout_rate", "is_encoder_decoder"});
  }
  Side encoder, decoder;
  Tie tied;
  /// What a tied head reads. Before version 5 the decoder's own field ties it as well, to the encoder's table, where
  /// the one above both sides does not. Source: PreTrainedModel.tie_weights, transformers 4.57.
  std::string words_of = "decoder.embed_tokens";
  Field words_width{"decoder.hidden_size", decoder.hidden};
  int64_t labels;
  std::optional<int64_t> pad;
  int64_t edge;  // of the encoder's windows
};

/// Both sides, below the base model.
struct T5GemmaModel {
  const T5GemmaConfig& c;

  /// f[batch, encoder_sequence, hidden]
  Value encode(const Scope& base, const Value& ids, const Value& mask) const {
    const Scope s = base / "encoder";
    const Value places = unsqueeze(range(size_of(ids, 1)), {0});
    const LayerStack stack{c.encoder.layers, [this](int64_t i) { return layer(c.encoder, i, false); }, "encoder_"};
    const Value x = transformer_layers(s / "layers", embed(s, c.encoder, ids), stack,
                                       {.mask = mask, .angles = c.encoder.rotary.angles(places.in(s / "rotary_emb"))});
    return finish(s, c.encoder, x, "encoder_hidden_states.");
  }

  /// f[batch, decoder_sequence, hidden]
  Value decode(const Scope& base, const DecoderStep& step, Cache& cache) const {
    const Scope s = base / "decoder";
    const Value places = unsqueeze(decoder_places(step, cache), {0});
    const LayerStack stack{c.decoder.layers, [this](int64_t i) { return layer(c.decoder, i, true); }, "decoder_"};
    const Value x = transformer_layers(s / "layers", embed(s, c.decoder, step.ids), stack,
                                       {.mask = step.mask,
                                        .angles = c.decoder.rotary.angles(places.in(s / "rotary_emb")),
                                        .cache = &cache,
                                        .encoder = {step.encoder_hidden, step.encoder_mask}});
    return finish(s, c.decoder, x, "decoder_hidden_states.");
  }

 private:
  static Value embed(const Scope& s, const Side& side, const Value& ids) {
    return embedding(s / "embed_tokens", ids, {side.vocab, side.hidden}) * std::sqrt(static_cast<double>(side.hidden));
  }
  static Value finish(const Scope& s, const Side& side, const Value& x, const std::string& step) {
    return s.graph().mark(step + std::to_string(side.layers), norm(s / "norm", x, side.rms));
  }

  TransformerLayer layer(const Side& side, int64_t index, bool decodes) const {
    const auto around = [&](const std::string& what) {
      return Residual{Placement::around, side.rms, "pre_" + what + "_layernorm", "post_" + what + "_layernorm"};
    };
    AttentionBlock attention{.heads = side.heads,
                             .kv_heads = side.kv_heads,
                             .head_size = side.head_size,
                             .projections = {.bias = {side.bias, side.bias, side.bias, side.bias}},
                             .scale = side.scale,
                             .softcap = side.score_cap};
    TransformerLayer form{.attention = attention,
                          .feed_forward = {.inner = side.inner, .activation = side.activation, .gate = "gate_proj"},
                          .attention_branch = around("self_attn"),
                          .feed_forward_branch = around("feedforward")};
    form.attention.causal = decodes;
    if (side.types[static_cast<size_t>(index)] == sliding)
      form.attention.window = decodes ? side.window : side.window + c.edge;
    if (decodes) form.cross = {"cross_attn", attention, around("cross_attn")};
    return form;
  }
};

/// Source: T5GemmaClassificationHead.
Value classes(const Value& x, int64_t labels) {
  return linear(x.graph().root() / "score.out_proj", x, {.out = labels});
}

class T5GemmaOnnxConfig final : public OnnxSeq2SeqConfigWithPast {
 public:
  explicit T5GemmaOnnxConfig(const Request& request) : OnnxSeq2SeqConfigWithPast(request), c(request.config) {}

  double atol_for_validation() const override { return 1e-4; }
  std::string base_model_prefix() const override { return "model"; }
  int64_t num_layers() const override { return c.decoder.layers; }
  int64_t num_attention_heads() const override { return c.decoder.heads; }
  int64_t num_key_value_heads() const override { return c.decoder.kv_heads; }
  int64_t head_size() const override { return c.decoder.head_size; }
  bool has_usual_cache() const override { return c.decoder.is_usual(); }
  int64_t vocab_size() const override { return c.encoder.vocab; }
  int64_t decoder_vocab_size() const override { return c.decoder.vocab; }
  int64_t encoder_width() const override { return c.encoder.hidden; }

  Value encode(Graph& g, const Inputs& in) const override {
    return model.encode(base(g), in.at("input_ids"), in.at("attention_mask"));
  }
  Value decode(Graph& g, const DecoderStep& step, Cache& cache) const override {
    if (c.tied && task() != "default") g.stand_in(base(g) / c.words_of, words_layer(g));
    return model.decode(base(g), step, cache);
  }

  // A text's class is read by where the encoder's text ends, which a decoder apart is not given.
  std::vector<Part> parts() const override {
    return task() == "sequence-classification" ? std::vector<Part>{} : OnnxSeq2SeqConfigWithPast::parts();
  }

  Heads heads() const override {
    return {head::hidden_states(), head::logits("seq2seq-lm", [this](const Encoded& at) { return words(at.hidden); }),
            head::logits("sequence-classification",
                         [this](const Encoded& at) {
                           const Value read = c.pad ? row_at(at.hidden, place_behind(at.in.at("input_ids"), at.hidden))
                                                    : pick(at.hidden, 1, -1);
                           return classes(read, c.labels);
                         }),
            head::logits("token-classification", [this](const Encoded& at) { return classes(at.hidden, c.labels); })};
  }

 private:
  Scope base(Graph& g) const { return task() == "default" ? g.root() : g.root() / "model"; }
  static Scope words_layer(Graph& g) { return g.root() / "lm_head.out_proj"; }

  Value words(const Value& decoded) const {
    Graph& g = decoded.graph();
    require_equal({"decoder.hidden_size", c.decoder.hidden}, c.words_width);
    const Value scores = linear(TiedLinear{words_layer(g), base(g) / c.words_of, c.tied}, decoded,
                                {.out = c.decoder.vocab, .bias = false});
    const double cap = c.decoder.word_cap;
    return cap == 0 ? scores : tanh(scores / cap) * cap;
  }

  // The decoder's text is the encoder's behind a token with which it starts, and so its last token that is no padding
  // stands one place further on, if there is one: ids: i64[batch, n], decoded: f[batch, m, hidden] -> i64[batch, 1]
  Value place_behind(const Value& ids, const Value& decoded) const {
    Graph& g = ids.graph();
    const Value last = size_of(decoded, 1) - g.integer(1);
    const Value is_text = cast(logical_not(equal(ids, *c.pad)), DType::i64);
    return g.op("Min", {largest(is_text * range(size_of(ids, 1)), {1}, true) + g.integer(1), last});
  }

  const T5GemmaConfig c;
  const T5GemmaModel model{c};
};

/// The encoder by itself, with the classifiers that it has.
class T5GemmaEncoderOnnxConfig final : public TextEncoder {
 public:
  explicit T5GemmaEncoderOnnxConfig(const Request& request) : TextEncoder(request), c(request.config) {}

 private:
  TextEncoderTraits traits() const override {
    return {.base = "model", .vocab = c.encoder.vocab, .pooler = false, .max_positions = c.encoder.positions};
  }
  Value encode(const Scope& base, const Text& text) const override { return model.encode(base, text.ids, text.mask); }

  TextHeads text_heads() const override {
    return {.own = {head::logits("sequence-classification",
                                 [this](const Encoded& at) {
                                   return classes(last_token(at.hidden, at.in.at("input_ids"), c.pad), c.labels);
                                 }),
                    head::logits("token-classification",
                                 [this](const Encoded& at) { return classes(at.hidden, c.labels); })}};
  }

  const T5GemmaConfig c;
  const T5GemmaModel model{c};
};

std::unique_ptr<OnnxConfig> make_t5gemma(const Request& request) {
  if (request.config.boolean("is_encoder_decoder", true)) return make<T5GemmaOnnxConfig>(request);
  const std::string& feature = request.feature;
  if (feature == "default" || feature.ends_with("-classification")) return make<T5GemmaEncoderOnnxConfig>(request);
  throw Error(ONNXPORT_CONFIG,
              "config field 'is_encoder_decoder' is false; the feature '" + feature +
                  "' needs a decoder, and an encoder alone has 'default', 'sequence-classification' and "
                  "'token-classification'");
}

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.t5gemma",
    .name = "T5Gemma",
    .models = {{.types = {"t5gemma"},
                .features = {"default", "default-with-past", "seq2seq-lm", "seq2seq-lm-with-past",
                             "sequence-classification", "token-classification"},
                .make = make_t5gemma}},
})
