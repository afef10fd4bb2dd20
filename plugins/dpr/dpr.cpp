// SPDX-License-Identifier: Apache-2.0
// DPR: BERT as an encoder of questions, of passages, and as a reader of answers. Source: DPRQuestionEncoder,
// DPRContextEncoder and DPRReader, transformers 4.30 and 5.24 (modeling_dpr.py).
#include <onnxport/families/bert.hpp>

using namespace onnxport::family;

namespace {

/// Which of the classes the checkpoint is of: the module in which all of it lies.
enum class Role { question, context, reader };

Role role_of(const Request& request) {
  if (request.feature == "question-answering") return Role::reader;
  for (const std::string& name : request.config.texts("architectures")) {
    if (name == "DPRReader") return Role::reader;
    if (name == "DPRContextEncoder") return Role::context;
  }
  return Role::question;
}

class DprOnnxConfig final : public OnnxConfig {
 public:
  explicit DprOnnxConfig(const Request& request)
      : OnnxConfig(request),
        bert(request.config),
        projected(request.config.count("projection_dim", 0)),
        role(role_of(request)) {
    // A reader's heads read what BERT yields, whatever is made of it for a search.
    if (role == Role::reader && projected > 0)
      require_equal({"projection_dim", projected}, {"hidden_size", bert.hidden});
  }

  double atol_for_validation() const override { return 1e-4; }
  int64_t max_positions() const override { return bert.max_positions; }

  /// A reader is not told of which text a token is.
  std::vector<TensorSpec> inputs() const override {
    const std::vector<Dim> shape{axis::batch, axis::sequence};
    std::vector<TensorSpec> specs{input::ids("input_ids", shape, bert.vocab),
                                  input::mask("attention_mask", shape, {.of = "input_ids"})};
    if (role != Role::reader) {
      specs.push_back(input::token_types("token_type_ids", shape, {.of = "input_ids", .limit = bert.segments}));
    }
    return specs;
  }

  /// Of an encoder pooler_output, a text's vector; of a reader where an answer starts and ends, and what a passage is
  /// worth: relevance_logits.
  std::vector<OutputSpec> outputs() const override {
    if (role != Role::reader) return {{"pooler_output", {{0, axis::batch}}}};
    std::vector<OutputSpec> specs = common_outputs("question-answering");
    specs.push_back({"relevance_logits", {{0, axis::batch}}});
    return specs;
  }

  Outputs forward(Graph& g, const Inputs& in) const override {
    g.unused("*embeddings.position_ids");
    g.unused("*bert_model.pooler.*");  // of the first releases; nobody reads it
    const Scope encoder = encoder_of(g), model = encoder / "bert_model";
    const Text text{.ids = in.at("input_ids"), .mask = in.at("attention_mask"), .segments = in.maybe("token_type_ids")};
    const Value x = bert.embed(model / "embeddings", {.ids = text.ids, .segments = text.segments});
    const Value hidden = bert.encode(model / "encoder", x, text);
    const Value first = pick(hidden, 1, 0);
    if (role != Role::reader)
      return {{"pooler_output", projected > 0 ? linear(encoder / "encode_proj", first, {.out = projected}) : first}};
    g.unused((encoder / "encode_proj*").path());
    const Scope reader = g.root() / "span_predictor";
    const Span span = span_logits(reader / "qa_outputs", hidden);
    const Value worth = squeeze(linear(reader / "qa_classifier", first, {.out = 1}), {-1});
    return {{"start_logits", span.start}, {"end_logits", span.end}, {"relevance_logits", worth}};
  }

 private:
  // A file whose config does not tell its class tells by its names.
  Scope encoder_of(Graph& g) const {
    if (role == Role::reader) return g.root() / "span_predictor.encoder";
    const Scope question = g.root() / "question_encoder", context = g.root() / "ctx_encoder";
    const char* words = "bert_model.embeddings.word_embeddings.weight";
    return role == Role::context ? first_with(words, {context, question}) : first_with(words, {question, context});
  }

  const BertEncoder bert;
  const int64_t projected;
  const Role role;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.dpr",
    .name = "DPR",
    .models = {{.types = {"dpr"},
                .features = {"default", "question-answering"},
                .architectures = {{"DPRQuestionEncoder", "default"},
                                  {"DPRContextEncoder", "default"},
                                  {"DPRReader", "question-answering"}},
                .make = make<DprOnnxConfig>}},
})
