// SPDX-License-Identifier: Apache-2.0
// ERNIE: BERT, which from its second version on may be told the task as well. Source: ErnieModel and its heads,
// transformers 4.57 (modeling_ernie.py).
#include <onnxport/families/bert_decoder.hpp>

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

std::unique_ptr<OnnxConfig> make_ernie(const Request& request) {
  if (!asks_for_decoder(request)) return make<ErnieOnnxConfig>(request);
  if (request.config.boolean("use_task_id", false))
    throw Error(ONNXPORT_UNSUPPORTED,
                "config field 'use_task_id' is true; a decoder is not told its task, expected false");
  request.config.no_effect({"task_type_vocab_size"});
  return std::make_unique<BertDecoder>(request, "ernie");
}

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.ernie",
    .name = "ERNIE",
    .models = {{.types = {"ernie"},
                .features = {"default", "masked-lm", "causal-lm", "causal-lm-with-past", "sequence-classification",
                             "token-classification", "multiple-choice", "question-answering", "pretraining",
                             "next-sentence-prediction"},
                .make = make_ernie}},
})
