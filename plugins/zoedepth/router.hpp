// SPDX-License-Identifier: Apache-2.0
// Which of two ranges of depths a batch of images is of. Source: ZoeDepthPatchTransformerEncoder and
// ZoeDepthMLPClassifier, transformers 4.57 (modeling_zoedepth.py).
#pragma once

#include <cmath>
#include <vector>

#include <onnxport/blocks/layer.hpp>
#include <onnxport/plugin.hpp>

namespace zoedepth {

using namespace onnxport::sdk;

class Router {
 public:
  explicit Router(const Config& c)
      : layers_(c.count("num_patch_transformer_layers", 4)),
        hidden_(c.size("patch_transformer_hidden_size", 128)),
        inner_(c.size("patch_transformer_intermediate_size", 1024)),
        heads_(c.size("patch_transformer_num_attention_heads", 4)) {}

  /// x: f[batch, n, rows, columns], the coarsest map -> f[batch, 2]
  Value operator()(const Scope& head, const Value& x) const {
    const Scope s = head / "patch_transformer";
    s.graph().unused((s / "transformer_encoder").path() + ".*");  // layers behind the fourth
    Value tokens = pad(tokens_of(conv2d(s / "embedding_convPxP", x, {.out = hidden_})), {{1, 1, 0}});
    tokens = tokens + positions(tokens);
    for (int64_t i = 0; i < 4; ++i) tokens = transformer_layer(s / "transformer_encoder" / i, tokens, layer(), {});
    const Scope classifier = head / "mlp_classifier";
    const Value h = relu(linear(classifier / "linear1", pick(tokens, 1, 0).in(classifier), {.out = 128}));
    return linear(classifier / "linear2", h, {.out = 2});
  }
  /// The number of the range that all images together speak for: an i64 scalar.
  Value choice(const Value& logits) const {
    return logits.graph().op("ArgMax", {sum(logits, {0})}, {{"axis", 0}, {"keepdims", 0}});
  }

 private:
  TransformerLayer layer() const {
    return {
        .feed_forward_at = "",
        .attention = {.heads = heads_,
                      .head_size = hidden_ / heads_,
                      .projections =
                          {.query = "query", .key = "key", .value = "value", .output = "out_proj", .bias = all_biased}},
        .feed_forward = {.inner = inner_, .activation = "relu", .up = "linear1", .down = "linear2", .bias = true},
        .attention_branch = {Placement::after, {}, "norm1"},
        .feed_forward_branch = {Placement::after, {}, "norm2"}};
  }

  // Sines, and behind them cosines, of places counted from the first token on: f[n, hidden].
  Value positions(const Value& tokens) const {
    Graph& g = tokens.graph();
    std::vector<float> rates;
    for (int64_t i = 0; i < hidden_; i += 2)
      rates.push_back(std::exp(static_cast<float>(i) * (-std::log(10000.0f) / static_cast<float>(hidden_))));
    const Value place = cast(unsqueeze(range(size_of(tokens, 1)), {1}), DType::f32);
    const Value angles = place * g.constant<float>(DType::f32, {1, static_cast<int64_t>(rates.size())}, rates);
    return concat({g.op("Sin", {angles}), g.op("Cos", {angles})}, 1);
  }

  int64_t layers_, hidden_, inner_, heads_;
};

}  // namespace zoedepth
