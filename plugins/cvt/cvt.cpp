// SPDX-License-Identifier: Apache-2.0
// CvT: stages of attention whose queries, keys and values are convolutions of the image. Source: CvtModel and
// CvtForImageClassification, transformers 4.57 (modeling_cvt.py).
#include <algorithm>
#include <cmath>

#include <onnxport/blocks/feed_forward.hpp>
#include <onnxport/plugin.hpp>

using namespace onnxport::sdk;

namespace {

struct Stage {
  int64_t width, heads, layers;
  int64_t patch, stride, padding;  // of the convolution before its layers
  int64_t inner;
  bool bias;  // of queries, keys and values
  bool first_token;
  int64_t kernel;                    // of the convolutions that queries, keys and values are made by
  int64_t query_stride, key_stride;  // values as keys
  int64_t query_padding, key_padding;
};

std::vector<Stage> stages_of(const Config& c) {
  const auto depths = by_stage(c, "depth", {1, 2, 10}, 1);
  const size_t count = depths.size();
  const auto numbers = [&](const char* key, std::vector<int64_t> fallback) {
    return by_stage(c, key, std::move(fallback), count);
  };
  const auto widths = numbers("embed_dim", {64, 192, 384}), heads = numbers("num_heads", {1, 3, 6});
  const auto patches = numbers("patch_sizes", {7, 3, 3}), strides = numbers("patch_stride", {4, 2, 2});
  const auto paddings = numbers("patch_padding", {2, 1, 1}), kernels = numbers("kernel_qkv", {3, 3, 3});
  const auto query_strides = numbers("stride_q", {1, 1, 1}), query_paddings = numbers("padding_q", {1, 1, 1});
  const auto key_strides = numbers("stride_kv", {2, 2, 2}), key_paddings = numbers("padding_kv", {1, 1, 1});
  const auto ratios = c.has("mlp_ratio") ? c.reals("mlp_ratio") : std::vector<double>{4, 4, 4};
  const auto biases = c.has("qkv_bias") ? c.booleans("qkv_bias") : std::vector<bool>{true, true, true};
  const auto tokens = c.has("cls_token") ? c.booleans("cls_token") : std::vector<bool>{false, false, true};
  const auto methods = c.has("qkv_projection_method") ? c.texts("qkv_projection_method")
                                                      : std::vector<std::string>{"dw_bn", "dw_bn", "dw_bn"};
  if (std::min({ratios.size(), biases.size(), tokens.size(), methods.size()}) < count) {
    throw Error(ONNXPORT_CONFIG,
                "config field 'mlp_ratio', 'qkv_bias', 'cls_token' or 'qkv_projection_method' is shorter than 'depth'");
  }
  std::vector<Stage> stages;
  for (size_t i = 0; i < count; ++i) {
    if (methods[i] != "dw_bn") {
      throw Error(ONNXPORT_UNSUPPORTED, "config field 'qkv_projection_method' is \"" + methods[i] +
                                            "\"; supported: dw_bn (the original runs no other)");
    }
    if (tokens[i] && widths[i] != widths.back()) {
      throw Error(ONNXPORT_CONFIG, "config field 'cls_token' gives a token to a stage of the width " +
                                       std::to_string(widths[i]) + "; expected the last stage's width, " +
                                       std::to_string(widths.back()));
    }
    require_multiple({"embed_dim", widths[i]}, {"num_heads", heads[i]});
    stages.push_back({.width = widths[i],
                      .heads = heads[i],
                      .layers = depths[i],
                      .patch = patches[i],
                      .stride = strides[i],
                      .padding = paddings[i],
                      .inner = static_cast<int64_t>(static_cast<double>(widths[i]) * ratios[i]),
                      .bias = biases[i],
                      .first_token = tokens[i],
                      .kernel = kernels[i],
                      .query_stride = query_strides[i],
                      .key_stride = key_strides[i],
                      .query_padding = query_paddings[i],
                      .key_padding = key_paddings[i]});
  }
  return stages;
}

class Cvt final : public ImageEncoder {
 public:
  explicit Cvt(const Request& request)
      : ImageEncoder(request), channels(request.config.size("num_channels", 3)), stages(stages_of(request.config)) {
    // Of training; and epsilons are the same whatever layer_norm_eps says.
    request.config.no_effect({"attention_drop_rate", "drop_rate", "drop_path_rate", "layer_norm_eps"});
  }
  std::string base_model_prefix() const override { return "cvt"; }

 private:
  ImageFeatures encode(const Scope& model, const Value& pixels) const override {
    ImageFeatures made{pixels};
    for (size_t i = 0; i < stages.size(); ++i) {
      made = run(model / "encoder.stages" / static_cast<int64_t>(i), made.last, i);
      model.graph().mark("hidden_states." + std::to_string(i), made.last);
    }
    if (stages.back().first_token) model.graph().mark("cls_token_value", made.stages[0]);
    return made;
  }
  // The last stage's first token, or else the mean of its image.
  Value classify(const Scope& model, const ImageFeatures& made) const override {
    const Scope root = model.graph().root();
    const Value tokens = stages.back().first_token ? made.stages[0] : tokens_of(made.last);
    return linear(root / "classifier", mean(norm(root / "layernorm", tokens, {}), {1}), {.out = labels()});
  }

  // A stage's image, and in `stages` its first token f[batch, 1, width], if it has one.
  ImageFeatures run(const Scope& s, const Value& x, size_t index) const {
    const Stage& stage = stages[index];
    const Scope patches = s / "embedding.convolution_embeddings";
    const Value image = conv2d(patches / "projection", x,
                               {.out = stage.width,
                                .kernel = stage.patch,
                                .stride = stage.stride,
                                .padding = stage.padding,
                                .in = index == 0 ? channels : 0});
    const Value size = shape_of(image, 2, 4);
    Value tokens = norm(patches / "normalization", tokens_of(image), {}).in(s);
    if (stage.first_token) tokens = prepend({s.weight("cls_token", {1, 1, stage.width})}, tokens);
    for (int64_t i = 0; i < stage.layers; ++i) tokens = layer(s / "layers" / i, tokens, size, stage);
    if (!stage.first_token) return {image_of(tokens, size)};
    return {image_of(slice(tokens, {1, 1}), size), {slice(tokens, {1, 0, 1})}};
  }

  static Value layer(const Scope& s, const Value& x, const Value& size, const Stage& stage) {
    const Value attended = attend(s / "attention", norm(s / "layernorm_before", x, {}), size, stage);
    const Value y = attended.in(s) + x;
    const FeedForward form{.inner = stage.inner, .up = "intermediate.dense", .down = "output.dense", .bias = true};
    return feed_forward(s, norm(s / "layernorm_after", y, {}), form) + y;
  }

  static Value attend(const Scope& s, const Value& x, const Value& size, const Stage& stage) {
    const Scope self = s / "attention";
    const Value image = image_of(stage.first_token ? slice(x, {1, 1}) : x, size);
    const auto made = [&](const std::string& name, int64_t stride, int64_t padding) {
      const Scope at = self / ("convolution_projection_" + name) / "convolution_projection";
      const Value seen = conv2d(at / "convolution", image,
                                {.out = stage.width,
                                 .kernel = stage.kernel,
                                 .stride = stride,
                                 .padding = padding,
                                 .groups = stage.width,
                                 .bias = false});
      Value tokens = tokens_of(batch_norm(at / "normalization", seen)).in(self);
      if (stage.first_token) tokens = concat({slice(x, {1, 0, 1}), tokens}, 1);
      return linear(self / ("projection_" + name), tokens, {.out = stage.width, .bias = stage.bias});
    };
    const Value query = made("query", stage.query_stride, stage.query_padding);
    const Value key = made("key", stage.key_stride, stage.key_padding);
    const Value value = made("value", stage.key_stride, stage.key_padding);
    // Scores are scaled by the width of all heads together.
    const double scale = 1 / std::sqrt(static_cast<double>(stage.width));
    const Value mixed = attention(query, key, value, {.heads = stage.heads, .scale = scale}).mixed;
    return linear(s / "output.dense", mixed, {.out = stage.width});
  }

  int64_t channels;
  const std::vector<Stage> stages;
};

}  // namespace

ONNXPORT_PLUGIN({
    .id = "org.onnxport.cvt",
    .name = "CvT",
    .models = {{.types = {"cvt"}, .features = {"default", "image-classification"}, .make = make<Cvt>}},
})
