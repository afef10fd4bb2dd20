// SPDX-License-Identifier: Apache-2.0
// T5, mT5 and UMT5. Source: T5Model, its heads and T5EncoderModel, and their mT5 and UMT5 twins,
// transformers 4.30, 4.57 and 5.24.
#include <onnxport/blocks/layer.hpp>
#include <onnxport/plugin.hpp>
#include <onnxport/relative_bias.hpp>

using namespace onnxport::sdk;

namespace {

constexpr std::initializer_list<std::pair<const char*, const char*>> names{{"d_model", "hidden_size"},
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
};
constexpr Family families[] = {
    {.type = "t5", .vocab = 32128, .inner = 2048, .layers = 6, .heads = 8, .feed_forward = "relu"},
    {.type = "mt5", .scales = false, .tied = false},
    {.type = "umt5", .bias_in_each_layer = true},
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
        tied(c.tie(of.tied)),
        scaled(c.written_since(5, 0) ? of.scales && c.boolean("scale_decoder_outputs", tied.by_config)
                                     : tied.by_config) {
    // "relu", or "gated-gelu": the activation, and whether a second product gates it.
    const std::string form = c.text("feed_forward_proj", of.feed_forward);
    const bool is_gated = form.starts_with("gated-");
    const std::string named = is_gated ? form.substr(6) : form;
    activation = c.text("dense_act_fn", form == "gated-gelu" ? "gelu_new" : named);
    gated = c.boolean("is_gated_act", is_gated);
    labels = c.num_labels();
    eos = c.has("eos_token_id") ? c.ids("eos_token_id") : std::vector<int64_t>{1};
    c.no_effect({"n_positions", "output_past", "classifier_dropout", "scalable_attention", "tokenizer_class"});
  }
  const Family& family;
  int64_t vocab, width, head_size, inner, layers, decoder_layers, heads, buckets, max_distance;
  double epsilon;
  Tie tied;
  bool scaled;  // what the head reads
  std::string activation;
  bool gated;
  int64_t labels;
  std::vector<int64_t> eos;
};

/// The two sides below a scope: the root, or "transformer" within the classes whose head stands beside them.
struct T5Model {
  const T5Config& c;

  // ids, mask: i64[batch, encoder_sequence] -> f32[batch, encoder_sequence, width]
  Value encode(const Scope& base, const Value& ids, const Value& mask) const {
    Graph& g = base.graph();
    const Scope encoder = base / "encoder";
    Value x = embed(base, ids, encoder);
    const Value places = range(size_of(ids, 1));
    Attended given{.mask = mask};
    tell_distances(given, encoder, {places, places, true});
    x = transformer_layers(encoder / "block", x,
                           {c.layers, [this](int64_t) { return layer(Side::encoder); }, "encoder_"}, given);
    return g.mark("encoder_hidden_states." + std::to_string(c.layers), norm(encoder / "final_layer_norm", x, rms()));
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

  // Both sides' embedding, of which checkpoints may hold copies.
  static Scope shared(const Scope& base) {
    base.graph().unused("*coder.embed_tokens.weight");
    return first_with("weight", {base / "shared", base / "encoder.embed_tokens", base / "decoder.embed_tokens"});
  }

 private:
  Value embed(const Scope& base, const Value& ids, const Scope& side) const {
    return embedding(shared(base), ids, {c.vocab, c.width}).in(side);
  }

  Norm rms() const { return {.kind = Norm::Kind::rms, .epsilon = c.epsilon}; }

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

/// An encoder and a decoder.
class T5OnnxConfig final : public OnnxSeq2SeqConfigWithPast {
 public:
  explicit T5OnnxConfig(const Request& request)
      : OnnxSeq2SeqConfigWithPast(request), c(request.config.with_names(names), row_of(families, request.model_type)) {}

  double atol_for_validation() const override { return 1e-4; }
  std::string base_model_prefix() const override { return "transformer"; }
  int64_t num_layers() const override { return c.decoder_layers; }
  int64_t num_attention_heads() const override { return c.heads; }
  int64_t head_size() const override { return c.head_size; }
  int64_t vocab_size() const override { return c.vocab; }
  int64_t encoder_width() const override { return c.width; }
  bool has_usual_cache() const override { return c.heads * c.head_size == c.width; }
  std::vector<std::string> keep_in_fp32() const override { return {"wo"}; }  // its products leave the range of f16
  // A text's class is read at the place of its last end token, on the decoder's side.
  const char* decoder_axis() const override {
    return classifies() ? axis::encoder_sequence : OnnxSeq2SeqConfigWithPast::decoder_axis();
  }

  Value encode(Graph& g, const Inputs& in) const override {
    return model.encode(base(g), in.at("input_ids"), in.at("attention_mask"));
  }
  Value decode(Graph& g, const DecoderStep& step, Cache& cache) const override {
    return model.decode(base(g), step, cache);
  }

  Heads heads() const override {
    return {head::hidden_states(), head::logits("seq2seq-lm", [this](const Encoded& at) { return words(at.hidden); }),
            head::logits("sequence-classification", [this](const Encoded& at) { return classes(at); }),
            head::answer_span()};
  }

 private:
  bool classifies() const { return task() == "sequence-classification"; }
  Scope base(Graph& g) const { return classifies() ? g.root() / "transformer" : g.root(); }

  // A tied head's input is scaled down, as the embedding was not made for it. Version 5 keeps the two apart, and never
  // scales mT5's.
  Value words(const Value& decoded) const {
    Graph& g = decoded.graph();
    const Value x = c.scaled ? decoded * (1 / std::sqrt(static_cast<double>(c.width))) : decoded;
    return linear(TiedLinear{g.root() / "lm_head", T5Model::shared(g.root()), c.tied}, x,
                  {.out = c.vocab, .bias = false});
  }

  Value classes(const Encoded& at) const {
    const Value last = at_last_end(at.hidden, at.in.at("input_ids"), c.eos);
    return text_classifier(at.base / "classification_head", last, c.width, c.labels);
  }

  const T5Config c;
  const T5Model model{c};
};

/// The encoder by itself: T5EncoderModel, and T5ForTokenClassification.
class T5EncoderOnnxConfig final : public TextEncoder {
 public:
  explicit T5EncoderOnnxConfig(const Request& request)
      : TextEncoder(request), c(request.config.with_names(names), row_of(families, request.model_type)) {}

  std::vector<std::string> keep_in_fp32() const override { return {"wo"}; }

 private:
  TextEncoderTraits traits() const override { return {.base = "transformer", .vocab = c.vocab, .pooler = false}; }
  TextHeads text_heads() const override { return {}; }
  Value encode(const Scope& base, const Text& text) const override { return model.encode(base, text.ids, text.mask); }

  const T5Config c;
  const T5Model model{c};
};

/// Whether the checkpoint was saved of a class that has no decoder.
bool is_encoder_alone(const Config& config) {
  for (const std::string& name : config.texts("architectures")) {
    if (name.ends_with("EncoderModel") || name.ends_with("ForTokenClassification")) return true;
  }
  return !config.boolean("is_encoder_decoder", true);
}

std::unique_ptr<OnnxConfig> make_t5(const Request& request) {
  const bool alone = is_encoder_alone(request.config);
  if (request.feature == "token-classification" || (alone && request.feature == "default"))
    return make<T5EncoderOnnxConfig>(request);
  if (alone) {
    throw Error(ONNXPORT_CONFIG, "the feature '" + request.feature +
                                     "' needs a decoder, and config.json says that the checkpoint holds an encoder "
                                     "alone (architectures, is_encoder_decoder); it has 'default' and "
                                     "'token-classification'");
  }
  return make<T5OnnxConfig>(request);
}

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.t5",
    .name = "T5, mT5 and UMT5",
    .models = {{.types = {"t5", "mt5", "umt5"},
                .features = {"default", "default-with-past", "seq2seq-lm", "seq2seq-lm-with-past",
                             "sequence-classification", "token-classification", "question-answering"},
                .make = make_t5}},
})
