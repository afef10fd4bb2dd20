// SPDX-License-Identifier: Apache-2.0
// LiLT: RoBERTa beside a narrower stream of places on a page, where both attend by the sum of their scores.
// Source: LiltModel and its heads, transformers 4.57 (modeling_lilt.py).
#include <onnxport/blocks/boxes.hpp>
#include <onnxport/families/roberta.hpp>

using namespace onnxport::family;

namespace {

class LiltOnnxConfig final : public RobertaTextEncoder {
 public:
  explicit LiltOnnxConfig(const Request& request)
      : RobertaTextEncoder(request, {.base = "lilt", .padding = 0}),
        places(request.config.size("max_2d_position_embeddings", 1024)),
        shrink(request.config.size("channel_shrink_ratio", 4)) {
    require_multiple({"hidden_size", bert.hidden}, {"channel_shrink_ratio", shrink});
    require_multiple({"hidden_size / num_attention_heads", bert.hidden / bert.heads}, {"channel_shrink_ratio", shrink});
    require_multiple({"hidden_size", bert.hidden}, {"6, a box's edges and sides", 6});
  }

 private:
  std::vector<TensorSpec> further_inputs(const std::vector<Dim>& tokens) const override {
    std::vector<Dim> shape = tokens;
    shape.emplace_back(4);
    return {input::boxes("bbox", shape, {.of = "input_ids", .limit = places})};
  }

  /// The two streams: f[batch, n, hidden] and f[batch, n, hidden / shrink].
  struct Streams {
    Value text, layout;
  };

  Value encode(const Scope& s, const Text& text) const override {
    Graph& g = s.graph();
    const BertEncoder::Embedded in = embedded(text);
    Streams x{bert.embed(s / "embeddings", in), embed_boxes(s / "layout_embeddings", text, in.positions)};
    for (int64_t i = 0; i < bert.layers; ++i) {
      g.mark("hidden_states." + std::to_string(i), x.text);
      x = run(s / "encoder.layer" / i, x, {.mask = text.mask, .probabilities = "attentions." + std::to_string(i)});
    }
    return bert.last_step(x.text);
  }

  Value embed_boxes(const Scope& s, const Text& text, const Value& positions) const {
    const int64_t width = bert.hidden / shrink;
    const Value edges = concat(box_embeddings(s, text.further.at("bbox"), {places, bert.hidden / 6}), -1);
    const Value x = linear(s / "box_linear_embeddings", edges, {.out = width}) +
                    embedding(s / "box_position_embeddings", positions, {bert.max_positions, width});
    return norm(s / "LayerNorm", x, {.epsilon = bert.epsilon});
  }

  Streams run(const Scope& s, const Streams& x, const Attended& given) const {
    const TransformerLayer text = bert.layer();
    const Streams mixed = attend(s / "attention", x, given);
    const auto joined = [&](const char* output, const Value& added, const Value& to) {
      const Scope at = s / output;
      const Value h = linear(at / "dense", added, {.out = to.fixed(-1)}) + to;
      return norm(at / "LayerNorm", h, {.epsilon = bert.epsilon});
    };
    const Streams y{joined("attention.output", mixed.text, x.text),
                    joined("attention.layout_output", mixed.layout, x.layout)};
    FeedForward layout = text.feed_forward;
    layout.inner /= shrink;
    layout.up = "layout_intermediate.dense";
    layout.down = "layout_output.dense";
    Residual layout_branch = text.feed_forward_branch;
    layout_branch.name = "layout_output.LayerNorm";
    return {residual(s, y.text, text.feed_forward_branch,
                     [&](const Value& h) { return feed_forward(s, h, text.feed_forward); }),
            residual(s, y.layout, layout_branch, [&](const Value& h) { return feed_forward(s, h, layout); })};
  }

  // One attention for both: heads of the two streams side by side, each scaled by its own width, score the sum.
  Streams attend(const Scope& s, const Streams& x, const Attended& given) const {
    const Scope self = s / "self";
    const int64_t d = bert.hidden / bert.heads, narrow = d / shrink;
    AttentionBlock wide = bert.layer().attention;
    for (std::string* name : {&wide.projections.query, &wide.projections.key, &wide.projections.value})
      name->erase(0, name->find('.') + 1);
    AttentionBlock layout = wide;
    layout.head_size = narrow;
    layout.projections.query = "layout_query";
    layout.projections.key = "layout_key";
    layout.projections.value = "layout_value";
    const QueryKeyValue of_text = project(self, x.text, wide), of_layout = project(self, x.layout, layout);
    const auto beside = [&](const Value& a, const Value& b) {
      return concat({split_heads(a.in(self), bert.heads), split_heads(b.in(self), bert.heads)}, -1);
    };
    const double scale = 1 / std::sqrt(static_cast<double>(d)),
                 layout_scale = 1 / std::sqrt(static_cast<double>(narrow));
    Attended both = given;
    if (bert.relative) both.bias = bert.relative(self, of_text.query, of_text.key) * scale;
    const Value mixed = mix(self,
                            {beside(of_text.query * scale, of_layout.query * layout_scale),
                             beside(of_text.key, of_layout.key), beside(of_text.value, of_layout.value)},
                            {.heads = bert.heads, .head_size = d + narrow, .scale = 1}, both);
    const std::vector<Value> parts = split(reshape(mixed, {0, 0, bert.heads, d + narrow}), -1, {d, narrow});
    return {reshape(parts[0], {0, 0, bert.hidden}), reshape(parts[1], {0, 0, bert.hidden / shrink})};
  }

  const int64_t places, shrink;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.lilt",
    .name = "LiLT",
    .models = {{.types = {"lilt"},
                .features = {"default", "sequence-classification", "token-classification", "question-answering"},
                .make = make<LiltOnnxConfig>}},
})
