// SPDX-License-Identifier: Apache-2.0
// Gemma, Gemma 2, VaultGemma and the text model of Gemma 3. Source: GemmaModel, Gemma2Model, VaultGemmaModel,
// Gemma3TextModel and their heads, transformers 4.57 and 5.24.
#include <optional>

#include <onnxport/blocks/layer.hpp>
#include <onnxport/layer_types.hpp>
#include <onnxport/plugin.hpp>
#include <onnxport/rotary.hpp>
#include <onnxport/usual_cache.hpp>

using namespace onnxport::sdk;

namespace {

const std::string full = "full_attention", sliding = "sliding_attention";

/// How many layers it takes until one sees the whole text; the others have a window.
struct Pattern {
  int64_t every = 0;    // 0: all layers see it
  bool stated = false;  // whether config.json may say otherwise
};

/// A soft cap: whether the type has it, and where config.json says nothing.
struct SoftCap {
  bool known = false;
  double otherwise = 0;
};

/// What a generation does, and its config class's defaults.
struct Family {
  const char* type;
  const char* activation;  // the field
  int64_t vocab, hidden, inner, layers, heads, kv_heads, positions;
  bool norms_around = false, query_key_norm = false, query_scalar = false;
  Pattern pattern{};
  SoftCap scores{}, words{};
  double local_theta = 0;      // 0: layers with a window turn as the others do
  bool bidirectional = false;  // whether it can be
  bool classes = true, token_classes = true;
  const char* feed_forward_norm = "post_attention_layernorm";  // where norms stand before the branches
};
constexpr Family families[] = {
    {.type = "gemma",
     .activation = "hidden_act",
     .vocab = 256000,
     .hidden = 3072,
     .inner = 24576,
     .layers = 28,
     .heads = 16,
     .kv_heads = 16,
     .positions = 8192},
    {.type = "gemma2",
     .activation = "hidden_activation",
     .vocab = 256000,
     .hidden = 2304,
     .inner = 9216,
     .layers = 26,
     .heads = 8,
     .kv_heads = 4,
     .positions = 8192,
     .norms_around = true,
     .query_scalar = true,
     .pattern = {.every = 2},
     .scores = {true, 50},
     .words = {true, 30}},
    {.type = "vaultgemma",
     .activation = "hidden_activation",
     .vocab = 256000,
     .hidden = 2304,
     .inner = 9216,
     .layers = 26,
     .heads = 8,
     .kv_heads = 4,
     .positions = 8192,
     .query_scalar = true,
     .pattern = {.every = 2},
     .scores = {true, 50},
     .words = {true, 30},
     .classes = false,
     .token_classes = false,
     .feed_forward_norm = "pre_feedforward_layernorm"},
    {.type = "gemma3_text",
     .activation = "hidden_activation",
     .vocab = 262208,
     .hidden = 2304,
     .inner = 9216,
     .layers = 26,
     .heads = 8,
     .kv_heads = 4,
     .positions = 131072,
     .norms_around = true,
     .query_key_norm = true,
     .query_scalar = true,
     .pattern = {.every = 6, .stated = true},
     .words = {true, 0},
     .local_theta = 10000,
     .bidirectional = true,
     .token_classes = false},
};

/// What a model around a decoder says of its attention. PaliGemma's config says that its Gemma looks both ways, which
/// is what PaliGemma makes of the masks that it is given; the decoder by itself looks back ("causal"). Where all of a
/// text is such a prefix, its tokens see each other, and no layer has a window ("full").
std::string said_by_model_around(const Config& options) {
  return options.text("attention", "");
}

struct GemmaConfig {
  GemmaConfig(const Config& c, const Family& family, const Config& options)
      : vocab(c.size("vocab_size", family.vocab)),
        hidden(c.size("hidden_size", family.hidden)),
        inner(c.size("intermediate_size", family.inner)),
        layers(c.count("num_hidden_layers", family.layers)),
        heads(c.size("num_attention_heads", family.heads)),
        kv_heads(c.size("num_key_value_heads", family.kv_heads)),
        head_size(c.size("head_dim", 256)),
        positions(c.size("max_position_embeddings", family.positions)),
        activation(c.text(family.activation, "gelu_pytorch_tanh")),
        rms{.kind = Norm::Kind::rms, .epsilon = c.real("rms_norm_eps", 1e-6), .offset = 1},
        bias(c.boolean("attention_bias", false)),
        tied(c.tie(true)),
        full_by_model_around(said_by_model_around(options) == "full"),
        causal(!full_by_model_around &&
               (said_by_model_around(options) == "causal" || !c.boolean("use_bidirectional_attention", false))),
        scale(family.query_scalar ? 1 / std::sqrt(c.real("query_pre_attn_scalar", 256)) : 0),
        score_cap(cap_of(c, "attn_logit_softcapping", family.scores)),
        word_cap(cap_of(c, "final_logit_softcapping", family.words)),
        window(full_by_model_around ? 0 : window_of(c, family, causal)),
        types(full_by_model_around ? std::vector<std::string>{} : types_of(c, family, *this)),
        rotary(rotary_of(c, family, head_size)),
        labels(c.num_labels()),
        pad(c.integer("pad_token_id", 0)) {
    require_multiple({"num_attention_heads", heads}, {"num_key_value_heads", kv_heads});
    if (!causal && !family.bidirectional && !full_by_model_around) {
      throw Error(ONNXPORT_UNSUPPORTED, "config field 'use_bidirectional_attention' is true; supported for " +
                                            std::string(family.type) + ": false");
    }
    // The first files say "gelu" and mean its approximation.
    if (std::string_view(family.activation) == "hidden_act" && activation == "gelu") activation = "gelu_pytorch_tanh";
    c.no_effect({"hidden_act", "hidden_activation"});  // where the other one rules
    // The first is Gemma 2's, which Gemma 3 keeps and never reads; the second is what layer_types came from.
    c.no_effect({"attn_logit_softcapping", "_sliding_window_pattern", "cache_implementation"});
    if (full_by_model_around) c.no_effect({"use_bidirectional_attention", "sliding_window", "layer_types"});
  }
  int64_t vocab, hidden, inner, layers, heads, kv_heads, head_size, positions;
  std::string activation;
  Norm rms;
  bool bias;
  Tie tied;
  bool full_by_model_around, causal;
  double scale, score_cap, word_cap;  // 0: the usual one, none, none
  int64_t window;                     // in keys; 0: none
  std::vector<std::string> types;     // of each layer; empty: all see the whole text
  std::map<std::string, Rotary> rotary;
  int64_t labels, pad;

  const std::string& type(int64_t layer) const { return types.empty() ? full : types[static_cast<size_t>(layer)]; }

 private:
  static double cap_of(const Config& c, const char* field, const SoftCap& cap) {
    return cap.known && !c.is_null(field) ? c.real(field, cap.otherwise) : 0;
  }

  // What is stated for a model that looks both ways is the width of the whole window.
  static int64_t window_of(const Config& c, const Family& family, bool causal) {
    if (family.pattern.every == 0) return 0;
    const int64_t stated = c.count("sliding_window", c.is_null("sliding_window") ? 0 : 4096);
    return causal || stated == 0 ? stated : stated / 2 + 1;
  }

  static std::vector<std::string> types_of(const Config& c, const Family& family, const GemmaConfig& self) {
    if (family.pattern.every == 0) return {};
    const int64_t every =
        family.pattern.stated ? c.size("sliding_window_pattern", family.pattern.every) : family.pattern.every;
    LayerTypes kinds{self.layers, {full}, [every](int64_t i) { return (i + 1) % every == 0 ? full : sliding; }};
    if (self.window > 0) kinds.known.push_back(sliding);
    return layer_types(c, kinds);
  }

  static std::map<std::string, Rotary> rotary_of(const Config& c, const Family& family, int64_t head_size) {
    if (family.local_theta == 0) return {{full, Rotary(c, head_size)}};
    const double theta = c.real("rope_theta", 1e6), local = c.real("rope_local_base_freq", family.local_theta);
    return {{full, Rotary(c, head_size, {.name = full, .theta = theta})},
            {sliding, Rotary(c, head_size, {.name = sliding, .theta = local, .scaled = false})}};
  }
};

class GemmaOnnxConfig final : public TextDecoder {
 public:
  explicit GemmaOnnxConfig(const Request& request)
      : TextDecoder(request), family(row_of(families, request.model_type)), c(request.config, family, request.options) {
    require_looking_back(c.causal, "'use_bidirectional_attention' is true");
  }

  int64_t num_layers() const override { return c.layers; }
  int64_t num_attention_heads() const override { return c.heads; }
  int64_t num_key_value_heads() const override { return c.kv_heads; }
  int64_t head_size() const override { return c.head_size; }
  bool has_usual_cache() const override {
    return is_usual_cache(family.type, {c.hidden, c.heads, c.kv_heads, c.head_size});
  }
  Positions positions_in_generation() const override {
    const bool by_length =
        std::any_of(c.rotary.begin(), c.rotary.end(), [](const auto& kind) { return kind.second.depends_on_length(); });
    return by_length ? Positions::mask : Positions::sequence;
  }

 private:
  TextDecoderTraits traits() const override {
    return {.vocab = c.vocab,
            .max_positions = c.positions,
            .tied = c.tied,
            .words_softcap = c.word_cap,
            .labels = c.labels,
            .pad = c.pad,
            .classes = family.classes ? "score" : "",
            .token_classes = family.token_classes ? "score" : "",
            .hidden = c.hidden};
  }

  Value embed(const Scope& s, const Value& ids) const override {
    // The factor is rounded to the type that the embeddings have, which a scalar is anyway.
    return embedding(s / "embed_tokens", ids, {c.vocab, c.hidden}) * std::sqrt(static_cast<double>(c.hidden));
  }

  Value decode(const Scope& s, const Inputs& in, Cache& cache) const override {
    Graph& g = s.graph();
    g.unused("*rotary_emb.inv_freq");  // saved by older releases; config.json tells it
    std::map<std::string, Angles> angles;
    for (const auto& [type, rotary] : c.rotary)
      angles.emplace(type, rotary.angles(position_ids(in).in(s / "rotary_emb")));
    const LayerStack stack{.count = c.layers,
                           .layer = [this](int64_t i) { return layer(i); },
                           .angles =
                               [&](int64_t i) {
                                 const auto own = angles.find(c.type(i));
                                 return own == angles.end() ? angles.at(full) : own->second;
                               }};
    const Value x =
        transformer_layers(s / "layers", start(s, in), stack, {.mask = in.at("attention_mask"), .cache = &cache});
    return g.mark("hidden_states." + std::to_string(c.layers), norm(s / "norm", x, c.rms));
  }

  TransformerLayer layer(int64_t index) const {
    TransformerLayer form{.attention = {.heads = c.heads,
                                        .kv_heads = c.kv_heads,
                                        .head_size = c.head_size,
                                        .projections = {.bias = {c.bias, c.bias, c.bias, c.bias}},
                                        .scale = c.scale,
                                        .softcap = c.score_cap,
                                        .causal = c.causal,
                                        .window = c.type(index) == sliding ? c.window : 0},
                          .feed_forward = {.inner = c.inner, .activation = c.activation, .gate = "gate_proj"},
                          .attention_branch = {.norm = c.rms, .name = "input_layernorm"},
                          .feed_forward_branch = {.norm = c.rms, .name = family.feed_forward_norm}};
    if (family.query_key_norm) form.attention.query_key_norm = {.norm = c.rms};
    if (family.norms_around) {
      form.attention_branch = {Placement::around, c.rms, "input_layernorm", "post_attention_layernorm"};
      form.feed_forward_branch = {Placement::around, c.rms, "pre_feedforward_layernorm", "post_feedforward_layernorm"};
    }
    return form;
  }

  const Family& family;
  const GemmaConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.gemma",
    .name = "Gemma, Gemma 2, VaultGemma and Gemma 3",
    .models = {{.types = {"gemma", "gemma2"},
                .features = {"default", "default-with-past", "causal-lm", "causal-lm-with-past",
                             "sequence-classification", "token-classification"},
                .known_gaps = {{.option = "use_bidirectional_attention=true",
                                .reason = "their attention looks back only; gemma3_text looks both ways"}},
                .make = make<GemmaOnnxConfig>},
               {.types = {"vaultgemma"},
                .features = {"default", "default-with-past", "causal-lm", "causal-lm-with-past"},
                .known_gaps = {{.option = "use_bidirectional_attention=true",
                                .reason = "its attention looks back only; gemma3_text looks both ways"}},
                .make = make<GemmaOnnxConfig>},
               {.types = {"gemma3_text"},
                .features = {"default", "default-with-past", "causal-lm", "causal-lm-with-past",
                             "sequence-classification"},
                .make = make<GemmaOnnxConfig>}},
})
