// SPDX-License-Identifier: Apache-2.0
// DINOv3 in the form of a ConvNeXT. Source: DINOv3ConvNextModel and DINOv3ConvNextBackbone, transformers 5.24
// (modeling_dinov3_convnext.py).
#include <onnxport/families/backbones.hpp>

using namespace onnxport::family;

namespace {

struct Dinov3ConvNextConfig {
  explicit Dinov3ConvNextConfig(const Config& c)
      : channels(c.size("num_channels", 3)),
        widths(c.has("hidden_sizes") ? c.integers("hidden_sizes") : std::vector<int64_t>{96, 192, 384, 768}),
        depths(c.has("depths") ? c.integers("depths") : std::vector<int64_t>{3, 3, 9, 3}),
        activation(c.text("hidden_act", "gelu")),
        epsilon(c.real("layer_norm_eps", 1e-6)) {
    // Of training, of the backbone; and any size of image goes through convolutions.
    c.no_effect(
        {"layer_scale_init_value", "drop_path_rate", "out_features", "out_indices", "stage_names", "image_size"});
    if (widths.empty() || depths.size() < widths.size()) {
      throw Error(ONNXPORT_CONFIG, "config fields 'hidden_sizes' and 'depths' have " + std::to_string(widths.size()) +
                                       " and " + std::to_string(depths.size()) + " entries; expected one each a stage");
    }
  }
  int64_t channels;
  std::vector<int64_t> widths, depths;
  std::string activation;
  double epsilon;
};

class Dinov3ConvNext final : public OnnxConfig {
 public:
  explicit Dinov3ConvNext(const Request& request)
      : OnnxConfig(request), c(request.config), read(stages_read(request.config, c.widths.size())) {}

  std::string base_model_prefix() const override { return "model"; }
  double atol_for_validation() const override { return 1e-4; }
  std::vector<TensorSpec> inputs() const override { return {pixel_values()}; }
  std::vector<OutputSpec> outputs() const override {
    return task() == "backbone" ? map_outputs(read.size()) : OnnxConfig::outputs();
  }
  Heads heads() const override {
    if (task() == "backbone") return {};  // whose maps are made below
    return {head::hidden_states()};
  }

  // The mean of the image before its pixels, as tokens: f32[batch, 1 + rows·columns, widths.back()].
  Outputs forward(Graph& g, const Inputs& in) const override {
    const std::vector<Value> states = encode(g.root(), in.at("pixel_values"));
    if (task() == "backbone") {
      g.unused("layer_norm.*");  // of the model that is no backbone
      return map_values(picked(states, read));
    }
    const Value& image = states.back();
    const Value tokens = concat({tokens_of(global_average_pool(image)), tokens_of(image)}, 1);
    const Value hidden = norm(g.root() / "layer_norm", tokens, {.epsilon = c.epsilon});
    if (g.wants("pooler_output")) g.mark("pooler_output", pick(hidden, 1, 0));
    return head_for_feature().outputs({g.root(), hidden, in});
  }

 private:
  // The pixels, which the original takes for the stem, and what each stage yields: f32[batch, widths[i], …, …].
  std::vector<Value> encode(const Scope& model, const Value& pixels) const {
    const ConvNextBlock block{.depthwise = "depthwise_conv",
                              .norm = "layer_norm",
                              .up = "pointwise_conv1",
                              .down = "pointwise_conv2",
                              .epsilon = c.epsilon,
                              .activation = c.activation,
                              .factor = "gamma"};
    Value x = pixels;
    std::vector<Value> states{pixels};
    for (size_t i = 0; i < c.widths.size(); ++i) {
      const Scope stage = model / "stages" / static_cast<int64_t>(i), down = stage / "downsample_layers";
      if (i == 0) {
        x = conv2d(down / 0, x, {.out = c.widths[i], .kernel = 4, .stride = 4, .in = c.channels});
        x = norm_of_channels(down / 1, x, {.epsilon = c.epsilon});
      } else {
        x = norm_of_channels(down / 0, x, {.epsilon = c.epsilon});
        x = conv2d(down / 1, x, {.out = c.widths[i], .kernel = 2, .stride = 2});
      }
      for (int64_t j = 0; j < c.depths[i]; ++j) x = convnext_block(stage / "layers" / j, x, block);
      states.push_back(model.graph().mark("hidden_states." + std::to_string(i + 1), x));
    }
    return states;
  }

  const Dinov3ConvNextConfig c;
  const std::vector<size_t> read;  // of a backbone
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.dinov3_convnext",
    .name = "DINOv3 (ConvNeXT)",
    .models = {{.types = {"dinov3_convnext"}, .features = {"default", "backbone"}, .make = make<Dinov3ConvNext>}},
})
