// SPDX-License-Identifier: Apache-2.0
// XLM, and FlauBERT, which is XLM in French. Source: XLMModel, FlaubertModel and their heads, transformers 4.30 and
// 5.24 (modeling_xlm.py, modeling_flaubert.py).
#include <onnxport/blocks/layer.hpp>
#include <onnxport/plugin.hpp>
#include <onnxport/sequence_summary.hpp>
#include <onnxport/span_search.hpp>

using namespace onnxport::sdk;

namespace {

constexpr std::initializer_list<std::pair<const char*, const char*>> names{{"emb_dim", "hidden_size"},
                                                                           {"n_heads", "num_attention_heads"},
                                                                           {"n_layers", "num_hidden_layers"},
                                                                           {"vocab_size", "n_words"}};

struct Relative {
  std::string_view type;
  bool token_types;  ///< whether the exported model is given them: words that say what the others are
  bool pre_norm;     ///< whether the class knows this option
};
constexpr Relative relatives[]{{"xlm", true, false}, {"flaubert", false, true}};

struct XlmConfig {
  XlmConfig(const Config& c, const Relative& relative)
      : vocab(c.size("vocab_size", 30145)),
        hidden(c.size("emb_dim", 2048)),
        layers(c.count("n_layers", 12)),
        heads(c.size("n_heads", 16)),
        max_positions(c.size("max_position_embeddings", 512)),
        languages(c.boolean("use_lang_emb", true) ? c.size("n_langs", 1) : 1),
        activation(c.boolean("gelu_activation", true) ? "gelu" : "relu"),
        epsilon(c.real("layer_norm_eps", 1e-12)),
        causal(c.boolean("causal", false)),
        pre_norm(relative.pre_norm && c.boolean("pre_norm", false)),
        adaptive(c.boolean("asm", false)),
        tied(c.tie(true)),
        summary(c, {.type = "first"}),
        search(c, epsilon) {
    require_multiple({"emb_dim", hidden}, {"n_heads", heads});
    if (!c.boolean("is_encoder", true))
      throw Error(ONNXPORT_UNSUPPORTED, "config field 'is_encoder' is false; the model is an encoder only");
    c.no_effect({"n_langs", "layerdrop", "sinusoidal_embeddings",  // the table is saved all the same
                 "bos_index", "eos_index", "pad_index", "unk_index", "mask_index", "mask_token_id", "lang_id",
                 "embed_init_std", "init_std", "dropout", "attention_dropout", "summary_first_dropout", "asm_cutoffs",
                 "asm_div_value", "lang2id", "id2lang"});
  }
  int64_t vocab, hidden, layers, heads, max_positions;
  int64_t languages;  // above 1: every token tells its own
  std::string activation;
  double epsilon;
  bool causal, pre_norm;
  bool adaptive;  // words are told by an adaptive softmax
  Tie tied;
  SequenceSummary summary;
  SpanSearch search;
};

class XlmOnnxConfig final : public TextEncoder {
 public:
  explicit XlmOnnxConfig(const Request& request)
      : TextEncoder(request),
        relative(row_of(relatives, request.model_type)),
        c(request.config.with_names(names), relative) {
    if (task() == "multiple-choice" && !c.summary.is_projected_to_labels() && labels() != c.hidden) {
      throw Error(ONNXPORT_UNSUPPORTED,
                  "config fields 'summary_use_proj' and 'summary_proj_to_labels' are not both true; multiple-choice "
                  "scores what is summarized as labels");
    }
  }

  std::vector<OutputSpec> outputs() const override {
    return task() == span_search_feature ? SpanSearch::outputs() : TextEncoder::outputs();
  }
  std::vector<AxisSize> axis_sizes() const override {
    return task() == span_search_feature ? c.search.axis_sizes() : TextEncoder::axis_sizes();
  }

 private:
  TextEncoderTraits traits() const override {
    return {.base = "transformer",
            .vocab = c.vocab,
            .segments = relative.token_types ? 2 : 0,
            .pooler = false,
            .max_positions = c.max_positions};
  }

  std::vector<TensorSpec> further_inputs(const std::vector<Dim>& tokens) const override {
    if (c.languages == 1) return {};
    return {input::token_types("langs", tokens, {.of = "input_ids", .limit = c.languages})};
  }

  Value embed(const Scope& s, const Text& text) const {
    const Scope words = s / "embeddings";
    const Value positions = (s / "position_embeddings").weight("weight", {c.max_positions, c.hidden});
    if (c.tied) s.graph().stand_in(words, s.graph().root() / "pred_layer.proj");
    Value x = embedding(words, text.ids, {c.vocab, c.hidden}) + first_rows(positions, size_of(text.ids, 1));
    if (c.languages > 1) x = x + told(s / "lang_embeddings", text.further.at("langs"));
    if (text.segments) x = x + embedding(words, text.segments, {c.vocab, c.hidden});
    return norm(s / "layer_norm_emb", x, {.epsilon = c.epsilon});
  }

  // What tells a token's language; nothing where that is below 0, as the reference adds nothing where it is given none.
  Value told(const Scope& s, const Value& languages) const {
    Graph& g = s.graph();
    const Value known = g.op("Max", {languages, g.integer(0)});
    const Value is_known = unsqueeze(g.op("GreaterOrEqual", {languages, g.integer(0)}), {2});
    const Value vectors = embedding(s, known, {c.languages, c.hidden});
    return vectors * cast(is_known, vectors.dtype());
  }

  Value encode(const Scope& s, const Text& text) const override {
    Graph& g = s.graph();
    g.unused((s / "position_ids").path());
    Value x = embed(s, text);
    const Value counts = unsqueeze(cast(text.mask, x.dtype()), {2});
    x = x * counts;
    for (int64_t i = 0; i < c.layers; ++i) {
      const std::string index = std::to_string(i);
      g.mark("hidden_states." + index, x);
      // What is causal hides what follows, and no padding.
      const Attended given{.mask = c.causal ? Value() : text.mask, .probabilities = "attentions." + index};
      x = transformer_layer(s, x, layer(index), given) * counts;
    }
    return g.mark("hidden_states." + std::to_string(c.layers), x);
  }

  // Modules of a kind stand together, each with all layers.
  TransformerLayer layer(const std::string& index) const {
    const Placement placement = c.pre_norm ? Placement::before : Placement::after;
    return {
        .attention_at = "attentions." + index,
        .feed_forward_at = "ffns." + index,
        .attention = {.heads = c.heads,
                      .head_size = c.hidden / c.heads,
                      .projections =
                          {.query = "q_lin", .key = "k_lin", .value = "v_lin", .output = "out_lin", .bias = all_biased},
                      .causal = c.causal},
        .feed_forward = {.inner = 4 * c.hidden, .activation = c.activation, .up = "lin1", .down = "lin2", .bias = true},
        .attention_branch = {placement, {.epsilon = c.epsilon}, "layer_norm1." + index},
        .feed_forward_branch = {placement, {.epsilon = c.epsilon}, "layer_norm2." + index}};
  }

  TextHeads text_heads() const override {
    const auto classes = [this](const Encoded& at) {
      return c.summary(at.base.graph().root() / "sequence_summary", at.hidden, {.width = c.hidden, .labels = labels()});
    };
    const auto words = [this](const Encoded& at) {
      if (c.adaptive) {
        throw Error(
            ONNXPORT_UNSUPPORTED,
            "config field 'asm' is true; supported: false, as the original's adaptive softmax takes no batches");
      }
      const TiedLinear layer{at.base.graph().root() / "pred_layer.proj", at.base / "embeddings", c.tied};
      return linear(layer, at.hidden, {.out = c.vocab});
    };
    const auto choices = [classes](const Encoded& at) {
      const Value scores = linear(at.base.graph().root() / "logits_proj", classes(at), {.out = 1});
      return unflatten_choices(scores, at.in.at("input_ids"));
    };
    const auto search = [this](const Encoded& at) {
      return search_span(at.base.graph().root() / "qa_outputs", at.hidden, c.search);
    };
    return {.words = words,
            .classes = classes,
            .own = {head::logits("multiple-choice", choices), {span_search_feature, search}}};
  }

  const Relative& relative;
  const XlmConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.xlm",
    .name = "XLM",
    .models = {{.types = {"xlm", "flaubert"},
                .features = {"default", "masked-lm", "causal-lm", "sequence-classification", "multiple-choice",
                             "token-classification", "question-answering", span_search_feature},
                .architectures = {{"XLMWithLMHeadModel", "masked-lm"},
                                  {"FlaubertWithLMHeadModel", "masked-lm"},
                                  {"XLMForQuestionAnswering", span_search_feature},
                                  {"FlaubertForQuestionAnswering", span_search_feature}},
                .make = make<XlmOnnxConfig>}},
})
