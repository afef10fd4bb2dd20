// SPDX-License-Identifier: Apache-2.0
// ConvBERT: ELECTRA where half of each layer's heads are convolutions, whose kernels depend on the token.
// Source: ConvBertModel and its heads, transformers 4.57 (modeling_convbert.py).
#include <onnxport/convolutions.hpp>
#include <onnxport/families/bert.hpp>
#include <onnxport/resampling.hpp>
#include <onnxport/sequence_summary.hpp>

using namespace onnxport::family;

namespace {

struct ConvBertConfig {
  ConvBertConfig(const Config& c, const BertEncoder& bert)
      : embedded(c.size("embedding_size", 768)),
        heads(std::max<int64_t>(bert.heads / c.size("head_ratio", 2), 1)),
        head_size(bert.hidden / heads / 2),
        kernel(c.size("conv_kernel_size", 9)),
        groups(c.size("num_groups", 1)),
        causal(bert.is_decoder && !c.written_since(5, 0)),
        summary(c, {.projected = false}) {
    require_multiple({"hidden_size", bert.hidden}, {"twice its heads", 2 * heads});
    if (kernel % 2 == 0) {
      throw Error(ONNXPORT_CONFIG, "config field 'conv_kernel_size' is " + std::to_string(kernel) +
                                       "; expected an odd number, which has a middle");
    }
    require_multiple({"hidden_size", bert.hidden}, {"num_groups", groups});
    require_multiple({"intermediate_size", bert.inner}, {"num_groups", groups});
  }
  int64_t embedded;
  int64_t heads, head_size;  // that attend; as many are convolutions
  int64_t kernel, groups;
  bool causal;  // a decoder was, before version 5
  SequenceSummary summary;
};

class ConvBertOnnxConfig final : public BertTextEncoder {
 public:
  explicit ConvBertOnnxConfig(const Request& request) : BertTextEncoder(request, "convbert"), c(request.config, bert) {}

 private:
  TextEncoderTraits traits() const override {
    TextEncoderTraits t = BertTextEncoder::traits();
    t.pooler = false;
    return t;
  }

  Value encode(const Scope& s, const Text& text) const override {
    Value x = bert.embed(s / "embeddings", {.ids = text.ids, .segments = text.segments, .width = c.embedded});
    if (c.embedded != bert.hidden)
      x = linear(s / "embeddings_project", x, {.out = bert.hidden});
    else
      s.graph().unused((s / "embeddings_project.*").path());  // of the first releases; nobody reads it
    TransformerLayer layer = bert.layer();
    layer.own_attention = [this](const Scope& module, const Value& h, const Attended& given) {
      return linear(module / "output.dense", attend(module / "self", h, given), {.out = bert.hidden});
    };
    layer.own_feed_forward = [this](const Scope& module, const Value& h) {
      const Value up = grouped(module / "intermediate.dense", h, bert.inner);
      return grouped(module / "output.dense", activation(up, bert.activation), bert.hidden);
    };
    return bert.encode(s / "encoder", x, {layer, {.mask = text.mask}});
  }

  // A linear layer of each group of channels: f[batch, n, in] -> f[batch, n, out].
  Value grouped(const Scope& s, const Value& x, int64_t out) const {
    if (c.groups == 1) return linear(s, x, {.out = out});
    const Value weight = s.weight("weight", {c.groups, x.fixed(-1) / c.groups, out / c.groups});
    const Value y = merge_heads(matmul(split_heads(x.in(s), c.groups), weight)) + s.weight("bias", {out});
    return y.in(s.parent());
  }

  Value attend(const Scope& s, const Value& x, const Attended& given) const {
    const int64_t half = c.heads * c.head_size;
    const auto made = [&](const char* name) { return linear(s / name, x, {.out = half}); };
    const Value query = made("query");
    const Value mixed = mix(s, {query, made("key"), made("value")},
                            {.heads = c.heads, .head_size = c.head_size, .causal = c.causal}, given);
    return concat({mixed, convolve(made("conv_out_layer"), kernels(s, x, query))}, -1);
  }

  // Of every token and head: f[batch, n, heads, 1, kernel].
  Value kernels(const Scope& s, const Value& x, const Value& query) const {
    const Scope spread = s / "key_conv_attn_layer";
    const int64_t half = c.heads * c.head_size;
    Value key =
        conv1d(spread / "depthwise", transpose(x.in(spread), {0, 2, 1}),
               {.out = bert.hidden, .kernel = c.kernel, .padding = c.kernel / 2, .groups = bert.hidden, .bias = false});
    key = conv1d(spread / "pointwise", key, {.out = half, .bias = false}) + spread.weight("bias", {half, 1});
    const Value both = transpose(key, {0, 2, 1}).in(s)*query;
    const Value raw = linear(s / "conv_kernel_layer", both, {.out = c.heads * c.kernel});
    return softmax(reshape(raw, {0, 0, c.heads, 1, c.kernel}));
  }

  // Every token's neighbours, weighed by its own kernel: f[batch, n, heads·size] -> the same.
  Value convolve(const Value& x, const Value& kernels_of) const {
    const Value padded = pad(x, {{1, c.kernel / 2, c.kernel / 2}});
    Graph& g = x.graph();
    const Value places = unsqueeze(range(size_of(x, 1)), {1}) + range(g.integer(c.kernel));
    const Value near = gather(padded, places, 1);
    const Value by_head = transpose(reshape(near, {0, 0, c.kernel, c.heads, c.head_size}), {0, 1, 3, 2, 4});
    return reshape(matmul(kernels_of, by_head), {0, 0, c.heads * c.head_size});
  }

  TextHeads text_heads() const override {
    return {.masked_lm = WordsHead{.head = {.names = {.dense = "generator_predictions.dense",
                                                      .norm = "generator_predictions.LayerNorm",
                                                      .decoder = "generator_lm_head",
                                                      .bias = {"generator_lm_head.bias"}},
                                            .width = c.embedded,
                                            .vocab = bert.vocab,
                                            .epsilon = bert.epsilon},
                                   .tied = bert.tied},
            .summary =
                [this](const Encoded& at) {
                  return c.summary(at.base.graph().root() / "sequence_summary", at.hidden, {.width = bert.hidden});
                },
            .classes = [this](const Encoded& at) { return classify(at); }};
  }

  // The first token through a layer of the head's own.
  Value classify(const Encoded& at) const {
    const Scope head = at.base.graph().root() / "classifier";
    const Value x = activation(linear(head / "dense", pick(at.hidden, 1, 0), {.out = bert.hidden}), bert.activation);
    return linear(head / "out_proj", x, {.out = labels()});
  }

  const ConvBertConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.convbert",
    .name = "ConvBERT",
    .models = {{.types = {"convbert"},
                .features = {"default", "masked-lm", "sequence-classification", "token-classification",
                             "multiple-choice", "question-answering"},
                .make = make<ConvBertOnnxConfig>}},
})
