// SPDX-License-Identifier: Apache-2.0
// PoolFormer: where a transformer attends, it pools. Source: PoolFormerModel and PoolFormerForImageClassification,
// transformers 4.57 (modeling_poolformer.py).
#include <onnxport/plugin.hpp>

using namespace onnxport::sdk;

namespace {

struct PoolFormerConfig {
  explicit PoolFormerConfig(const Config& c)
      : channels(c.size("num_channels", 3)),
        stages(static_cast<size_t>(c.size("num_encoder_blocks", 4))),
        widths(by_stage(c, "hidden_sizes", {64, 128, 320, 512}, stages)),
        depths(by_stage(c, "depths", {2, 2, 6, 2}, stages)),
        kernels(by_stage(c, "patch_sizes", {7, 3, 3, 3}, stages)),
        strides(by_stage(c, "strides", {4, 2, 2, 2}, stages)),
        paddings(by_stage(c, "padding", {2, 1, 1, 1}, stages)),
        pool(c.size("pool_size", 3)),
        ratio(c.real("mlp_ratio", 4)),
        activation(c.text("hidden_act", "gelu")),
        scaled(c.boolean("use_layer_scale", true)) {
    // Of training; and what the lists of all stages stand for.
    c.no_effect({"drop_path_rate", "layer_scale_init_value", "patch_size", "stride"});
    if (pool % 2 == 0) {
      throw Error(ONNXPORT_CONFIG, "config field 'pool_size' is " + std::to_string(pool) +
                                       "; expected an odd number, which keeps an image's size");
    }
  }
  int64_t channels;
  size_t stages;
  std::vector<int64_t> widths, depths, kernels, strides, paddings;
  int64_t pool;
  double ratio;
  std::string activation;
  bool scaled;
};

class PoolFormer final : public ImageEncoder {
 public:
  explicit PoolFormer(const Request& request) : ImageEncoder(request), c(request.config) {}
  std::string base_model_prefix() const override { return "poolformer"; }

 private:
  ImageFeatures encode(const Scope& model, const Value& pixels) const override {
    Value x = pixels;
    for (size_t i = 0; i < c.stages; ++i) {
      const auto index = static_cast<int64_t>(i);
      x = conv2d(model / "encoder.patch_embeddings" / index / "projection", x,
                 {.out = c.widths[i],
                  .kernel = c.kernels[i],
                  .stride = c.strides[i],
                  .padding = c.paddings[i],
                  .in = i == 0 ? c.channels : 0});
      for (int64_t j = 0; j < c.depths[i]; ++j) x = layer(model / "encoder.block" / index / j, x);
      model.graph().mark("hidden_states." + std::to_string(i), x);
    }
    return {x};
  }
  Value classify(const Scope& model, const ImageFeatures& made) const override {
    const Scope root = model.graph().root();
    const Value normed = group_norm(root / "norm", made.last, {.groups = 1});
    return linear(root / "classifier", mean_of_image(normed), {.out = labels()});
  }

  // What differs from the neighbourhood's mean, and a bottleneck at every pixel; both are normed before.
  Value layer(const Scope& s, const Value& x) const {
    const Value normed = group_norm(s / "before_norm", x, {.groups = 1});
    const Value means =
        average_pool(normed, {.kernel = c.pool, .stride = 1, .padding = c.pool / 2, .padding_counts = false});
    const Value y = x + scaled(s, "layer_scale_1", means - normed);
    const auto inner = static_cast<int64_t>(static_cast<double>(x.fixed(1)) * c.ratio);
    Value h = conv2d(s / "output.conv1", group_norm(s / "after_norm", y, {.groups = 1}), {.out = inner});
    h = conv2d(s / "output.conv2", activation(h, c.activation), {.out = x.fixed(1)});
    return y + scaled(s, "layer_scale_2", h);
  }
  Value scaled(const Scope& s, const char* factor, const Value& x) const {
    return c.scaled ? x.in(s)*unsqueeze(s.weight(factor, {x.fixed(1)}), {1, 2}) : x.in(s);
  }

  const PoolFormerConfig c;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.poolformer",
    .name = "PoolFormer",
    .models = {{.types = {"poolformer"}, .features = {"default", "image-classification"}, .make = make<PoolFormer>}},
})
