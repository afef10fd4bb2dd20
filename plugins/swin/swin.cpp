// SPDX-License-Identifier: Apache-2.0
// Swin, and Donut's, which ends without a norm. Source: SwinModel, SwinForImageClassification and
// SwinForMaskedImageModeling, transformers 4.30, and 4.57 for other sizes of images and for DonutSwinModel and
// DonutSwinForImageClassification (modeling_swin.py, modeling_donut_swin.py).
#include <onnxport/families/swin.hpp>

using namespace onnxport::family;

namespace {

class Swin : public SwinOnnxConfig {
 public:
  using SwinOnnxConfig::SwinOnnxConfig;
  std::string base_model_prefix() const override { return "swin"; }

 private:
  // Windows are shifted by half of one, but where a single one holds a side of the image.
  Stage stage_over(size_t index, const TokenGrid& grid) const override {
    Graph& g = grid.rows.graph();
    const Value several = g.op("Greater", {g.op("Min", {grid.rows, grid.columns}), g.integer(c.window)});
    const Value shift = where(several, g.integer(c.window / 2), g.integer(0));
    return {index, grid, windows_over(grid, {.size = c.window}),
            windows_over(grid, {.size = c.window, .shift = shift})};
  }

  // Both halves are normed before.
  Value layer(const Scope& s, const Value& x, const Stage& stage, const Windows& windows) const override {
    const int64_t heads = c.heads[stage.index], width = x.fixed(2);
    const AttentionBlock block{.heads = heads,
                               .head_size = width / heads,
                               .projections = {.query = "self.query",
                                               .key = "self.key",
                                               .value = "self.value",
                                               .output = "output.dense",
                                               .bias = {c.qkv_bias, c.qkv_bias, c.qkv_bias, true}}};
    const auto attends = [&](const Value& h) {
      const Scope self = s / "attention.self";
      const int64_t distances = (2 * windows.size - 1) * (2 * windows.size - 1);
      const Value bias = window_bias(self.weight("relative_position_bias_table", {distances, heads}), windows.size);
      const Value inside = into_windows(h, windows);
      const Value mixed = attend(s / "attention", inside, block, {.bias = bias_within(windows, bias, inside, h)});
      return out_of_windows(mixed, windows, h);
    };
    const auto feeds = [&](const Value& h) {
      const auto inner = static_cast<int64_t>(c.ratio * static_cast<double>(width));
      return feed_forward(s, h,
                          {.inner = inner,
                           .activation = c.activation,
                           .up = "intermediate.dense",
                           .down = "output.dense",
                           .bias = true});
    };
    const Value y = residual(s, x.in(s), {.norm = {.epsilon = c.epsilon}, .name = "layernorm_before"}, attends);
    return residual(s, y, {.norm = {.epsilon = c.epsilon}, .name = "layernorm_after"}, feeds);
  }

  Value merge(const Scope& s, const Value& x, int64_t width) const override {
    return linear(s / "reduction", norm(s / "norm", x, {}), {.out = width, .bias = false});
  }
};

class DonutSwin final : public Swin {
 public:
  explicit DonutSwin(const Request& request) : Swin(request) {
    if (!c.absolute) return;
    throw Error(
        ONNXPORT_UNSUPPORTED,
        "config field 'use_absolute_embeddings' is true; supported: false (the original's table has one position "
        "more than patches, and fails)");
  }
  std::string base_model_prefix() const override { return "donut"; }

 private:
  Value finish(const Scope&, const Value& x) const override { return x; }
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.swin",
    .name = "Swin",
    .models = {{.types = {"swin"}, .features = {"default", "image-classification", "masked-im"}, .make = make<Swin>},
               {.types = {"donut-swin"}, .features = {"default", "image-classification"}, .make = make<DonutSwin>}},
})
