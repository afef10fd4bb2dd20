// SPDX-License-Identifier: Apache-2.0
// Swin V2: angles between queries and keys are the scores, and a small network makes their bias of distances.
// Source: Swinv2Model, Swinv2ForImageClassification, Swinv2ForMaskedImageModeling and Swinv2Backbone, transformers 4.57
// (modeling_swinv2.py).
#include <algorithm>

#include <onnxport/blocks/angular_window_layer.hpp>
#include <onnxport/families/backbones.hpp>

using namespace onnxport::family;

namespace {

class SwinV2 final : public SwinOnnxConfig {
 public:
  explicit SwinV2(const Request& request)
      : SwinOnnxConfig(request),
        pretrained(by_stage(request.config, "pretrained_window_sizes", std::vector<int64_t>(c.depths.size(), 0),
                            c.depths.size())),
        read(stages_read(request.config, c.depths.size())) {
    if (c.absolute) {
      throw Error(ONNXPORT_UNSUPPORTED,
                  "config field 'use_absolute_embeddings' is true; the original adds a table of one position too many, "
                  "and fails. Expected false");
    }
    const int64_t last = c.grid.height >> (c.depths.size() - 1);
    if (last == 0) throw Error(ONNXPORT_CONFIG, "config field 'image_size' leaves no patches for the last stage");
  }
  std::string base_model_prefix() const override { return "swinv2"; }
  std::vector<OutputSpec> outputs() const override {
    return task() == "backbone" ? map_outputs(read.size()) : SwinOnnxConfig::outputs();
  }
  Outputs forward(Graph& g, const Inputs& in) const override {
    if (task() != "backbone") return SwinOnnxConfig::forward(g, in);
    g.unused("*layernorm.weight");  // of a model that is no backbone
    g.unused("*layernorm.bias");
    return map_values(picked(encode(g.root() / base_model_prefix(), in.at("pixel_values")).stages, read));
  }

 private:
  // Windows are no larger than the stage's share of the images that the model was trained for, and shifted by half of
  // one where there was room for several.
  Stage stage_over(size_t index, const TokenGrid& grid) const override {
    const int64_t rows = c.grid.height >> index, window = std::min(rows, c.window);
    const Windows plain = windows_over(grid, {.size = window});
    if (rows <= window) return {index, grid, plain, plain};
    const Value shift = grid.rows.graph().integer(c.window / 2);
    return {index, grid, plain, windows_over(grid, {.size = window, .shift = shift, .apart = angular_windows_apart})};
  }

  Value layer(const Scope& s, const Value& x, const Stage& stage, const Windows& windows) const override {
    const auto inner = static_cast<int64_t>(c.ratio * static_cast<double>(x.fixed(2)));
    const AngularWindowLayer form{c.heads[stage.index], inner,     c.activation,
                                  c.qkv_bias,           c.epsilon, pretrained[stage.index]};
    return form(s, x, windows);
  }

  Value merge(const Scope& s, const Value& x, int64_t width) const override {
    return norm(s / "norm", linear(s / "reduction", x, {.out = width, .bias = false}), {});
  }

  std::vector<int64_t> pretrained;  // windows that each stage had before
  const std::vector<size_t> read;   // of a backbone
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.swinv2",
    .name = "Swin V2",
    .models = {{.types = {"swinv2"},
                .features = {"default", "image-classification", "masked-im", "backbone"},
                .make = make<SwinV2>}},
})
