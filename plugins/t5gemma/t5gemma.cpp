// SPDX-License-Identifier: Apache-2.0
// T5Gemma: Gemma 2's layers as an encoder and a decoder. Source: T5GemmaModel, T5GemmaEncoderModel and their heads,
// transformers 4.57 and 5.24 (modeling_t5gemma.py).
#include <onnxport/blocks/layer.hpp>
#include <onnxport/layer_types.hpp>
#include <onnxport/plugin.hpp>
#include <onnxport/rotary.hpp>

using namespace onnxport::sdk;

namespace {

const std::string full = "full_attention", sliding = "sliding_attention";

/// One side: the config field "encoder" or "decoder".
struct Side {
  Side(const Config& c, bool recent)
      : vocab(c.size("vocab_size", 256000)),
        width(c.size("hidden_size", 2304)),
        inner(c.size("intermediate_size", 9216)),
        layers(c.count("num_hidden_layers", 26)),
        heads(c.size("num_attention_heads", 8)),
        kv_heads(c.size("num_key_value_heads", 4)),
        head_size(c.size("head_dim", 256)),
        window(c.count("sliding_window", 4096)),
        // To both sides a token sees as far, and since version 5 one further.
        encoder_window(recent ? window + 1 : window),
        activation(c.text("hidden_activation", "gelu_pytorch_tanh")),
        rms{.kind = Norm::Kind::rms, .epsilon = c.real("rms_norm_eps", 1e-6), .offset = 1},
        bias(c.boolean("attention_bias", false)),
        scale(1 / std::sqrt(c.real("query_pre_attn_scalar", 256))),
        score_cap(c.is_null("attn_logit_softcapping") ? 0 : c.real("attn_logit_softcapping", 50)),
        word_cap(c.is_null("final_logit_softcapping") ? 0 : c.real("final_logit_softcapping", 30)),
        types(layer_types(c, {layers, {full, sliding}, [](int64_t i) { return i % 2 == 0 ? sliding : full; }})),
        rotary(c, head_size) {
    require_multiple({"num_attention_heads", heads}, {"num_key_value_heads", kv_heads});
    c.no_effect({"cross_attention_hidden_size", "dropout_rate", "is_decoder", "use_cache", "tie_word_embeddings"});
  }

  /// A layer's attention to its own text and feed-forward; `sees`: how far where it does not see all.
  TransformerLayer layer(int64_t i, int64_t sees) const {
    const auto around = [this](const char* before, const char* behind) {
      return Residual{Placement::around, rms, before, behind};
    };
    return {.attention = {.heads = heads,
                          .kv_heads = kv_heads,
                          .head_size = head_size,
                          .projections = {.bias = {bias, bias, bias, bias}},
                          .scale = scale,
                          .softcap = score_cap,
                          .window = types[static_cast<size_t>(i)] == sliding ? sees : 0},
            .feed_forward = {.inner = inner, .activation = activation, .gate = "gate_proj"},
            .attention_branch = around("pre_self_attn_layernorm", "post_self_attn_layernorm"),
            .feed_forward_branch = around("pre_feedforward_layernorm", "post_feedforward_layernorm")};
  }

  Value embed(const Scope& s, const Value& ids) const {
    return embedding(s / "embed_tokens", ids, {vocab, width}).in(s)*std::sqrt(static_cast<double>(width));
  }

  int64_t vocab, width, inner, layers, heads, kv_heads, head_size, window, encoder_window;
  std::string activation;
  Norm rms;
  bool bias;
  double scale, score_cap, word_cap;  // of the caps 0: none
  std::vector<std::string> types;     // of each layer
  Rotary rotary;
};

struct T5GemmaConfig {
  explicit T5GemmaConfig(const Config& c)
      : encoder(c.section("encoder"), c.written_since(5, 0)),
        decoder(c.section("decoder"), c.written_since(5, 0)),
        tied(c.tie(true)),
        labels(c.num_labels()),
        pad(c.maybe_integer("pad_token_id")) {
    if (!pad && !c.is_null("pad_token_id")) pad = c.section("decoder").integer("pad_token_id", 0);
    c.no_effect({"vocab_size", "dropout_rate", "classifier_dropout_rate", "is_encoder_decoder"});
  }
  Side encoder, decoder;
  Tie tied;
  int64_t labels;
  std::optional<int64_t> pad;
};

/// Both sides below a scope: the root, or "model" within the classes that have a head.
struct T5GemmaModel {
  const T5GemmaConfig& c;

  Value encode(const Scope& base, const Value& ids, const Value& mask) const {
    const Scope s = base / "encoder";
    const Side& side = c.encoder;
    const Value positions = unsqueeze(range(size_of(ids, 1)), {0}).in(s / "rotary_emb");
    const LayerStack stack{side.layers, [&](int64_t i) { return side.layer(i, side.encoder_window); }, "encoder_"};
    const Value x = transformer_layers(s / "layers", side.embed(s, ids), stack,
                                       {.mask = mask, .angles = side.rotary.angles(positions)});
    return s.graph().mark("encoder_hidden_states." + std::to_string(side.layers), norm(s / "norm", x, side.rms));
  }

  Value decode(const Scope& base, const DecoderStep& step, Cache& cache) const {
    const Scope s = base / "decoder";
    const Side& side = c.decoder;
    const Value positions = unsqueeze(decoder_places(step, cache), {0}).in(s / "rotary_emb");
    const auto layer = [&](int64_t i) {
      TransformerLayer form = side.layer(i, side.window);
      form.attention.causal = true;
      form.cross = {"cross_attn",
                    form.attention,
                    {Placement::around, side.rms, "pre_cross_attn_layernorm", "post_cross_attn_layernorm"}};
      return form;
    };
    const Value x = transformer_layers(s / "layers", side.embed(s, step.ids), {side.layers, layer, "decoder_"},
                                       {.mask = step.mask,
                                        .angles = side.rotary.angles(positions),
                                        .cache = &cache,
                                        .encoder = {step.encoder_hidden, step.encoder_mask}});
    return s.graph().mark("decoder_hidden_states." + std::to_string(side.layers), norm(s / "norm", x, side.rms));
  }
};

class T5GemmaOnnxConfig final : public OnnxSeq2SeqConfigWithPast {
 public:
  explicit T5GemmaOnnxConfig(const Request& request) : OnnxSeq2SeqConfigWithPast(request), c(request.config) {}

  std::string base_model_prefix() const override { return "model"; }
  double atol_for_validation() const override { return 1e-4; }
  int64_t num_layers() const override { return c.decoder.layers; }
  int64_t num_attention_heads() const override { return c.decoder.heads; }
  int64_t num_key_value_heads() const override { return c.decoder.kv_heads; }
  int64_t head_size() const override { return c.decoder.head_size; }
  int64_t vocab_size() const override { return c.encoder.vocab; }
  int64_t decoder_vocab_size() const override { return c.decoder.vocab; }
  int64_t encoder_width() const override { return c.encoder.width; }
  bool has_usual_cache() const override { return false; }

  Value encode(Graph& g, const Inputs& in) const override {
    return model.encode(base(g), in.at("input_ids"), in.at("attention_mask"));
  }
  Value decode(Graph& g, const DecoderStep& step, Cache& cache) const override {
    return model.decode(base(g), step, cache);
  }

  Heads heads() const override {
    const auto classes = [this](const Value& x) {
      return linear(x.graph().root() / "score.out_proj", x, {.out = c.labels});
    };
    return {head::hidden_states(), head::logits("seq2seq-lm", [this](const Encoded& at) { return words(at.hidden); }),
            head::logits("sequence-classification",
                         [this, classes](const Encoded& at) { return classes(behind_last(at.hidden, at.in)); }),
            head::logits("token-classification", [classes](const Encoded& at) { return classes(at.hidden); })};
  }

 private:
  Scope base(Graph& g) const { return task() == "default" ? g.root() : g.root() / "model"; }

  Value words(const Value& decoded) const {
    Graph& g = decoded.graph();
    const Side& side = c.decoder;
    const TiedLinear head{g.root() / "lm_head.out_proj", base(g) / "decoder.embed_tokens", c.tied};
    const Value logits = linear(head, decoded, {.out = side.vocab, .bias = false});
    return side.word_cap == 0 ? logits : tanh(logits / side.word_cap) * side.word_cap;
  }

  // The decoder's place behind the encoder's last token that is no padding, whose text it is shifted by one.
  Value behind_last(const Value& x, const Inputs& in) const {
    Graph& g = x.graph();
    const Value ids = in.at("input_ids"), last = size_of(x, 1) - g.integer(1);
    if (!c.pad) return pick(x, 1, -1);
    const Value is_text = cast(logical_not(equal(ids, *c.pad)), DType::i64);
    const Value place = largest(is_text * range(size_of(ids, 1)), {1}, true);
    return row_at(x, g.op("Min", {place + g.integer(1), last}));
  }

  const T5GemmaConfig c;
  const T5GemmaModel model{c};
};

/// The encoder by itself: T5GemmaEncoderModel, and the classifiers of a config that says is_encoder_decoder=false.
class T5GemmaEncoderOnnxConfig final : public TextEncoder {
 public:
  explicit T5GemmaEncoderOnnxConfig(const Request& request) : TextEncoder(request), c(request.config) {}

 private:
  TextEncoderTraits traits() const override { return {.base = "model", .vocab = c.encoder.vocab, .pooler = false}; }
  Value encode(const Scope& base, const Text& text) const override { return model.encode(base, text.ids, text.mask); }
  TextHeads text_heads() const override {
    return {.summary = [this](const Encoded& at) { return last_token(at.hidden, at.in.at("input_ids"), c.pad); },
            .classifier = "score.out_proj"};
  }

  const T5GemmaConfig c;
  const T5GemmaModel model{c};
};

std::unique_ptr<OnnxConfig> make_t5gemma(const Request& request) {
  if (request.config.boolean("is_encoder_decoder", true)) return make<T5GemmaOnnxConfig>(request);
  if (request.feature.starts_with("seq2seq-lm") || request.feature.ends_with("-with-past")) {
    throw Error(ONNXPORT_CONFIG, "the feature '" + request.feature +
                                     "' needs a decoder, and config field 'is_encoder_decoder' is false; the encoder "
                                     "has 'default', 'sequence-classification' and 'token-classification'");
  }
  return make<T5GemmaEncoderOnnxConfig>(request);
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
