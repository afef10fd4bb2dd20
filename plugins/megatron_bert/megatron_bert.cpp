// SPDX-License-Identifier: Apache-2.0
// Megatron-BERT: BERT with its norms before the branches and none behind the embeddings. Source: MegatronBertModel and
// its heads, transformers 4.57 (modeling_megatron_bert.py).
#include <onnxport/families/bert_decoder.hpp>

using namespace onnxport::family;

namespace {

constexpr BertDefaults defaults{.vocab = 29056, .hidden = 1024, .layers = 24, .heads = 16, .inner = 4096};

TransformerLayer normed_first(const BertEncoder& bert) {
  TransformerLayer layer = bert.layer();
  layer.attention_branch = {Placement::before, {.epsilon = bert.epsilon}, "attention.ln"};
  layer.feed_forward_branch = {Placement::before, {.epsilon = bert.epsilon}, "ln"};
  return layer;
}

class MegatronBertOnnxConfig final : public BertTextEncoder {
 public:
  explicit MegatronBertOnnxConfig(const Request& request) : BertTextEncoder(request, "bert", defaults) {}

 private:
  // A language model reads one text, all of the first segment.
  TextEncoderTraits traits() const override {
    TextEncoderTraits t = BertTextEncoder::traits();
    if (task() == "causal-lm") t.segments = 0;
    return t;
  }

  Value encode(const Scope& s, const Text& text) const override {
    const Value x = bert.embedded_sum(s / "embeddings", {.ids = text.ids, .segments = text.segments});
    return bert.encode(s / "encoder", x, {normed_first(bert), bert.attended(text), "ln"});
  }
};

class MegatronBertDecoder final : public BertDecoder {
 public:
  explicit MegatronBertDecoder(const Request& request) : BertDecoder(request, "bert", defaults) {}

 private:
  Value embedded(const Scope& s, const BertEncoder::Embedded& in) const override {
    return bert.embedded_sum(s / "embeddings", in);
  }
  TransformerLayer layer() const override { return normed_first(bert); }
  Residual cross_branch() const override { return {Placement::before, {.epsilon = bert.epsilon}, "crossattention.ln"}; }
  Value encode(const Scope& s, const Value& x, const BertEncoder::Layers& how) const override {
    return bert.encode(s / "encoder", x, {how.layer, how.given, "ln"});
  }
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.megatron-bert",
    .name = "Megatron-BERT",
    .models = {{.types = {"megatron-bert"},
                .features = {"default", "masked-lm", "causal-lm", "causal-lm-with-past", "sequence-classification",
                             "token-classification", "multiple-choice", "question-answering", "pretraining",
                             "next-sentence-prediction"},
                .make = make_encoder_or_decoder<MegatronBertOnnxConfig, MegatronBertDecoder>}},
})
