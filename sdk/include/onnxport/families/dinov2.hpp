// SPDX-License-Identifier: Apache-2.0
// DINOv2, without and with registers, between pixels and heads: alone, and as the backbone of other models.
// Source: Dinov2Model, Dinov2Backbone and those of Dinov2WithRegisters, transformers 4.57 (modeling_dinov2.py,
// modeling_dinov2_with_registers.py).
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <string>
#include <utility>
#include <vector>

#include <onnxport/backbone.hpp>
#include <onnxport/blocks/layer.hpp>
#include <onnxport/blocks/stem.hpp>
#include <onnxport/plugin.hpp>

namespace onnxport::family {

using namespace onnxport::sdk;

/// Where the relatives differ.
struct Dinov2Relative {
  std::string_view type;
  int64_t patch;
  int64_t registers;  ///< as many as the config class has by default; -1: the model has none
  bool antialias;     ///< when positions are resampled
};
inline constexpr Dinov2Relative dinov2_relatives[] = {{"dinov2", 14, -1, false},
                                                      {"dinov2_with_registers", 16, 4, true}};

struct Dinov2Config {
  Dinov2Config(const Config& c, const Dinov2Relative& relative)
      : hidden(c.size("hidden_size", 768)),
        layers(c.count("num_hidden_layers", 12)),
        heads(c.size("num_attention_heads", 12)),
        inner(static_cast<int64_t>(static_cast<double>(hidden) * c.real("mlp_ratio", 4))),
        channels(c.size("num_channels", 3)),
        image(extent(c, "image_size", 224)),
        patch(extent(c, "patch_size", relative.patch)),
        epsilon(c.real("layer_norm_eps", 1e-6)),
        activation(c.text("hidden_act", "gelu")),
        qkv_bias(c.boolean("qkv_bias", true)),
        gated(c.boolean("use_swiglu_ffn", false)),
        registers(relative.registers < 0 ? 0 : c.count("num_register_tokens", relative.registers)),
        antialias(relative.antialias),
        labels(c.num_labels()),
        grid(image.height / patch.height, image.width / patch.width) {
    // Of training, of masked patches, and of the backbone.
    c.no_effect({"layerscale_value", "drop_path_rate", "use_mask_token", "out_features", "out_indices", "stage_names",
                 "apply_layernorm", "reshape_hidden_states"});
    require_multiple({"hidden_size", hidden}, {"num_attention_heads", heads});
    if (grid.area() == 0) throw Error(ONNXPORT_CONFIG, "config field 'patch_size' is larger than image_size");
  }
  int64_t hidden, layers, heads, inner, channels;
  Extent image, patch;
  double epsilon;
  std::string activation;
  bool qkv_bias, gated;
  int64_t registers;
  bool antialias;
  int64_t labels;
  Extent grid;  // of patches, for which positions were trained
};

class Dinov2Encoder {
 public:
  explicit Dinov2Encoder(Dinov2Config config) : c(std::move(config)) {}

  struct States {
    std::vector<Value> all;  ///< what each layer reads, and what the last one yields: f[batch, n, hidden]
    Value size;              ///< i64[2], rows and columns of the patches
  };
  /// pixels: f[batch, channels, height, width] -> tokens: the class token, the registers, the patches row by row.
  States operator()(const Scope& model, const Value& pixels) const {
    const Patches patches = embed(model / "embeddings", pixels);
    States made{{}, patches.size};
    const LayerStack stack{.count = c.layers, .layer = [this](int64_t) { return layer(); }, .states = &made.all};
    transformer_layers(model / "encoder.layer", patches.tokens, stack, {});
    return made;
  }
  /// The tokens that the first layer reads.
  Patches embed(const Scope& s, const Value& pixels) const {
    s.graph().unused("*" + (s / "mask_token").path());
    return patch_stem(s, pixels,
                      {.width = c.hidden,
                       .patch = c.patch,
                       .channels = c.channels,
                       .first_tokens = {"cls_token"},
                       .positions = "position_embeddings",
                       .grid = c.grid,
                       .antialias = c.antialias,
                       .registers = {"register_tokens", c.registers}});
  }
  /// The norm behind the layers: x: f[batch, n, hidden] -> the same.
  Value normed(const Scope& model, const Value& x) const {
    return norm(model / "layernorm", x, {.epsilon = c.epsilon});
  }

  /// Both halves of a layer are normed before, and scaled by a learnt factor a channel.
  TransformerLayer layer() const {
    return {.attention_at = "attention",
            .attention = {.heads = c.heads,
                          .head_size = c.hidden / c.heads,
                          .projections = {.query = "attention.query",
                                          .key = "attention.key",
                                          .value = "attention.value",
                                          .output = "output.dense",
                                          .bias = {c.qkv_bias, c.qkv_bias, c.qkv_bias, true}}},
            .feed_forward = feed_forward_form(),
            .attention_branch = {.norm = {.epsilon = c.epsilon}, .name = "norm1", .factor = "layer_scale1.lambda1"},
            .feed_forward_branch = {.norm = {.epsilon = c.epsilon}, .name = "norm2", .factor = "layer_scale2.lambda1"}};
  }

  const Dinov2Config c;

 private:
  FeedForward feed_forward_form() const {
    if (!c.gated) return {.inner = c.inner, .activation = c.activation, .up = "fc1", .down = "fc2", .bias = true};
    // Two thirds as wide, up to a multiple of 8.
    const auto thirds = static_cast<int64_t>(static_cast<double>(c.inner * 2) / 3);
    return {.inner = (thirds + 7) / 8 * 8,
            .activation = "silu",
            .down = "weights_out",
            .gate_up = "weights_in",
            .bias = true};
  }
};

/// How DINOv2 is a backbone: which of its layers are read, and what is done to what they yield.
struct Dinov2Stages {
  std::vector<size_t> read;
  bool normed = true, as_images = true;
};
inline sdk::Backbone dinov2_backbone_of(Dinov2Config config, const Dinov2Stages& stages) {
  const int64_t firsts = 1 + config.registers;
  if (!stages.as_images && firsts > 1) {
    throw Error(ONNXPORT_UNSUPPORTED,
                "config field 'reshape_hidden_states' is false in a backbone with registers; expected true");
  }
  return [=, encoder = Dinov2Encoder(std::move(config))](const Scope& at, const Value& pixels) {
    const Dinov2Encoder::States states = encoder(at, pixels);
    FeatureMaps made{picked(states.all, stages.read), states.size};
    if (!stages.normed) at.graph().unused((at / "layernorm").path() + ".*");
    for (Value& map : made.stages) {
      if (stages.normed) map = encoder.normed(at, map);
      if (stages.as_images) map = image_of(slice(map, {1, firsts}), states.size);
    }
    return made;
  };
}
inline sdk::Backbone dinov2_backbone(const Config& c) {
  const Dinov2Config config(c, row_of(dinov2_relatives, c.text("model_type", "dinov2")));
  return dinov2_backbone_of(config, {.read = sdk::stages_read(c, static_cast<size_t>(config.layers)),
                                     .normed = c.boolean("apply_layernorm", true),
                                     .as_images = c.boolean("reshape_hidden_states", true)});
}

}  // namespace onnxport::family
