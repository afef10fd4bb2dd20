// SPDX-License-Identifier: Apache-2.0
// RegNet. Source: RegNetModel and RegNetForImageClassification, transformers 4.57 (modeling_regnet.py).
#include <algorithm>
#include <cmath>

#include <onnxport/blocks/stem.hpp>
#include <onnxport/plugin.hpp>

using namespace onnxport::sdk;

namespace {

struct RegNetConfig {
  explicit RegNetConfig(const Config& c)
      : channels(c.size("num_channels", 3)),
        embedding(c.size("embedding_size", 32)),
        widths(by_stage(c, "hidden_sizes", {128, 192, 512, 1088}, 1)),
        depths(by_stage(c, "depths", {2, 6, 12, 2}, widths.size())),
        group_width(c.size("groups_width", 64)),
        excites(c.choice("layer_type", "y", {"x", "y"}) == "y"),
        activation(c.text("hidden_act", "relu")),
        downsample_in_first_stage(c.boolean("downsample_in_first_stage", true)) {}
  int64_t channels, embedding;
  std::vector<int64_t> widths, depths;
  int64_t group_width;
  bool excites;
  std::string activation;
  bool downsample_in_first_stage;
};

class RegNet final : public ImageEncoder {
 public:
  explicit RegNet(const Request& request) : ImageEncoder(request), c(request.config) {}
  std::string base_model_prefix() const override { return "regnet"; }

 private:
  ImageFeatures encode(const Scope& model, const Value& pixels) const override {
    Value x = conv_norm(model / "embedder.embedder", pixels,
                        {.out = c.embedding, .kernel = 3, .stride = 2, .padding = 1, .bias = false, .in = c.channels});
    x = activation(x, c.activation);
    model.graph().mark("hidden_states.0", x);
    for (size_t stage = 0; stage < c.widths.size(); ++stage) {
      const Scope layers = model / "encoder.stages" / static_cast<int64_t>(stage) / "layers";
      const int64_t stride = stage > 0 || c.downsample_in_first_stage ? 2 : 1;
      for (int64_t i = 0; i < c.depths[stage]; ++i) x = block(layers / i, x, {c.widths[stage], i == 0 ? stride : 1});
      model.graph().mark("hidden_states." + std::to_string(stage + 1), x);
    }
    return {x};
  }
  Value pool(const Scope& model, const ImageFeatures& made) const override {
    return global_average_pool(made.last.in(model / "pooler"));
  }
  Value classify(const Scope& model, const ImageFeatures& made) const override {
    return linear(model.graph().root() / "classifier.1", mean_of_image(made.last), {.out = labels()});
  }

  struct Block {
    int64_t out, stride;
  };
  // Convolutions in groups between two at every pixel, beside a shortcut, which is a projection where the shape
  // changes.
  Value block(const Scope& s, const Value& x, const Block& b) const {
    const int64_t groups = std::max<int64_t>(1, b.out / c.group_width);
    Value h = activation(conv_norm(s / "layer.0", x, {.out = b.out, .bias = false}), c.activation);
    h = conv_norm(s / "layer.1", h,
                  {.out = b.out, .kernel = 3, .stride = b.stride, .padding = 1, .groups = groups, .bias = false});
    h = activation(h, c.activation);
    if (c.excites) h = excite(s / "layer.2.attention", h, x.fixed(1));
    h = conv_norm(s / "layer" / (c.excites ? 3 : 2), h, {.out = b.out, .bias = false});
    const bool same = x.fixed(1) == b.out && b.stride == 1;
    const Value shortcut = same ? x : conv_norm(s / "shortcut", x, {.out = b.out, .stride = b.stride, .bias = false});
    return activation(h.in(s) + shortcut, c.activation);
  }

  // Channels weighed by what the whole image holds, seen through a quarter of the block's first width.
  static Value excite(const Scope& s, const Value& x, int64_t first_width) {
    const auto reduced = static_cast<int64_t>(std::nearbyint(static_cast<double>(first_width) / 4));
    const Value h = relu(conv2d(s / 0, global_average_pool(x), {.out = reduced}));
    return x * sigmoid(conv2d(s / 2, h, {.out = x.fixed(1)}));
  }

  static Value conv_norm(const Scope& s, const Value& x, const ConvOptions& options) {
    return conv_stem(s, x, options, {.batch_norm = "normalization"});
  }

  const RegNetConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.regnet",
    .name = "RegNet",
    .models = {{.types = {"regnet"}, .features = {"default", "image-classification"}, .make = make<RegNet>}},
})
