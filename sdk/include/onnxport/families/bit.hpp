// SPDX-License-Identifier: Apache-2.0
// BiT between pixels and heads: a ResNet with standardized weights and group norms.
// Source: BitModel and BitBackbone, transformers 4.57 (modeling_bit.py).
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <onnxport/backbone.hpp>
#include <onnxport/plugin.hpp>

namespace onnxport::family {

using namespace onnxport::sdk;

/// What the fields of a config are where they say nothing; those of BitConfig unless a model has others.
struct BitDefaults {
  std::vector<int64_t> depths{3, 4, 6, 3};
  std::string layer = "preactivation";
  std::string padding{};
  bool dynamic_pool = false;
};

struct BitConfig {
  explicit BitConfig(const Config& c, const BitDefaults& defaults = {})
      : channels(c.size("num_channels", 3)),
        embedding(c.size("embedding_size", 64)),
        widths(c.has("hidden_sizes") ? c.integers("hidden_sizes") : std::vector<int64_t>{256, 512, 1024, 2048}),
        depths(c.has("depths") ? c.integers("depths") : defaults.depths),
        preactivation(c.choice("layer_type", defaults.layer, {"preactivation", "bottleneck"}) == "preactivation"),
        activation(c.text("hidden_act", "relu")),
        padding(c.text("global_padding", defaults.padding)),
        groups(c.size("num_groups", 32)),
        dynamic_pool(c.boolean("embedding_dynamic_padding", defaults.dynamic_pool)),
        output_stride(c.size("output_stride", 32)),
        width_factor(c.size("width_factor", 1)) {
    c.no_effect({"drop_path_rate", "out_features", "out_indices", "stage_names"});  // of training, of the backbone
    for (char& letter : padding) letter = static_cast<char>(std::toupper(letter));
    if (!padding.empty() && padding != "SAME") {
      throw Error(ONNXPORT_UNSUPPORTED,
                  "config field 'global_padding' is \"" + padding +
                      "\"; supported: SAME, null (with VALID the original adds maps of two sizes, and fails)");
    }
    if (depths.empty() || widths.size() < depths.size()) {
      throw Error(ONNXPORT_CONFIG, "config fields 'hidden_sizes' and 'depths' have " + std::to_string(widths.size()) +
                                       " and " + std::to_string(depths.size()) + " entries; expected one each a stage");
    }
  }
  int64_t channels, embedding;
  std::vector<int64_t> widths, depths;
  bool preactivation;
  std::string activation, padding;
  int64_t groups;
  bool dynamic_pool;
  int64_t output_stride, width_factor;
};

class BitEncoder {
 public:
  explicit BitEncoder(BitConfig config) : c(std::move(config)) {}

  /// pixels: f[batch, channels, height, width] -> what the stem yields and each stage, f[batch, widths[i], …, …].
  std::vector<Value> operator()(const Scope& model, const Value& pixels) const {
    std::vector<Value> states{stem(model / "embedder", pixels)};
    int64_t shrunk = 4, dilation = 1;
    for (size_t i = 0; i < c.depths.size(); ++i) {
      int64_t stride = i == 0 ? 1 : 2;
      if (shrunk >= c.output_stride) {
        dilation *= stride;
        stride = 1;
      }
      Value x = states.back();
      for (int64_t j = 0; j < c.depths[i]; ++j) {
        const int64_t first = dilation <= 2 ? 1 : 2;
        const Block block{.out = eighths(static_cast<double>(c.widths[i] * c.width_factor)),
                          .stride = j == 0 ? stride : 1,
                          .dilation = j == 0 ? first : dilation,
                          .projects = j == 0};
        const Scope layer = model / "encoder.stages" / static_cast<int64_t>(i) / "layers" / j;
        x = c.preactivation ? norm_first(layer, x, block) : bottleneck(layer, x, block);
      }
      shrunk *= stride;
      states.push_back(x);
    }
    return states;
  }

  const BitConfig c;

 private:
  struct Block {
    int64_t out, stride, dilation;
    bool projects;  // its shortcut is a convolution
    int64_t inner() const { return eighths(static_cast<double>(out) / 4.0); }
  };

  /// To the nearest multiple of 8 that is not much smaller. Source: make_div.
  static int64_t eighths(double value) {
    const int64_t rounded = std::max<int64_t>(8, static_cast<int64_t>(value + 4) / 8 * 8);
    return static_cast<double>(rounded) < 0.9 * value ? rounded + 8 : rounded;
  }

  struct Kernel {
    int64_t out, side = 1, stride = 1, dilation = 1;
    int64_t in = 0;  // 0: as many channels as x is known to have
  };
  // A convolution by weights of which every output's have mean 0 and variance 1. Source: WeightStandardizedConv2d.
  Value convolve(const Scope& s, const Value& x, const Kernel& k) const {
    const std::vector<int64_t> shape{k.out, k.in > 0 ? k.in : x.fixed(1), k.side, k.side};
    const Value weight = s.weight("weight", shape);
    const Value standard = s.composite("InstanceNorm", {reshape(weight, {1, k.out, -1})}, {{"epsilon", 1e-8}});
    const int64_t reach = k.dilation * (k.side - 1);
    ConvOptions options{.out = k.out,
                        .kernel = k.side,
                        .stride = k.stride,
                        .padding = (k.stride - 1 + reach) / 2,
                        .dilation = k.dilation,
                        .bias = false,
                        .in = shape[1],
                        .weight = reshape(standard, shape)};
    options.same = c.padding == "SAME" && (k.stride > 1 || reach % 2 == 1);
    return conv2d(s, x, options);
  }

  Value normed(const Scope& s, const Value& x) const { return group_norm(s, x, {.groups = c.groups}); }
  Value active(const Value& x) const { return activation(x, c.activation); }

  Value stem(const Scope& s, const Value& pixels) const {
    Value x = convolve(s / "convolution", pixels, {.out = c.embedding, .side = 7, .stride = 2, .in = c.channels});
    if (c.padding != "SAME") x = pad(x, {{2, 1, 1}, {3, 1, 1}});
    if (!c.preactivation) x = active(normed(s / "norm", x));
    if (c.dynamic_pool) {
      // What windows of 3 lack at a step of 2, the odd one behind.
      Graph& g = x.graph();
      const auto odd = [&](int64_t axis) { return g.op("Mod", {size_of(x, axis), g.integer(2)}); };
      x = pad(x, {OpenPad{2, odd(2), g.integer(1)}, OpenPad{3, odd(3), g.integer(1)}});
    }
    return max_pool(x, {.kernel = 3, .stride = 2});
  }

  Value norm_first(const Scope& s, const Value& x, const Block& b) const {
    Value h = active(normed(s / "norm1", x));
    const Value shortcut =
        b.projects ? convolve(s / "downsample.conv", h, {.out = b.out, .stride = b.stride}).in(s) : x;
    h = convolve(s / "conv1", h, {.out = b.inner()});
    h = convolve(s / "conv2", active(normed(s / "norm2", h)), {.out = b.inner(), .side = 3, .stride = b.stride});
    return convolve(s / "conv3", active(normed(s / "norm3", h)), {.out = b.out}) + shortcut;
  }

  Value bottleneck(const Scope& s, const Value& x, const Block& b) const {
    Value shortcut = x;
    if (b.projects) {
      const Scope down = s / "downsample";
      shortcut = normed(down / "norm", convolve(down / "conv", x, {.out = b.out, .stride = b.stride}));
    }
    Value h = active(normed(s / "norm1", convolve(s / "conv1", x, {.out = b.inner()})));
    const Kernel wide{.out = b.inner(), .side = 3, .stride = b.stride, .dilation = b.dilation};
    h = active(normed(s / "norm2", convolve(s / "conv2", h, wide)));
    h = normed(s / "norm3", convolve(s / "conv3", h, {.out = b.out}));
    return active(h.in(s) + shortcut);
  }
};

/// BiT as a backbone. Its module holds the model below `bit`, or is the model.
inline sdk::Backbone bit_backbone_of(BitConfig config, std::vector<size_t> read) {
  return [read = std::move(read), encoder = BitEncoder(std::move(config))](const Scope& at, const Value& pixels) {
    const Scope model = first_with("embedder.convolution.weight", {at / "bit", at});
    at.graph().unused((model / "norm").path() + ".*");
    return FeatureMaps{picked(encoder(model, pixels), read)};
  };
}
inline sdk::Backbone bit_backbone(const Config& c) {
  BitConfig config(c);
  std::vector<size_t> read = sdk::stages_read(c, config.depths.size());
  return bit_backbone_of(std::move(config), std::move(read));
}

}  // namespace onnxport::family
