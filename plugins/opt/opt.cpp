// SPDX-License-Identifier: Apache-2.0
// OPT, XGLM and BioGPT, the decoders that came out of fairseq. Source: OPTModel, XGLMModel, BioGptModel and their
// heads, transformers 4.30, 4.57 and 5.24.
#include <onnxport/blocks/layer.hpp>
#include <onnxport/plugin.hpp>
#include <onnxport/sinusoids.hpp>
#include <onnxport/text_decoder.hpp>

using namespace onnxport::sdk;

namespace {

using Names = std::initializer_list<std::pair<const char*, const char*>>;
constexpr Names opt_names{{"intermediate_size", "ffn_dim"}, {"hidden_act", "activation_function"}};
constexpr Names xglm_names{{"hidden_size", "d_model"},
                           {"num_hidden_layers", "num_layers"},
                           {"num_attention_heads", "attention_heads"},
                           {"intermediate_size", "ffn_dim"},
                           {"hidden_act", "activation_function"}};

/// What tells positions apart.
enum class Places { learned, sinusoidal };

/// What a type does, and its config class's defaults.
struct Family {
  const char* type;
  Names names;  // of its fields, after those that most types have
  int64_t vocab, hidden, inner, layers, heads, positions;
  const char* activation;
  Places places;
  bool counts_mask;    // without position_ids its places are those along the mask
  bool has_options;    // OPT's, which XGLM and BioGPT have not got
  bool scales_words;   // by √width, unless config.json says otherwise
  bool over_encoder;   // its layers may attend to an encoder's result
  const char* base;    // the base model within the models with a head
  const char* module;  // the layers' module below it; "" for itself
  const char* final_norm;
  const char* words;  // the heads' layers; "": the reference has not got the head
  const char *classes, *token_classes, *span;
};
constexpr Family families[] = {
    {.type = "opt",
     .names = opt_names,
     .vocab = 50272,
     .hidden = 768,
     .inner = 3072,
     .layers = 12,
     .heads = 12,
     .positions = 2048,
     .activation = "relu",
     .places = Places::learned,
     .counts_mask = true,
     .has_options = true,
     .scales_words = false,
     .over_encoder = false,
     .base = "model",
     .module = "decoder",
     .final_norm = "final_layer_norm",
     .words = "lm_head",
     .classes = "score",
     .token_classes = "",
     .span = "qa_outputs"},
    {.type = "xglm",
     .names = xglm_names,
     .vocab = 256008,
     .hidden = 1024,
     .inner = 4096,
     .layers = 24,
     .heads = 16,
     .positions = 2048,
     .activation = "gelu",
     .places = Places::sinusoidal,
     .counts_mask = false,
     .has_options = false,
     .scales_words = true,
     .over_encoder = true,
     .base = "model",
     .module = "",
     .final_norm = "layer_norm",
     .words = "lm_head",
     .classes = "",
     .token_classes = "",
     .span = ""},
    {.type = "biogpt",
     .names = {},
     .vocab = 42384,
     .hidden = 1024,
     .inner = 4096,
     .layers = 24,
     .heads = 16,
     .positions = 1024,
     .activation = "gelu",
     .places = Places::learned,
     .counts_mask = true,
     .has_options = false,
     .scales_words = true,
     .over_encoder = false,
     .base = "biogpt",
     .module = "",
     .final_norm = "layer_norm",
     .words = "output_projection",
     .classes = "score",
     .token_classes = "classifier",
     .span = ""},
};

/// Tables of positions begin with two rows that no token has, and padding the second.
constexpr int64_t first_place = 2;

struct OptConfig {
  OptConfig(const Config& c, const Family& family)
      : vocab(c.size("vocab_size", family.vocab)),
        hidden(c.size("hidden_size", family.hidden)),
        inner(c.size("intermediate_size", family.inner)),
        layers(c.count("num_hidden_layers", family.layers)),
        heads(c.size("num_attention_heads", family.heads)),
        positions(c.size("max_position_embeddings", family.positions)),
        activation(c.text("hidden_act", family.activation)),
        tied(c.tie(true)),
        labels(c.num_labels()),
        pad(c.is_null("pad_token_id") ? std::nullopt : std::optional(c.integer("pad_token_id", 1))),
        words_width(hidden) {
    require_multiple({"hidden_size", hidden}, {"num_attention_heads", heads});
    // BioGPT's norms have torch's own epsilon, whatever is stated.
    c.no_effect({"layer_norm_eps", "layerdrop", "init_std", "decoder_start_token_id"});
    c.no_effect({"learned_embeddings", "scale_embeddings"});  // of Galactica, which no class reads
    if (family.scales_words && c.boolean("scale_embedding", true)) scale = std::sqrt(static_cast<double>(hidden));
    if (family.has_options) read_options(c);
    // Since version 5 BioGPT counts places in sequence.
    counts_mask = family.counts_mask && (family.has_options || !c.written_since(5, 0));
  }
  int64_t vocab, hidden, inner, layers, heads, positions;
  std::string activation;
  Tie tied;
  int64_t labels;
  std::optional<int64_t> pad;
  int64_t words_width;
  double scale = 1;
  bool counts_mask = false;
  bool norm_before = true, final_norm = true, bias = true;
  Norm norm{};

 private:
  void read_options(const Config& c) {
    words_width = c.size("word_embed_proj_dim", hidden);
    norm_before = c.boolean("do_layer_norm_before", true);
    final_norm = norm_before && !c.boolean("_remove_final_layer_norm", false);
    bias = c.boolean("enable_bias", true);
    norm.weight = norm.bias = c.boolean("layer_norm_elementwise_affine", true);
  }
};

class OptOnnxConfig final : public TextDecoder {
 public:
  explicit OptOnnxConfig(const Request& request)
      : TextDecoder(request),
        family(row_of(families, request.model_type)),
        c(request.config.with_names(family.names), family),
        beside(family.over_encoder && width_over_encoder(request) > 0) {}

  int64_t num_layers() const override { return c.layers; }
  int64_t num_attention_heads() const override { return c.heads; }
  int64_t head_size() const override { return c.hidden / c.heads; }
  Positions positions_in_generation() const override { return Positions::mask; }

 private:
  TextDecoderTraits traits() const override {
    return {.base = family.base,
            .vocab = c.vocab,
            .max_positions = c.positions,
            .embedding = below(family.module, "embed_tokens"),
            .tied = c.tied,
            .words = family.words,
            .labels = c.labels,
            .pad = c.pad,
            .classes = family.classes,
            .token_classes = family.token_classes,
            .span = family.span,
            .hidden = c.words_width,
            .encoder_width = beside ? c.hidden : 0};
  }
  static std::string below(const std::string& module, const char* name) {
    return module.empty() ? name : module + "." + name;
  }

  Scope module_of(const Scope& base) const { return *family.module == '\0' ? base : base / family.module; }

  Value embed(const Scope& base, const Value& ids) const override {
    const Value x = embedding(module_of(base) / "embed_tokens", ids, {c.vocab, c.words_width});
    return c.scale != 1 ? x * c.scale : x;
  }

  Value decode(const Scope& base, const Inputs& in, Cache& cache) const override {
    const Scope s = module_of(base);
    Graph& g = s.graph();
    g.unused((s / "embed_positions.weights").path());  // the table of sinusoids, which older releases saved
    if (!beside) g.unused("*.encoder_attn*");          // without an encoder they have nothing to attend to
    Value x = start(base, in);
    if (c.words_width != c.hidden) x = linear(s / "project_in", x, {.out = c.hidden, .bias = false});
    x = x + embed_places(s / "embed_positions", in);
    x = transformer_layers(s / "layers", x, {c.layers, [this](int64_t) { return layer(); }},
                           {.mask = in.at("attention_mask"), .cache = &cache, .encoder = over_encoder(in)});
    if (c.final_norm) x = norm(s / family.final_norm, x, c.norm);
    if (c.words_width != c.hidden) x = linear(s / "project_out", x, {.out = c.words_width, .bias = false});
    return g.mark("hidden_states." + std::to_string(c.layers), x);
  }

  // f32[batch or 1, sequence, hidden]
  Value embed_places(const Scope& s, const Inputs& in) const {
    const bool along_mask = c.counts_mask && positions() != Positions::input;
    const Value places = (along_mask ? places_along_mask(in) : position_ids(in)).in(s) + s.graph().integer(first_place);
    if (family.places == Places::learned) return embedding(s, places, {c.positions + first_place, c.hidden});
    return sinusoids_of(places);
  }

  // Counted along the mask, and -1 at padding: i64[batch, sequence]. Source: OPTLearnedPositionalEmbedding.
  Value places_along_mask(const Inputs& in) const {
    const Value mask = in.at("attention_mask");
    const Value all = cumulative_sum(mask, 1) * mask - mask.graph().integer(1);
    const Value past = cache_of(in).past_length();
    return past ? from_row(all, 1, past) : all;
  }

  // Source: XGLMSinusoidalPositionalEmbedding. The place whose number is the padding token's is at 0; an odd width ends
  // in one more 0.
  Value sinusoids_of(const Value& places) const {
    Graph& g = places.graph();
    const int64_t half = c.hidden / 2;
    std::vector<double> frequencies;
    for (int64_t i = 0; i < half; ++i)
      frequencies.push_back(std::exp(-std::log(10000.0) * static_cast<double>(i) / static_cast<double>(half - 1)));
    Value x = sinusoids(places, frequencies);
    if (c.hidden % 2 == 1) x = concat({x, cast(unsqueeze(places, {-1}), DType::f32) * 0.0}, -1);
    if (!c.pad || *c.pad < first_place) return x;
    return where(unsqueeze(equal(places, *c.pad), {-1}), g.scalar(0), x);
  }

  TransformerLayer layer() const {
    const Placement placement = c.norm_before ? Placement::before : Placement::after;
    const AttentionBlock attention{.heads = c.heads,
                                   .head_size = head_size(),
                                   .projections = {.output = "out_proj", .bias = {c.bias, c.bias, c.bias, c.bias}},
                                   .causal = true};
    TransformerLayer form{
        .feed_forward_at = "",
        .attention = attention,
        .feed_forward = {.inner = c.inner, .activation = c.activation, .up = "fc1", .down = "fc2", .bias = c.bias},
        .attention_branch = {placement, c.norm, "self_attn_layer_norm"},
        .feed_forward_branch = {placement, c.norm, "final_layer_norm"}};
    if (beside) form.cross = {"encoder_attn", attention, {placement, c.norm, "encoder_attn_layer_norm"}};
    return form;
  }

  const Family& family;
  const OptConfig c;
  const bool beside;  // an encoder
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.opt",
    .name = "OPT, XGLM and BioGPT",
    .models = {{.types = {"opt"},
                .features = {"default", "default-with-past", "causal-lm", "causal-lm-with-past",
                             "sequence-classification", "question-answering"},
                .make = make<OptOnnxConfig>},
               {.types = {"xglm"},
                .features = {"default", "default-with-past", "causal-lm", "causal-lm-with-past"},
                .make = make<OptOnnxConfig>},
               {.types = {"biogpt"},
                .features = {"default", "default-with-past", "causal-lm", "causal-lm-with-past",
                             "sequence-classification", "token-classification"},
                .make = make<OptOnnxConfig>}},
})
