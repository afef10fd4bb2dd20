// SPDX-License-Identifier: Apache-2.0
// ELECTRA. Source: ElectraModel and its heads, transformers 4.30 (modeling_electra.py); SequenceSummary of
// modeling_utils.py.
#include <onnxport/families/bert.hpp>

using namespace onnxport::family;

namespace {

// How a text becomes one vector for multiple-choice.
struct Summary {
  explicit Summary(const Config& c)
      : type(c.choice("summary_type", "first", {"first", "last", "mean", "cls_index"})),
        projected(c.boolean("summary_use_proj", true)),
        to_labels(c.boolean("summary_proj_to_labels", false)),
        activation(c.is_null("summary_activation") ? "" : c.text("summary_activation", "gelu")) {}
  std::string type;
  bool projected, to_labels;
  std::string activation;
};

class ElectraOnnxConfig final : public TextEncoder {
 public:
  explicit ElectraOnnxConfig(const Request& request)
      : TextEncoder(request),
        bert(request.config, {.hidden = 256, .heads = 4, .inner = 1024}),
        width(request.config.size("embedding_size", 128)),
        summary(request.config) {
    if (task() == "multiple-choice" && summary.projected && summary.to_labels && labels() != bert.hidden) {
      throw Error(
          ONNXPORT_UNSUPPORTED,
          "config field 'summary_proj_to_labels' is true, and multiple-choice scores vectors of the hidden size");
    }
  }

 private:
  TextEncoderTraits traits() const override {
    return {.base = "electra",
            .vocab = bert.vocab,
            .segments = bert.segments,
            .pooler = false,
            .max_positions = bert.max_positions};
  }

  // BERT over embeddings of a width of their own.
  Value encode(const Scope& s, const Text& text) const override {
    Value x = bert.embed(s / "embeddings", {.ids = text.ids, .segments = text.segments, .width = width});
    if (width != bert.hidden) x = linear(s / "embeddings_project", x, {.out = bert.hidden});
    return bert.encode(s / "encoder", x, text);
  }

  TextHeads text_heads() const override {
    return {.masked_lm = WordsHead{.head = {.names = {.dense = "generator_predictions.dense",
                                                      .norm = "generator_predictions.LayerNorm",
                                                      .decoder = "generator_lm_head",
                                                      .bias = {"generator_lm_head.bias"}},
                                            .width = width,
                                            .vocab = bert.vocab,
                                            .epsilon = bert.epsilon},
                                   .tied = bert.tied},
            .summary = [this](const Encoded& at) { return summarize(at.base.graph().root(), at.hidden); },
            .classes = [this](const Encoded& at) { return classify(at.base.graph().root(), at.hidden); }};
  }

  Value summarize(const Scope& root, const Value& hidden) const {
    const Scope head = root / "sequence_summary";
    Value x;
    if (summary.type == "mean") {
      x = mean(hidden.in(head), {1});
    } else {
      x = pick(hidden.in(head), 1, summary.type == "first" ? 0 : -1);
    }
    if (summary.projected) x = linear(head / "summary", x, {.out = bert.hidden});
    return summary.activation.empty() ? x : activation(x, summary.activation);
  }

  // The first token through a layer of the head's own; gelu, whatever the config says.
  Value classify(const Scope& root, const Value& hidden) const {
    const Scope head = root / "classifier";
    const Value x = activation(linear(head / "dense", pick(hidden, 1, 0), {.out = bert.hidden}), "gelu");
    return linear(head / "out_proj", x, {.out = labels()});
  }

  const BertEncoder bert;
  const int64_t width;
  const Summary summary;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.electra",
    .name = "ELECTRA",
    .models = {{.types = {"electra"},
                .features = {"default", "masked-lm", "causal-lm", "sequence-classification", "multiple-choice",
                             "token-classification", "question-answering"},
                .make = make<ElectraOnnxConfig>}},
})
