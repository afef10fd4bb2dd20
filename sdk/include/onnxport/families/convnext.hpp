// SPDX-License-Identifier: Apache-2.0
// What ConvNeXT is made of, as data; and both its versions between pixels and heads: alone, and as the backbone of
// other models. Source: ConvNextModel and ConvNextBackbone, transformers 4.57 (modeling_convnext.py), and those of
// ConvNextV2 (modeling_convnextv2.py).
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <onnxport/backbone.hpp>
#include <onnxport/blocks/norm.hpp>
#include <onnxport/vision.hpp>

namespace onnxport::family {

using namespace onnxport::sdk;

/// A norm over the channels of every pixel: f[batch, n, height, width] -> the same.
inline Value norm_of_channels(const Scope& s, const Operand& x, const Norm& form) {
  return channels_first(norm(s, channels_last(x.in(s)), form).in(s));
}

/// A depthwise convolution, then an inverted bottleneck at every pixel, beside a shortcut.
struct ConvNextBlock {
  std::string depthwise = "dwconv", norm = "layernorm", up = "pwconv1", down = "pwconv2";
  double epsilon = 1e-6;
  std::string activation = "gelu";
  std::string factor{};  ///< a learnt factor for each channel of what is added: the weight's name; empty: none
  /// What is done to the widened channels, f[batch, height, width, 4n], by the block's scope.
  std::function<Value(const Scope&, const Value&)> widened{};
};
/// x: f[batch, n, height, width] -> the same. Names are those below `s`.
inline Value convnext_block(const Scope& s, const Operand& x, const ConvNextBlock& form) {
  const int64_t width = x.fixed(1);
  Value h = conv2d(s / form.depthwise, x, {.out = width, .kernel = 7, .padding = 3, .groups = width});
  h = norm(s / form.norm, channels_last(h), {.epsilon = form.epsilon});
  h = activation(linear(s / form.up, h, {.out = 4 * width}), form.activation);
  if (form.widened) h = form.widened(s, h);
  h = linear(s / form.down, h, {.out = width});
  if (!form.factor.empty()) h = h * s.weight(form.factor, {width});
  return channels_first(h) + x;
}

/// Where the versions differ.
struct ConvNextRelative {
  std::string_view type;
  bool global_norm;  ///< responses within a block are normed over the image, and no block's result is scaled
};
inline constexpr ConvNextRelative convnext_relatives[] = {{"convnext", false}, {"convnextv2", true}};

struct ConvNextConfig {
  ConvNextConfig(const Config& c, const ConvNextRelative& relative)
      : channels(c.size("num_channels", 3)),
        patch(extent(c, "patch_size", 4)),
        widths(c.has("hidden_sizes") ? c.integers("hidden_sizes") : std::vector<int64_t>{96, 192, 384, 768}),
        depths(c.has("depths") ? c.integers("depths") : std::vector<int64_t>{3, 3, 9, 3}),
        stages(c.size("num_stages", 4)),
        activation(c.text("hidden_act", "gelu")),
        epsilon(c.real("layer_norm_eps", 1e-12)),
        global_norm(relative.global_norm),
        layer_scale(!global_norm && c.real("layer_scale_init_value", 1e-6) > 0),
        labels(c.num_labels()) {
    // Of the backbone, of training; and any size of image goes through convolutions.
    c.no_effect({"out_features", "out_indices", "stage_names", "drop_path_rate", "image_size"});
    const auto count = static_cast<size_t>(stages);
    if (widths.size() < count || depths.size() < count) {
      throw Error(ONNXPORT_CONFIG, "config fields 'hidden_sizes' and 'depths' have " + std::to_string(widths.size()) +
                                       " and " + std::to_string(depths.size()) + " entries; expected num_stages, " +
                                       std::to_string(stages));
    }
  }
  int64_t channels;
  Extent patch;
  std::vector<int64_t> widths, depths;
  int64_t stages;
  std::string activation;
  double epsilon;  // of the last norm; all others have 1e-6
  bool global_norm, layer_scale;
  int64_t labels;
};

class ConvNextEncoder {
 public:
  explicit ConvNextEncoder(ConvNextConfig config) : c(std::move(config)) {}

  /// pixels: f[batch, channels, height, width] -> what the stem yields and each stage, f[batch, widths[i], …, …].
  std::vector<Value> operator()(const Scope& convnext, const Value& pixels) const {
    Value x = conv2d(convnext / "embeddings.patch_embeddings", pixels,
                     {.out = c.widths[0], .kernel = c.patch, .stride = c.patch, .in = c.channels});
    x = norm_of_channels(convnext / "embeddings.layernorm", x, {.epsilon = 1e-6});
    std::vector<Value> states{x};
    for (int64_t i = 0; i < c.stages; ++i) {
      const Scope stage = convnext / "encoder.stages" / i;
      const int64_t width = c.widths[static_cast<size_t>(i)];
      if (i > 0) {
        x = norm_of_channels(stage / "downsampling_layer" / 0, x, {.epsilon = 1e-6});
        x = conv2d(stage / "downsampling_layer" / 1, x, {.out = width, .kernel = 2, .stride = 2});
      }
      for (int64_t j = 0; j < c.depths[static_cast<size_t>(i)]; ++j)
        x = convnext_block(stage / "layers" / j, x, block());
      states.push_back(x);
    }
    return states;
  }

  const ConvNextConfig c;

 private:
  ConvNextBlock block() const {
    ConvNextBlock form{.activation = c.activation, .factor = c.layer_scale ? "layer_scale_parameter" : ""};
    if (c.global_norm) form.widened = [](const Scope& s, const Value& x) { return normed_over_image(s / "grn", x); };
    return form;
  }

  // How much of a channel there is in the image, beside the mean of all channels: f32[batch, height, width, n] -> the
  // same. Source: ConvNextV2GRN.
  static Value normed_over_image(const Scope& s, const Value& x) {
    const int64_t n = x.fixed(3);
    const Value amount = s.op("ReduceL2", {x}, {{"axes", {1, 2}}, {"keepdims", true}});
    const Value mean_amount = s.op("ReduceMean", {amount}, {{"axes", {-1}}, {"keepdims", true}});
    const Value share = amount / (mean_amount + 1e-6);
    return s.weight("weight", {1, 1, 1, n}) * (x * share) + s.weight("bias", {1, 1, 1, n}) + x;
  }
};

/// ConvNeXT as a backbone: each stage that is read is normed.
inline sdk::Backbone convnext_backbone(const Config& config) {
  const Config c = config.with_names({{"num_stages", "num_hidden_layers"}});
  const ConvNextEncoder encoder(ConvNextConfig(c, row_of(convnext_relatives, c.text("model_type", "convnext"))));
  const std::vector<size_t> read = sdk::stages_read(c, static_cast<size_t>(encoder.c.stages));
  return [=](const Scope& at, const Value& pixels) {
    const std::vector<Value> states = encoder(at, pixels);
    FeatureMaps made;
    for (const size_t stage : read) {
      const std::string name = stage == 0 ? "stem" : "stage" + std::to_string(stage);
      made.stages.push_back(norm_of_channels(at / "hidden_states_norms" / name, states[stage], {.epsilon = 1e-6}));
    }
    return made;
  };
}

}  // namespace onnxport::family
