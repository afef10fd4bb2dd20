// SPDX-License-Identifier: Apache-2.0
// Swin V2: angles between queries and keys are the scores, and a small network makes their bias of distances.
// Source: Swinv2Model, Swinv2ForImageClassification and Swinv2ForMaskedImageModeling, transformers 4.57
// (modeling_swinv2.py).
#include <cmath>

#include <onnxport/families/swin.hpp>

using namespace onnxport::family;

namespace {

class SwinV2 final : public SwinOnnxConfig {
 public:
  explicit SwinV2(const Request& request)
      : SwinOnnxConfig(request),
        pretrained(by_stage(request.config, "pretrained_window_sizes", std::vector<int64_t>(c.depths.size(), 0),
                            c.depths.size())) {
    if (c.absolute) {
      throw Error(ONNXPORT_UNSUPPORTED,
                  "config field 'use_absolute_embeddings' is true; the original adds a table of one position too many, "
                  "and fails. Expected false");
    }
    const int64_t last = c.grid.height >> (c.depths.size() - 1);
    if (last == 0) throw Error(ONNXPORT_CONFIG, "config field 'image_size' leaves no patches for the last stage");
  }
  std::string base_model_prefix() const override { return "swinv2"; }

 private:
  // Windows are no larger than the stage's share of the images that the model was trained for, and shifted by half of
  // one where there was room for several.
  Stage stage_over(size_t index, const TokenGrid& grid) const override {
    const int64_t rows = c.grid.height >> index, window = std::min(rows, c.window);
    const Windows plain = windows_over(grid, {.size = window});
    if (rows <= window) return {index, grid, plain, plain};
    const Value shift = grid.rows.graph().integer(c.window / 2);
    // The reference adds its mask twice.
    return {index, grid, plain, windows_over(grid, {.size = window, .shift = shift, .apart = -200})};
  }

  // Both halves are normed behind, before they are joined.
  Value layer(const Scope& s, const Value& x, const Stage& stage, const Windows& windows) const override {
    const auto attends = [&](const Value& h) {
      const Value inside = into_windows(h, windows);
      const Value bias = bias_within(windows, distance_bias(s / "attention.self", stage, windows.size), inside, h);
      return out_of_windows(by_angles(s / "attention", inside, c.heads[stage.index], bias), windows, h);
    };
    const auto feeds = [&](const Value& h) {
      const auto inner = static_cast<int64_t>(c.ratio * static_cast<double>(h.fixed(2)));
      return feed_forward(s, h,
                          {.inner = inner,
                           .activation = c.activation,
                           .up = "intermediate.dense",
                           .down = "output.dense",
                           .bias = true});
    };
    const Value y = residual(s, x.in(s), {Placement::inside, {.epsilon = c.epsilon}, "layernorm_before"}, attends);
    return residual(s, y, {Placement::inside, {.epsilon = c.epsilon}, "layernorm_after"}, feeds);
  }

  // Scores are cosines, times a learnt factor a head that is 100 at the most: f[batch, n, width] -> the same.
  Value by_angles(const Scope& s, const Value& x, int64_t heads, const Value& bias) const {
    const AttentionBlock block{.heads = heads,
                               .head_size = x.fixed(2) / heads,
                               .projections = {.query = "self.query",
                                               .key = "self.key",
                                               .value = "self.value",
                                               .bias = {c.qkv_bias, false, c.qkv_bias, true}},
                               .scale = 1};
    const auto direction = [&](const Value& part) {
      const Value apart = split_heads(part, heads);
      const Value length = s.op("ReduceL2", {apart}, {{"axes", {-1}}, {"keepdims", true}});
      return apart / s.op("Max", {length, s.graph().scalar(1e-12)});
    };
    QueryKeyValue made = project(s, x, block);
    const Value learnt = (s / "self").weight("logit_scale", {heads, 1, 1});
    const Value factor = exp(s.op("Min", {learnt, s.graph().scalar(std::log(100.0))}));
    made.query = direction(made.query) * factor;
    made.key = direction(made.key);
    return linear(s / "output.dense", mix(s, made, block, {.bias = bias}), {.out = x.fixed(2)});
  }

  // A network's answer to the logarithm of each distance: f[1, heads, size², size²].
  Value distance_bias(const Scope& s, const Stage& stage, int64_t size) const {
    const int64_t before = pretrained[stage.index], side = 2 * size - 1;
    const auto whole = static_cast<float>(before > 0 ? before - 1 : size > 1 ? size - 1 : 1);
    const auto scaled = [&](int64_t distance) {
      const float share = 8 * static_cast<float>(distance) / whole;
      return std::copysign(std::log2(std::fabs(share) + 1.0f) / 3.0f, share);
    };
    std::vector<float> distances;
    for (int64_t row = 1 - size; row < size; ++row) {
      for (int64_t column = 1 - size; column < size; ++column)
        distances.insert(distances.end(), {scaled(row), scaled(column)});
    }
    const Value given = s.graph().constant<float>(DType::f32, {side * side, 2}, distances);
    const Scope network = s / "continuous_position_bias_mlp";
    const Value hidden = relu(linear(network / 0, given.in(network), {.out = 512}));
    const Value table = linear(network / 2, hidden, {.out = c.heads[stage.index], .bias = false});
    return sigmoid(window_bias(table, size)) * 16.0;
  }

  Value merge(const Scope& s, const Value& x, int64_t width) const override {
    return norm(s / "norm", linear(s / "reduction", x, {.out = width, .bias = false}), {});
  }

  std::vector<int64_t> pretrained;  // windows that each stage had before
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.swinv2",
    .name = "Swin V2",
    .models = {{.types = {"swinv2"},
                .features = {"default", "image-classification", "masked-im"},
                .make = make<SwinV2>}},
})
