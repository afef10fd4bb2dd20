// SPDX-License-Identifier: Apache-2.0
// BigBird: BERT whose long texts are attended to in blocks. Source: BigBirdModel and its heads, transformers 4.30 and
// 5.24 (modeling_big_bird.py).
#include <onnxport/blocks/block_sparse_attention.hpp>
#include <onnxport/families/bert.hpp>

using namespace onnxport::family;

namespace {

class BigBirdOnnxConfig final : public TextEncoder {
 public:
  explicit BigBirdOnnxConfig(const Request& request)
      : TextEncoder(request),
        bert(request.config, {.vocab = 50358, .activation = "gelu_new", .relative = false}),
        blocks{request.config.size("block_size", 64), request.config.count("num_random_blocks", 3)},
        is_sparse(request.config.choice("attention_type", "block_sparse", {"block_sparse", "original_full"}) ==
                  "block_sparse"),
        biased(request.config.boolean("use_bias", true)),
        rescaled(request.config.boolean("rescale_embeddings", false)),
        separator(request.config.integer("sep_token_id", 66)) {}

 private:
  TextEncoderTraits traits() const override {
    return {.base = "bert", .vocab = bert.vocab, .max_positions = bert.max_positions};
  }

  Value encode(const Scope& s, const Text& text) const override {
    Graph& g = s.graph();
    g.unused("*.crossattention.*");  // without an encoder they have nothing to attend to
    Value segments;
    if (task() == "question-answering") segments = cast(logical_not(is_question(text.ids)), DType::i64);
    const double scale = rescaled ? std::sqrt(static_cast<double>(bert.hidden)) : 1;
    Value x = bert.embed(s / "embeddings", {.ids = text.ids, .segments = segments, .scale = scale});
    // What comes after a token is hidden by no block, so that a decoder attends to whole texts, however long.
    SparseRows rows;
    if (is_sparse && !bert.is_decoder) rows = sparse_rows(s / "encoder.blocks", text.mask, blocks);
    for (int64_t i = 0; i < bert.layers; ++i) {
      g.mark("hidden_states." + std::to_string(i), x);
      x = layer(s / "encoder.layer" / i, x, {.mask = text.mask, .probabilities = "attentions." + std::to_string(i)},
                rows);
    }
    return g.mark("hidden_states." + std::to_string(bert.layers), x);
  }

  Value layer(const Scope& s, const Value& x, const Attended& given, const SparseRows& rows) const {
    TransformerLayer form = bert.layer();
    ProjectionBias& bias = form.attention.projections.bias;
    bias.query = bias.key = bias.value = biased;
    if (!rows.queries) return transformer_layer(s, x, form, given);
    const Value attended = residual(s, x, form.attention_branch, [&](const Value& h) {
      const QueryKeyValue made = project(s / "attention", h, form.attention);
      const Value mixed = block_sparse_attention(made, rows, {.heads = bert.heads, .mask = given.mask});
      return linear(s / "attention.output.dense", mixed, {.out = bert.hidden});
    });
    return residual(s, attended, form.feed_forward_branch,
                    [&](const Value& h) { return feed_forward(s, h, form.feed_forward); });
  }

  // The first token through a tanh layer, which is the pooler itself.
  Value pool(const Scope& s, const Value& hidden) const override {
    return tanh(linear(s / "pooler", pick(hidden, 1, 0), {.out = bert.hidden}));
  }

  // Up to and with the first separator: bool[batch, n].
  Value is_question(const Value& ids) const {
    Graph& g = ids.graph();
    const Value first = g.op("ArgMax", {cast(equal(ids, separator), DType::i32)}, {{"axis", 1}, {"keepdims", 1}});
    return g.op("LessOrEqual", {range(size_of(ids, 1)), first});
  }

  // A question's tokens take no part in the answer, but for the first of all, which says that there is none.
  Outputs answer(const Encoded& at) const {
    Graph& g = at.hidden.graph();
    const Scope head = g.root() / "qa_classifier";
    const TransformerLayer form = bert.layer();
    const Value x = residual(head, at.hidden, form.feed_forward_branch,
                             [&](const Value& h) { return feed_forward(head, h, form.feed_forward); });
    const Span span = span_logits(head / "qa_outputs", x);
    const Value ids = at.in.at("input_ids");
    const Value behind_first = g.op("Greater", {range(size_of(ids, 1)), g.integer(0)});
    const Value removed = cast(g.op("And", {is_question(ids), behind_first}), DType::f32) * 1e6;
    return {{"start_logits", span.start - removed}, {"end_logits", span.end - removed}};
  }

  TextHeads text_heads() const override {
    return {.masked_lm = bert.words(),
            .classes =
                [this](const Encoded& at) {
                  return text_classifier(at.base.graph().root() / "classifier", pick(at.hidden, 1, 0),
                                         {.width = bert.hidden, .labels = labels(), .activation = bert.activation});
                },
            .pair = PairHead{},
            .own = {{"question-answering", [this](const Encoded& at) { return answer(at); }}}};
  }

  const BertEncoder bert;
  const SparseBlocks blocks;
  const bool is_sparse, biased, rescaled;
  const int64_t separator;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.big_bird",
    .name = "BigBird",
    .models = {{.types = {"big_bird"},
                .features = {"default", "masked-lm", "causal-lm", "sequence-classification", "multiple-choice",
                             "token-classification", "question-answering", "pretraining"},
                .make = make<BigBirdOnnxConfig>}},
})
