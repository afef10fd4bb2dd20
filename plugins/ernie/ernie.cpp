// SPDX-License-Identifier: Apache-2.0
// ERNIE: BERT, which from its second version on may be told the task as well. Source: ErnieModel and its heads,
// transformers 4.57 (modeling_ernie.py).
#include <onnxport/families/bert.hpp>

using namespace onnxport::family;

namespace {

class ErnieOnnxConfig final : public BertTextEncoder {
 public:
  explicit ErnieOnnxConfig(const Request& request)
      : BertTextEncoder(request, "ernie"),
        task_types(request.config.size("task_type_vocab_size", 3)),
        knows_task(request.config.boolean("use_task_id", false)) {}

 private:
  std::vector<TensorSpec> further_inputs(const std::vector<Dim>& tokens) const override {
    if (!knows_task) return {};
    return {input::token_types("task_type_ids", tokens, {.of = "input_ids", .limit = task_types})};
  }

  Value embed(const Scope& s, const Text& text) const override {
    BertEncoder::Embedded in{.ids = text.ids, .segments = text.segments};
    if (knows_task) {
      in.further.push_back(embedding(s / "task_type_embeddings", text.further.at("task_type_ids"),
                                     {.count = task_types, .width = bert.hidden}));
    }
    return bert.embed(s, in);
  }

  const int64_t task_types;
  const bool knows_task;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.ernie",
    .name = "ERNIE",
    .models = {{.types = {"ernie"},
                .features = {"default", "masked-lm", "causal-lm", "sequence-classification", "token-classification",
                             "multiple-choice", "question-answering", "pretraining", "next-sentence-prediction"},
                .make = make<ErnieOnnxConfig>}},
})
