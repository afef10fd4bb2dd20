// SPDX-License-Identifier: Apache-2.0
// VisualBERT: BERT, with regions of an image, as a detector describes them, behind the text. Source: VisualBertModel
// and its heads, transformers 4.57 (modeling_visual_bert.py).
#include <limits>

#include <onnxport/families/bert.hpp>

using namespace onnxport::family;

namespace {

constexpr const char* regions = "regions";
constexpr const char* phrases = "phrases";

class VisualBert final : public OnnxConfig {
 public:
  explicit VisualBert(const Request& request)
      : OnnxConfig(request),
        bert(request.config, {.relative = false}),
        described(request.config.size("visual_embedding_dim", 512)),
        labels(request.config.num_labels()) {
    request.config.no_effect({"special_visual_initialize", "pad_token_id", "bos_token_id", "eos_token_id"});
    if (request.config.boolean("bypass_transformer", false)) {
      throw Error(ONNXPORT_UNSUPPORTED,
                  "config field 'bypass_transformer' is true: with regions of an image the original fails then");
    }
  }

  std::string base_model_prefix() const override { return "visual_bert"; }
  double atol_for_validation() const override { return 1e-4; }
  int64_t max_positions() const override { return bert.max_positions; }
  std::vector<AxisSize> axis_sizes() const override {
    return {{.axis = regions, .usual = 6}, {.axis = phrases, .usual = 4}};
  }

  std::vector<TensorSpec> inputs() const override {
    std::vector<Dim> text{axis::batch}, seen;
    if (has_choices()) text.emplace_back(axis::choice);
    seen = text;
    text.emplace_back(axis::sequence);
    seen.emplace_back(regions);
    std::vector<Dim> descriptions = seen;
    descriptions.emplace_back(described);
    std::vector<TensorSpec> specs{
        input::ids("input_ids", text, bert.vocab), input::mask("attention_mask", text, {.of = "input_ids"}),
        input::embeddings("visual_embeds", descriptions),
        input::mask("visual_attention_mask", seen, {.of = "visual_embeds"}),
        input::token_types("visual_token_type_ids", seen, {.of = "visual_embeds", .limit = bert.segments})};
    if (task() == alignment) {
      // Places among the tokens, or -1.
      specs.push_back({"region_to_phrase_position", DType::i64, {axis::batch, phrases}, 3});
    }
    return specs;
  }
  std::vector<OutputSpec> outputs() const override {
    const std::map<int, std::string> tokens{{0, axis::batch}, {1, "places"}}, texts{{0, axis::batch}};
    if (task() == "default") return {{"last_hidden_state", tokens}};
    if (task() == "pretraining") return {{"prediction_logits", tokens}, {"seq_relationship_logits", texts}};
    if (has_choices()) return OnnxConfig::outputs();
    if (task() == alignment) return {{"logits", {{0, axis::batch}, {1, phrases}, {2, regions}}}};
    return {{"logits", texts}};
  }

  Outputs forward(Graph& g, const Inputs& in) const override {
    g.unused("*embeddings.position_ids");
    const Scope base = task() == "default" ? g.root() : g.root() / base_model_prefix();
    const auto given = [&](const char* name) { return has_choices() ? flatten_choices(in.at(name)) : in.at(name); };
    const Value mask = concat({given("attention_mask"), given("visual_attention_mask")}, 1);
    either_table_kept(bert.words(), base);
    const Value words = bert.embedded_sum(base / "embeddings", {.ids = given("input_ids")});
    const Value seen = describe(base / "embeddings", given("visual_embeds"), given("visual_token_type_ids"));
    const Value x = norm(base / "embeddings.LayerNorm", concat({words, seen}, 1), {.epsilon = bert.epsilon});
    const Value hidden = bert.encode(base / "encoder", x, Text{.ids = {}, .mask = mask});
    const Encoded at{.base = base, .hidden = hidden, .in = in, .mask = mask};
    if (task() == "default" && g.wants("pooler_output")) g.mark("pooler_output", pool(at));
    return head_for_feature().outputs(at);
  }

  Heads heads() const override {
    const auto classes = [this](int64_t out) {
      return [this, out](const Encoded& at) { return linear(at.base.graph().root() / "cls", pool(at), {.out = out}); };
    };
    return {head::hidden_states(),
            {"pretraining",
             [this](const Encoded& at) -> Outputs {
               const Scope root = at.base.graph().root();
               return {{"prediction_logits", words(at)},
                       {"seq_relationship_logits", linear(root / "cls.seq_relationship", pool(at), {.out = 2})}};
             }},
            head::logits("multiple-choice",
                         [score = classes(1)](const Encoded& at) {
                           return unflatten_choices(score(at), at.in.at("input_ids"));
                         }),
            head::logits("visual-question-answering", [this](const Encoded& at) { return answer(at); }),
            head::logits("visual-reasoning", classes(labels)),
            head::logits(alignment, [this](const Encoded& at) { return align(at); })};
  }

  static constexpr const char* alignment = "region-to-phrase-alignment";

 private:
  bool has_choices() const { return task() == "multiple-choice"; }

  // All regions stand at the first place. f[batch, regions, described] -> f[batch, regions, hidden]
  Value describe(const Scope& s, const Value& seen, const Value& kinds) const {
    const Value place = (s / "visual_position_embeddings").weight("weight", {bert.max_positions, bert.hidden});
    const Value kind = embedding(s / "visual_token_type_embeddings", kinds, {bert.segments, bert.hidden});
    return linear(s / "visual_projection", seen, {.out = bert.hidden}) + pick(place, 0, 0) + kind;
  }

  Value pool(const Encoded& at) const { return bert.pool(at.base / "pooler", at.hidden); }
  Value words(const Encoded& at) const {
    const WordsHead form = bert.words();
    MaskedLmHeadOptions head = form.head;
    const Scope scope = at.base.graph().root() / form.at;
    if (form.tied.holds_for(scope / head.names.decoder)) head.tied = at.base / form.table;
    return masked_lm_head(scope, at.hidden, head);
  }
  // By the last word of the text, which stands before its end token.
  Value answer(const Encoded& at) const {
    Graph& g = at.base.graph();
    const Value count = g.op("ReduceSum", {at.in.at("attention_mask")}, {{"axes", {1}}, {"keepdims", true}});
    return linear(g.root() / "cls", row_at(at.hidden, count - g.integer(2)), {.out = labels});
  }
  // How well each region fits each phrase, of which one token's place is given; one head's width of the attention.
  Value align(const Encoded& at) const {
    Graph& g = at.base.graph();
    g.unused("cls.*");
    const Scope s = g.root() / "attention";
    g.unused((s / "value").path() + ".*");
    const int64_t width = bert.hidden / bert.heads;
    const Value given = at.in.at("region_to_phrase_position");
    const Value place = where(equal(given, -1), g.integer(0), given);
    const Value phrase = g.op("GatherND", {at.hidden, unsqueeze(place, {2})}, {{"batch_dims", 1}});
    const Value region = from_row(at.hidden, 1, size_of(at.in.at("input_ids"), 1));
    const Value query = linear(s / "query", phrase, {.out = width}), key = linear(s / "key", region, {.out = width});
    const Value scores = matmul(query, transpose(key, {0, 2, 1})) / std::sqrt(static_cast<double>(width));
    const Value counts = unsqueeze(cast(at.in.at("visual_attention_mask"), DType::boolean), {1});
    return where(counts, scores, g.scalar(static_cast<double>(std::numeric_limits<float>::lowest()), scores.dtype()));
  }

  const BertEncoder bert;
  const int64_t described, labels;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.visual_bert",
    .name = "VisualBERT",
    .models = {{.types = {"visual_bert"},
                .features = {"default", "pretraining", "multiple-choice", "visual-question-answering",
                             "visual-reasoning", VisualBert::alignment},
                .architectures = {{"VisualBertForPreTraining", "pretraining"},
                                  {"VisualBertForQuestionAnswering", "visual-question-answering"},
                                  {"VisualBertForVisualReasoning", "visual-reasoning"},
                                  {"VisualBertForRegionToPhraseAlignment", VisualBert::alignment}},
                .make = make<VisualBert>}},
})
