// SPDX-License-Identifier: Apache-2.0
// ResNet between pixels and heads, by transformers' names and by timm's: alone, and as the backbone of other models.
// Source: ResNetModel, transformers 4.30, and 4.57 for downsample_in_bottleneck (modeling_resnet.py);
// RTDetrResNetBackbone, transformers 4.57 (modeling_rt_detr_resnet.py); ResNet of timm 1.0.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <algorithm>
#include <string>
#include <vector>

#include <onnxport/blocks/stem.hpp>
#include <onnxport/plugin.hpp>

namespace onnxport::family {

using namespace onnxport::sdk;

struct ResNetConfig {
  /// A model of timm, by its name: "resnet50". Throws UNSUPPORTED where it is another than a ResNet or ResNeXt.
  static ResNetConfig of_timm(const std::string& name, int64_t channels) {
    const Known* known = known_to_timm(name);
    if (known == nullptr) {
      throw Error(ONNXPORT_UNSUPPORTED, "the backbone of timm is \"" + name + "\"; supported: " + names_of_timm());
    }
    ResNetConfig made;
    made.channels = channels;
    made.depths = known->depths;
    made.bottleneck = known->bottleneck;
    if (!known->bottleneck) made.widths = {64, 128, 256, 512};
    made.timm = true;
    made.deep = known->deep;
    made.groups = known->groups;
    made.group_width = known->group_width;
    return made;
  }
  /// What timm has under names of its own.
  struct Known {
    const char* name;
    std::vector<int64_t> depths;
    bool bottleneck, deep = false;
    int64_t groups = 1, group_width = 64;
  };
  /// The model of that name, which may have a tag of its weights behind it; null where it is none of these.
  static const Known* known_to_timm(const std::string& name) {
    for (const Known& model : timm_models()) {
      if (model.name == name.substr(0, name.find('.'))) return &model;
    }
    return nullptr;
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
  /// The stem is three small convolutions, and a shortcut takes means where it gets smaller: the ResNet of RT-DETR, and
  /// timm's that end in d.
  bool deep = false;
  int64_t groups = 1, group_width = 64;  ///< of a bottleneck's wide convolution, as in ResNeXt and wide ResNets
  bool timm = false;                     ///< modules are called as in timm
  bool dilated = false;                  ///< the last stage looks farther instead of getting smaller

 private:
  static const std::vector<Known>& timm_models() {
    static const std::vector<Known> models{{"resnet18", {2, 2, 2, 2}, false},
                                           {"resnet18d", {2, 2, 2, 2}, false, true},
                                           {"resnet34", {3, 4, 6, 3}, false},
                                           {"resnet34d", {3, 4, 6, 3}, false, true},
                                           {"resnet26", {2, 2, 2, 2}, true},
                                           {"resnet26d", {2, 2, 2, 2}, true, true},
                                           {"resnet50", {3, 4, 6, 3}, true},
                                           {"resnet50d", {3, 4, 6, 3}, true, true},
                                           {"resnet101", {3, 4, 23, 3}, true},
                                           {"resnet101d", {3, 4, 23, 3}, true, true},
                                           {"resnet152", {3, 8, 36, 3}, true},
                                           {"resnet152d", {3, 8, 36, 3}, true, true},
                                           {"resnet200d", {3, 24, 36, 3}, true, true},
                                           {"resnext50_32x4d", {3, 4, 6, 3}, true, false, 32, 4},
                                           {"resnext50d_32x4d", {3, 4, 6, 3}, true, true, 32, 4},
                                           {"resnext101_32x4d", {3, 4, 23, 3}, true, false, 32, 4},
                                           {"resnext101_32x8d", {3, 4, 23, 3}, true, false, 32, 8},
                                           {"resnext101_32x16d", {3, 4, 23, 3}, true, false, 32, 16},
                                           {"resnext101_64x4d", {3, 4, 23, 3}, true, false, 64, 4},
                                           {"wide_resnet50_2", {3, 4, 6, 3}, true, false, 1, 128},
                                           {"wide_resnet101_2", {3, 4, 23, 3}, true, false, 1, 128}};
    return models;
  }
  static std::string names_of_timm() {
    std::string names;
    for (const Known& model : timm_models()) names += (names.empty() ? "" : ", ") + std::string(model.name);
    return names;
  }
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
        const int64_t dilation = c.dilated && last ? 2 : 1;
        x = block(layers / i, x, {c.widths[stage], i == 0 && shrinks ? 2 : 1, i > 0 ? dilation : 1, dilation, i == 0});
      }
      stages.push_back(x);
    }
    return stages;
  }

 private:
  struct Block {
    int64_t out, stride;
    int64_t dilation;  // of the convolution that would shrink
    int64_t behind;    // and of what comes behind it
    bool first;        // of its stage
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
      x = activation(deep_layer(model, i, x, small), c.activation);
    }
    return x;
  }

  // timm counts norms and activations as well, but for the last norm.
  Value deep_layer(const Scope& model, int64_t i, const Value& x, const ConvOptions& options) const {
    if (!c.timm) return conv_norm(model / "embedder.embedder" / i, x, options);
    const Scope first = model / "conv1";
    return batch_norm(i == 2 ? model / "bn1" : first / (3 * i + 1), conv2d(first / (3 * i), x, options));
  }

  // A residual block: convolutions beside a shortcut, which is a projection where the shape changes.
  Value block(const Scope& s, const Value& x, const Block& b) const {
    const Value h = c.bottleneck ? bottleneck(s, x, b) : basic(s, x, b);
    return activation(h.in(s) + shortcut(s, x, b), c.activation);
  }

  Value shortcut(const Scope& s, const Value& x, const Block& b) const {
    const bool widens = x.fixed(1) != b.out;
    if (!widens && b.stride == 1 && !(c.deep && !c.timm && !c.bottleneck && b.first)) return x;
    const Scope down = s / "downsample";
    if (c.deep && (c.timm || (b.stride == 2 && (c.bottleneck || widens)))) {
      Value means = x;
      if (b.stride == 2)
        means = average_pool(x, {.kernel = 2, .stride = 2, .ceil_mode = true, .padding_counts = false}).in(s);
      // Where it would shrink, means are of as many places, with zeros behind the last one.
      else if (b.behind > 1)
        means = average_pool(pad(x, {{2, 0, 1}, {3, 0, 1}}), {.kernel = 2, .stride = 1}).in(s);
      const ConvOptions narrow{.out = b.out, .bias = false};
      return c.timm ? batch_norm(down / 2, conv2d(down / 1, means, narrow)).in(s)
                    : conv_norm(s / "shortcut" / 1, means, narrow).in(s);
    }
    const ConvOptions projected{.out = b.out, .stride = b.stride, .bias = false};
    return c.timm ? batch_norm(down / 1, conv2d(down / 0, x, projected)).in(s)
                  : conv_norm(s / "shortcut", x, projected);
  }

  Value basic(const Scope& s, const Value& x, const Block& b) const {
    Value h = layer(
        s, 0, x,
        {.out = b.out, .kernel = 3, .stride = b.stride, .padding = b.dilation, .dilation = b.dilation, .bias = false});
    h = relu(h);  // whatever hidden_act is
    return layer(s, 1, h, {.out = b.out, .kernel = 3, .padding = b.behind, .dilation = b.behind, .bias = false});
  }

  Value bottleneck(const Scope& s, const Value& x, const Block& b) const {
    const int64_t reduced = b.out / 4 * c.group_width / 64 * c.groups;
    const int64_t first = c.downsample_in_bottleneck ? b.stride : 1, second = c.downsample_in_bottleneck ? 1 : b.stride;
    Value h = relu(layer(s, 0, x, {.out = reduced, .stride = first, .bias = false}));
    h = relu(layer(s, 1, h,
                   {.out = reduced,
                    .kernel = 3,
                    .stride = second,
                    .padding = b.dilation,
                    .dilation = b.dilation,
                    .groups = c.groups,
                    .bias = false}));
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
