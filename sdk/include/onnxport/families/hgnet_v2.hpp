// SPDX-License-Identifier: Apache-2.0
// HGNet V2 between pixels and heads: blocks whose layers are all looked at together.
// Source: HGNetV2Backbone, transformers 4.57 (modeling_hgnet_v2.py).
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <string>
#include <vector>

#include <onnxport/blocks/stem.hpp>
#include <onnxport/plugin.hpp>

namespace onnxport::family {

using namespace onnxport::sdk;

struct HGNetV2Config {
  explicit HGNetV2Config(const Config& c)
      : stem(numbers(c, "stem_channels", {3, 32, 48}, 3)),
        strides(numbers(c, "stem_strides", {2, 1, 1, 2, 1}, 5)),
        activation(c.text("hidden_act", "relu")),
        affine(c.boolean("use_learnable_affine_block", false)) {
    // Of the classifier and of BackboneMixin; depths name stages, and the widths stand in stage_out_channels.
    c.no_effect({"num_channels", "embedding_size", "depths", "hidden_sizes", "out_features", "out_indices",
                 "stage_names", "stage_in_channels", "initializer_range"});
    const std::vector<int64_t> out = by_stage(c, "stage_out_channels", {128, 512, 1024, 2048});
    const size_t count = out.size();
    const auto field = [&](const char* name, std::vector<int64_t> fallback) {
      return numbers(c, name, std::move(fallback), count);
    };
    const std::vector<int64_t> inner = field("stage_mid_channels", {48, 96, 192, 384}),
                               blocks = field("stage_num_blocks", {1, 1, 3, 1}),
                               layers = field("stage_numb_of_layers", {6, 6, 6, 6}),
                               kernels = field("stage_kernel_size", {3, 3, 5, 5}),
                               steps = field("stage_downsample_strides", std::vector<int64_t>(count, 2));
    const std::vector<bool> shrinks = flags(c, "stage_downsample", {false, true, true, true}, count),
                            light = flags(c, "stage_light_block", {false, false, true, true}, count);
    for (size_t i = 0; i < count; ++i)
      stages.push_back({inner[i], out[i], blocks[i], layers[i], kernels[i], shrinks[i] ? steps[i] : 0, light[i]});
  }
  struct Stage {
    int64_t inner, out, blocks, layers, kernel;
    int64_t stride;  // of a convolution before its blocks; 0: it has none
    bool light;      // layers mix channels and places one after the other
  };
  std::vector<int64_t> stem, strides;
  std::string activation;  // of the stem
  bool affine;             // activations are followed by a learnt factor and offset
  std::vector<Stage> stages;

 private:
  static std::vector<int64_t> by_stage(const Config& c, const char* name, std::vector<int64_t> fallback) {
    return c.has(name) ? c.integers(name) : fallback;
  }
  template <class List>
  static List counted(const char* name, List values, size_t count) {
    if (values.size() >= count) return values;
    throw Error(ONNXPORT_CONFIG, "config field '" + std::string(name) + "' has " + std::to_string(values.size()) +
                                     " entries; expected " + std::to_string(count));
  }
  static std::vector<int64_t> numbers(const Config& c, const char* name, std::vector<int64_t> fallback, size_t count) {
    return counted(name, by_stage(c, name, std::move(fallback)), count);
  }
  static std::vector<bool> flags(const Config& c, const char* name, std::vector<bool> fallback, size_t count) {
    return counted(name, c.has(name) ? c.booleans(name) : std::move(fallback), count);
  }
};

/// pixels: f[batch, channels, height, width] -> what the stem and each stage yield: f[batch, out, …, …].
class HGNetV2Encoder {
 public:
  explicit HGNetV2Encoder(HGNetV2Config config) : c(std::move(config)) {}

  std::vector<Value> operator()(const Scope& model, const Value& pixels) const {
    std::vector<Value> made{embed(model / "embedder", pixels)};
    for (size_t i = 0; i < c.stages.size(); ++i)
      made.push_back(stage(model / "encoder.stages" / static_cast<int64_t>(i), made.back(), c.stages[i]));
    return made;
  }

 private:
  // A convolution, its normalisation and, unless its name is empty, an activation.
  Value layer(const Scope& s, const Value& x, ConvOptions options, const std::string& act = "relu") const {
    options.padding = (options.kernel.height - 1) / 2;
    options.bias = false;
    const Value h = conv_stem(s, x, options, {.batch_norm = "normalization", .activation = act});
    if (act.empty() || !c.affine) return h.in(s.parent());
    const Scope lab = s / "lab";
    return (h * lab.weight("scale", {1}) + lab.weight("bias", {1})).in(s.parent());
  }

  // Two small convolutions beside a pool.
  Value embed(const Scope& s, const Value& pixels) const {
    const int64_t first = c.stem[1];
    const auto grown = [](const Value& x) { return pad(x, {{2, 0, 1}, {3, 0, 1}}); };
    const auto at = [&](const char* name, const Value& x, const ConvOptions& options) {
      return layer(s / name, x, options, c.activation);
    };
    const Value x = grown(at("stem1", pixels, {.out = first, .kernel = 3, .stride = c.strides[0], .in = c.stem[0]}));
    const Value half = at("stem2a", x, {.out = first / 2, .kernel = 2, .stride = c.strides[1]});
    const Value beside = at("stem2b", grown(half), {.out = first, .kernel = 2, .stride = c.strides[2]});
    const Value both = concat({max_pool(x, {.kernel = 2, .stride = 1, .ceil_mode = true}), beside}, 1);
    const Value h = at("stem3", both, {.out = first, .kernel = 3, .stride = c.strides[3]});
    return at("stem4", h, {.out = c.stem[2], .stride = c.strides[4]});
  }

  Value stage(const Scope& s, Value x, const HGNetV2Config::Stage& form) const {
    if (form.stride > 0) {
      const int64_t n = x.fixed(1);
      x = layer(s / "downsample", x, {.out = n, .kernel = 3, .stride = form.stride, .groups = n}, "");
    }
    for (int64_t i = 0; i < form.blocks; ++i) {
      const Value h = block(s / "blocks" / i, x, form);
      x = i == 0 ? h : h + x;
    }
    return x;
  }

  Value block(const Scope& s, const Value& given, const HGNetV2Config::Stage& form) const {
    Value x = given;
    std::vector<Value> seen{x};
    for (int64_t i = 0; i < form.layers; ++i) {
      const Scope at = s / "layers" / i;
      if (form.light) {
        x = layer(at / "conv1", x, {.out = form.inner}, "");
        x = layer(at / "conv2", x, {.out = form.inner, .kernel = form.kernel, .groups = form.inner});
      } else {
        x = layer(at, x, {.out = form.inner, .kernel = form.kernel});
      }
      seen.push_back(x);
    }
    const Scope all = s / "aggregation";
    return layer(all / 1, layer(all / 0, concat(seen, 1), {.out = form.out / 2}), {.out = form.out});
  }

  const HGNetV2Config c;
};

}  // namespace onnxport::family
