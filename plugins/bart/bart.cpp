// SPDX-License-Identifier: Apache-2.0
// BART and its relatives: the heads. Source: BartModel, BartForConditionalGeneration, BartForSequenceClassification,
// BartForQuestionAnswering, BartForCausalLM and their twins, transformers 4.30 and 4.57.
#include "bart.hpp"

using namespace bart;

namespace {

constexpr const char* global_mask = "global_attention_mask";

/// Encoder and decoder.
class BartOnnxConfig final : public OnnxSeq2SeqConfigWithPast {
 public:
  explicit BartOnnxConfig(const Request& request)
      : OnnxSeq2SeqConfigWithPast(request),
        model(row_of(families, request.model_type), BartConfig(request.config.with_names(onnxport::family::bart_names),
                                                               row_of(families, request.model_type))),
        c(model.config()),
        words_bias(model.family().words_bias && request.options.text("final_logits_bias", "saved") == "saved") {}

  std::string base_model_prefix() const override { return model.family().base; }
  double atol_for_validation() const override { return 1e-4; }
  int64_t num_layers() const override { return c.decoder.layers; }
  int64_t num_attention_heads() const override { return c.decoder.heads; }
  int64_t head_size() const override { return c.width / c.decoder.heads; }
  int64_t vocab_size() const override { return c.vocab; }
  int64_t decoder_vocab_size() const override { return model.decoder_rows(task() == "seq2seq-lm"); }
  int64_t encoder_width() const override { return c.width; }
  bool has_usual_cache() const override { return c.encoder.heads == c.decoder.heads; }
  int64_t max_positions() const override { return model.max_positions(); }
  // A text's class is read at the place of its last end token, on the decoder's side.
  const char* decoder_axis() const override {
    return task() == "sequence-classification" ? axis::encoder_sequence : OnnxSeq2SeqConfigWithPast::decoder_axis();
  }

  std::vector<TensorSpec> encoder_inputs() const override {
    std::vector<TensorSpec> specs = OnnxSeq2SeqConfigWithPast::encoder_inputs();
    if (model.family().encoder_attention == EncoderAttention::longformer)
      specs.push_back(input::global_mask(global_mask, {axis::batch, axis::encoder_sequence}, {.of = "input_ids"}));
    return specs;
  }
  Value encode(Graph& g, const Inputs& in) const override {
    return model.encode(
        base(g), {in.maybe("input_ids"), in.at("attention_mask"), in.maybe(global_mask), in.maybe(inputs_embeds)});
  }
  int64_t embedding_width() const override { return model.takes_embeddings() ? c.width : 0; }
  Value embed(Graph& g, const Value& ids) const override { return model.words(base(g), ids); }

  Value decode(Graph& g, const DecoderStep& step, Cache& cache) const override {
    return model.decode(base(g), step, cache, model.decoder_rows(task() == "seq2seq-lm"));
  }

  Heads heads() const override {
    return {head::hidden_states(), head::logits("seq2seq-lm", [this](const Encoded& at) { return words(at.hidden); }),
            head::logits("sequence-classification", [this](const Encoded& at) { return classes(at); }),
            head::answer_span()};
  }

 private:
  Scope base(Graph& g) const { return task() == "default" ? g.root() : g.root() / model.family().base; }

  Value words(const Value& decoded) const {
    Graph& g = decoded.graph();
    const TiedLinear lm_head{g.root() / "lm_head", model.table_of_head(base(g)), c.tied};
    const int64_t targets = c.shared ? c.vocab : c.decoder_vocab;
    const Value logits = linear(lm_head, decoded, {.out = targets, .bias = false});
    // A bias that is not saved is 0.
    return words_bias && g.root().has("final_logits_bias") ? logits + g.root().weight("final_logits_bias", {1, targets})
                                                           : logits;
  }

  Value classes(const Encoded& at) const {
    const Value last = at_last_end(at.hidden, at.in.at("input_ids"), c.eos);
    return text_classifier(at.base / "classification_head", last, c.width, c.labels);
  }

  const Transformer model;
  const BartConfig& c;
  const bool words_bias;  // a larger model may have a head without it
};

/// The decoder by itself, as a language model.
class BartDecoderOnnxConfig final : public OnnxConfigWithPast {
 public:
  explicit BartDecoderOnnxConfig(const Request& request)
      : OnnxConfigWithPast(request, Positions::sequence),
        model(row_of(families, request.model_type),
              BartConfig(request.config.with_names(onnxport::family::bart_names), row_of(families, request.model_type)),
              true),
        c(model.config()),
        encoder_width(width_over_encoder(request)) {}

  std::string base_model_prefix() const override { return model.family().base; }
  double atol_for_validation() const override { return 1e-4; }
  int64_t num_layers() const override { return c.decoder.layers; }
  int64_t num_attention_heads() const override { return c.decoder.heads; }
  int64_t head_size() const override { return c.width / c.decoder.heads; }
  // A config's number of heads is the encoder's.
  bool has_usual_cache() const override { return c.encoder.heads == c.decoder.heads; }
  int64_t max_positions() const override { return c.decoder.positions; }
  std::vector<TensorSpec> inputs() const override { return text_inputs(c.decoder_vocab, c.decoder.positions); }
  std::vector<State> states() const override {
    if (encoder_width == 0) return OnnxConfigWithPast::states();
    return states_over_encoder({axis::past, axis::past_and_sequence});
  }
  std::vector<Part> offers() const override { return {offered_decoder(encoder_width)}; }

  Outputs forward(Graph& g, const Inputs& in) const override {
    const Scope base = g.root() / model.family().base;
    Cache cache = cache_of(in);
    const OverEncoder encoder = over_encoder(in);
    const DecoderStep step{in.at("input_ids"), in.at("attention_mask"), encoder.hidden, encoder.mask};
    const Value decoded = model.decode(base, step, cache, c.decoder_vocab);
    return with_present(head_for_feature().outputs({base, decoded, in}), cache);
  }

  Heads heads() const override {
    return {head::logits("causal-lm", [this](const Encoded& at) {
      const TiedLinear lm_head{at.base.graph().root() / "lm_head", model.table_of_head(at.base), c.tied};
      return linear(lm_head, at.hidden, {.out = c.tied.by_config ? c.decoder_vocab : c.vocab, .bias = false});
    })};
  }

 private:
  const Transformer model;
  const BartConfig& c;
  const int64_t encoder_width;
};

std::unique_ptr<OnnxConfig> make_bart(const Request& request) {
  if (request.feature.starts_with("causal-lm")) return make<BartDecoderOnnxConfig>(request);
  return make<BartOnnxConfig>(request);
}

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.bart",
    .name =
        "BART, mBART, PLBART, MVP, Marian, Pegasus, Pegasus-X, BigBird-Pegasus, Blenderbot, M2M100, NLLB-MoE and LED",
    .models = {{.types = {"bart", "mbart", "mvp", "bigbird_pegasus"},
                .features = {"default", "default-with-past", "causal-lm", "causal-lm-with-past", "seq2seq-lm",
                             "seq2seq-lm-with-past", "sequence-classification", "question-answering"},
                .make = make_bart},
               {.types = {"plbart"},
                .features = {"default", "default-with-past", "causal-lm", "causal-lm-with-past", "seq2seq-lm",
                             "seq2seq-lm-with-past", "sequence-classification"},
                .make = make_bart},
               {.types = {"marian", "pegasus", "blenderbot", "blenderbot-small"},
                .features = {"default", "default-with-past", "causal-lm", "causal-lm-with-past", "seq2seq-lm",
                             "seq2seq-lm-with-past"},
                .architectures = {{"MarianMTModel", "seq2seq-lm"}},
                .make = make_bart},
               {.types = {"led"},
                .features = {"default", "default-with-past", "seq2seq-lm", "seq2seq-lm-with-past",
                             "sequence-classification", "question-answering"},
                .make = make_bart},
               {.types = {"m2m_100", "nllb-moe", "pegasus_x"},
                .features = {"default", "default-with-past", "seq2seq-lm", "seq2seq-lm-with-past"},
                .make = make_bart}},
})
