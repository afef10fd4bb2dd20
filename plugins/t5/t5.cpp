// SPDX-License-Identifier: Apache-2.0
// T5 and its relatives: the heads. Source: T5Model, its heads and T5EncoderModel, and their mT5, UMT5 and LongT5 twins,
// transformers 4.30, 4.57 and 5.24.
#include "t5.hpp"

using namespace t5;

namespace {

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
    .name = "T5, mT5, UMT5 and LongT5",
    .models = {{.types = {"t5", "mt5", "umt5"},
                .features = {"default", "default-with-past", "seq2seq-lm", "seq2seq-lm-with-past",
                             "sequence-classification", "token-classification", "question-answering"},
                .architectures = {{"T5WithLMHeadModel", "seq2seq-lm"}},  // its name before transformers 3
                .make = make_t5},
               {.types = {"longt5"},
                .features = {"default", "default-with-past", "seq2seq-lm", "seq2seq-lm-with-past"},
                .make = make_t5}},
})
