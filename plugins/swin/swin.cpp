// SPDX-License-Identifier: Apache-2.0
// Swin, and Donut's, which ends without a norm. Source: SwinModel, SwinForImageClassification and
// SwinForMaskedImageModeling, transformers 4.30, and 4.57 for other sizes of images and for DonutSwinModel and
// DonutSwinForImageClassification (modeling_swin.py, modeling_donut_swin.py).
#include <onnxport/blocks/window_layer.hpp>
#include <onnxport/families/backbones.hpp>

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

  Value layer(const Scope& s, const Value& x, const Stage& stage, const Windows& windows) const override {
    const auto inner = static_cast<int64_t>(c.ratio * static_cast<double>(x.fixed(2)));
    return window_layer(s, x, {c.heads[stage.index], inner, c.activation, c.qkv_bias, c.epsilon}, windows);
  }

  Value merge(const Scope& s, const Value& x, int64_t) const override { return swin_merge(s, x); }
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
    .models = {{.types = {"swin"},
                .features = {"default", "image-classification", "masked-im", "backbone"},
                .make = make_with_backbone<Swin>},
               {.types = {"donut-swin"}, .features = {"default", "image-classification"}, .make = make<DonutSwin>},
               {.types = {"maskformer-swin"}, .features = {"backbone"}, .make = make<BackboneModel>}},
})
