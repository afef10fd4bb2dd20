// SPDX-License-Identifier: Apache-2.0
// ResNet between pixels and heads, by transformers' names and by timm's: alone, and as the backbone of other models.
// Source: ResNetModel, transformers 4.30, and 4.57 for downsample_in_bottleneck (modeling_resnet.py);
// RTDetrResNetBackbone, transformers 4.57 (modeling_rt_detr_resnet.py); ResNet of timm 1.0.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include <onnxport/blocks/stem.hpp>
#include <onnxport/plugin.hpp>

namespace onnxport::family {

using namespace onnxport::sdk;

struct ResNetConfig {
  /// A model of timm, by its name: "resnet50". Throws UNSUPPORTED where it is another than a plain ResNet.
  static ResNetConfig of_timm(const std::string& name, int64_t channels) {
    struct Known {
      const char* name;
      std::vector<int64_t> depths;
      bool bottleneck;
    };
    static const Known known[] = {{"resnet18", {2, 2, 2, 2}, false},  {"resnet34", {3, 4, 6, 3}, false},
                                  {"resnet26", {2, 2, 2, 2}, true},   {"resnet50", {3, 4, 6, 3}, true},
                                  {"resnet101", {3, 4, 23, 3}, true}, {"resnet152", {3, 8, 36, 3}, true}};
    for (const Known& model : known) {
      if (model.name != name.substr(0, name.find('.'))) continue;
      ResNetConfig made;
      made.channels = channels;
      made.depths = model.depths;
      made.bottleneck = model.bottleneck;
      if (!model.bottleneck) made.widths = {64, 128, 256, 512};
      made.timm = true;
      return made;
    }
    throw Error(ONNXPORT_UNSUPPORTED,
                "the backbone of timm is \"" + name +
                    "\"; supported: resnet18, resnet26, resnet34, resnet50, resnet101, resnet152");
  }
  ResNetConfig() = default;
  explicit ResNetConfig(const Config& c)
      : channels(c.size("num_channels", 3)),
        embedding(c.size("embedding_size", 64)),
        widths(c.has("hidden_sizes") ? c.integers("hidden_sizes") : std::vector<int64_t>{256, 512, 1024, 2048}),
        depths(c.has("depths") ? c.integers("depths") : std::vector<int64_t>{3, 4, 6, 3}),
        bottleneck(c.choice("layer_type", "bottleneck", {"basic", "bottleneck"}) == "bottleneck"),
        activation(c.text("hidden_act", "relu")),
        downsample_in_first_stage(c.boolean("downsample_in_first_stage", false)),
        downsample_in_bottleneck(c.boolean("downsample_in_bottleneck", false) && !c.written_before(4, 31)) {
    c.no_effect({"out_features", "out_indices", "stage_names"});  // of ResNetBackbone
    if (widths.empty() || widths.size() != depths.size()) {
      throw Error(ONNXPORT_CONFIG, "config fields 'hidden_sizes' and 'depths' have " + std::to_string(widths.size()) +
                                       " and " + std::to_string(depths.size()) + " entries; expected one each a stage");
    }
  }
  int64_t channels = 3, embedding = 64;
  std::vector<int64_t> widths{256, 512, 1024, 2048}, depths{3, 4, 6, 3};
  bool bottleneck = true;
  std::string activation = "relu";
  bool downsample_in_first_stage = false, downsample_in_bottleneck = false;
  /// The stem is three small convolutions, and a shortcut takes means where it gets smaller: the ResNet of RT-DETR.
  bool deep = false;
  bool timm = false;     ///< modules are called as in timm
  bool dilated = false;  ///< the last stage looks farther instead of getting smaller
};

/// pixels: f[batch, channels, height, width] -> what each stage yields, behind what the stem does:
/// f[batch, widths[i], …, …].
class ResNetEncoder {
 public:
  explicit ResNetEncoder(ResNetConfig config) : c(std::move(config)) {}

  std::vector<Value> operator()(const Scope& model, const Value& pixels) const {
    Value x =
        max_pool(c.deep ? deep_stem(model, pixels) : stem(model, pixels), {.kernel = 3, .stride = 2, .padding = 1});
    std::vector<Value> stages{x};
    for (size_t stage = 0; stage < c.widths.size(); ++stage) {
      const auto index = static_cast<int64_t>(stage);
      const Scope layers =
          c.timm ? model / ("layer" + std::to_string(index + 1)) : model / "encoder.stages" / index / "layers";
      const bool last = stage + 1 == c.widths.size();
      const bool shrinks = (stage > 0 || c.downsample_in_first_stage) && !(c.dilated && last);
      for (int64_t i = 0; i < c.depths[stage]; ++i) {
        const int64_t dilation = c.dilated && last && i > 0 ? 2 : 1;
        x = block(layers / i, x, {c.widths[stage], i == 0 && shrinks ? 2 : 1, dilation, i == 0});
      }
      stages.push_back(x);
    }
    return stages;
  }

 private:
  struct Block {
    int64_t out, stride, dilation;
    bool first;  // of its stage
  };

  Value stem(const Scope& model, const Value& pixels) const {
    const ConvOptions wide{.out = c.embedding, .kernel = 7, .stride = 2, .padding = 3, .bias = false, .in = c.channels};
    const Value x = c.timm ? batch_norm(model / "bn1", conv2d(model / "conv1", pixels, wide))
                           : conv_norm(model / "embedder.embedder", pixels, wide);
    return activation(x, c.activation);
  }
  Value deep_stem(const Scope& model, Value x) const {
    for (int64_t i = 0; i < 3; ++i) {
      const ConvOptions small{.out = i == 2 ? c.embedding : c.embedding / 2,
                              .kernel = 3,
                              .stride = i == 0 ? 2 : 1,
                              .padding = 1,
                              .bias = false,
                              .in = i == 0 ? c.channels : 0};
      x = activation(conv_norm(model / "embedder.embedder" / i, x, small), c.activation);
    }
    return x;
  }

  // A residual block: convolutions beside a shortcut, which is a projection where the shape changes.
  Value block(const Scope& s, const Value& x, const Block& b) const {
    const Value h = c.bottleneck ? bottleneck(s, x, b) : basic(s, x, b);
    return activation(h.in(s) + shortcut(s, x, b), c.activation);
  }

  Value shortcut(const Scope& s, const Value& x, const Block& b) const {
    const bool widens = x.fixed(1) != b.out;
    if (!widens && b.stride == 1 && !(c.deep && !c.bottleneck && b.first)) return x;
    if (c.deep && b.stride == 2 && (c.bottleneck || widens)) {
      const Value means = average_pool(x, {.kernel = 2, .stride = 2, .ceil_mode = true, .padding_counts = false}).in(s);
      return conv_norm(s / "shortcut" / 1, means, {.out = b.out, .bias = false}).in(s);
    }
    const ConvOptions projected{.out = b.out, .stride = b.stride, .bias = false};
    const Scope down = s / "downsample";
    return c.timm ? batch_norm(down / 1, conv2d(down / 0, x, projected)).in(s)
                  : conv_norm(s / "shortcut", x, projected);
  }

  Value basic(const Scope& s, const Value& x, const Block& b) const {
    Value h = layer(
        s, 0, x,
        {.out = b.out, .kernel = 3, .stride = b.stride, .padding = b.dilation, .dilation = b.dilation, .bias = false});
    h = relu(h);  // whatever hidden_act is
    return layer(s, 1, h, {.out = b.out, .kernel = 3, .padding = b.dilation, .dilation = b.dilation, .bias = false});
  }

  Value bottleneck(const Scope& s, const Value& x, const Block& b) const {
    const int64_t reduced = b.out / 4;
    const int64_t first = c.downsample_in_bottleneck ? b.stride : 1, second = c.downsample_in_bottleneck ? 1 : b.stride;
    Value h = relu(layer(s, 0, x, {.out = reduced, .stride = first, .bias = false}));
    h = relu(layer(
        s, 1, h,
        {.out = reduced, .kernel = 3, .stride = second, .padding = b.dilation, .dilation = b.dilation, .bias = false}));
    return layer(s, 2, h, {.out = b.out, .bias = false});
  }

  // The convolution of a block with this number.
  Value layer(const Scope& s, int64_t index, const Value& x, const ConvOptions& options) const {
    if (!c.timm) return conv_norm(s / "layer" / index, x, options);
    const std::string number = std::to_string(index + 1);
    return batch_norm(s / ("bn" + number), conv2d(s / ("conv" + number), x, options));
  }
  static Value conv_norm(const Scope& s, const Value& x, const ConvOptions& options) {
    return conv_stem(s, x, options, {.batch_norm = "normalization"});
  }

  const ResNetConfig c;
};

}  // namespace onnxport::family
