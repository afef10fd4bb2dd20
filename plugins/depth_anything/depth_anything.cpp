// SPDX-License-Identifier: Apache-2.0
// Depth Anything: how far every pixel is, through a backbone. Source: DepthAnythingForDepthEstimation, transformers
// 4.57 (modeling_depth_anything.py).
#include <onnxport/families/backbones.hpp>
#include <onnxport/families/dpt.hpp>

using namespace onnxport::family;

namespace {

DptNeckConfig neck_config(const Config& c) {
  DptNeckConfig made(c, {.widths = {48, 96, 192, 384}, .fused = 64, .readout = "ignore"});
  made.sized = true;
  return made;
}

// The backbone where config.json states none.
onnxport::sdk::Backbone small_dinov2(const Config& none) {
  Dinov2Config made(none, dinov2_relatives[0]);
  made.hidden = 384;
  made.heads = 6;
  made.inner = 4 * made.hidden;
  made.grid = Extent(518 / made.patch.height);
  return dinov2_backbone_of(made, {.read = {9, 10, 11, 12}, .as_images = false});
}

class DepthAnything final : public OnnxConfig {
 public:
  explicit DepthAnything(const Request& request)
      : OnnxConfig(request),
        backbone(backbone_of(request.config, backbones, small_dinov2)),
        neck(neck_config(request.config)),
        patch(request.config.size("patch_size", 14)),
        head_width(request.config.size("head_hidden_size", 32)),
        metric(request.config.choice("depth_estimation_type", "relative", {"relative", "metric"}) == "metric"),
        farthest(request.config.real("max_depth", 1)) {
    request.config.no_effect({"reassemble_hidden_size"});  // the backbone's width
  }
  double atol_for_validation() const override { return 1e-4; }
  std::vector<TensorSpec> inputs() const override { return {pixel_values()}; }
  std::vector<OutputSpec> outputs() const override { return {{"predicted_depth", {{0, axis::batch}}}}; }

  Outputs forward(Graph& g, const Inputs& in) const override {
    const FeatureMaps maps = backbone(g.root() / "backbone", in.at("pixel_values"));
    const DptNeck::Made made = neck(g.root() / "neck", maps);
    const Scope head = g.root() / "head";
    const int64_t half = neck.c.fused / 2;
    Value x = conv2d(head / "conv1", neck.read_by_head(made), {.out = half, .kernel = 3, .padding = 1});
    x = interpolate(x, maps.size * g.integer(patch), {.how = Interpolation::bilinear, .align_corners = true});
    x = relu(conv2d(head / "conv2", x, {.out = head_width, .kernel = 3, .padding = 1}));
    x = conv2d(head / "conv3", x, {.out = 1});
    x = metric ? sigmoid(x) : relu(x);
    if (farthest != 1) x = x * farthest;
    return {{"predicted_depth", squeeze(x, {1})}};
  }

 private:
  const onnxport::sdk::Backbone backbone;
  const DptNeck neck;
  int64_t patch, head_width;
  bool metric;      // depths between 0 and the farthest; else any from 0 on
  double farthest;  // times what the head says
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.depth_anything",
    .name = "Depth Anything",
    .models = {{.types = {"depth_anything"}, .features = {"depth-estimation"}, .make = make<DepthAnything>}},
})
