// SPDX-License-Identifier: Apache-2.0
// FLAVA's three encoders, of images, of texts and of both, which share ViT's layers. Source: FlavaImageModel,
// FlavaTextModel and FlavaMultimodalModel, transformers 4.57 (modeling_flava.py).
#pragma once

#include <onnxport/families/bert.hpp>
#include <onnxport/families/vit.hpp>

namespace onnxport::family {

/// ViT's layers, the norm and the pooler behind them.
struct FlavaLayers {
  FlavaLayers(const Config& c, int64_t default_layers)
      : count(c.count("num_hidden_layers", default_layers)), layer{c.size("hidden_size", 768),
                                                                   c.size("num_attention_heads", 12),
                                                                   c.size("intermediate_size", 3072),
                                                                   c.text("hidden_act", "gelu"),
                                                                   c.real("layer_norm_eps", 1e-12),
                                                                   c.boolean("qkv_bias", true)} {
    require_multiple({"hidden_size", layer.hidden}, {"num_attention_heads", layer.heads});
  }

  struct Made {
    Value raw;     ///< what the last layer yields: f[batch, n, hidden]
    Value normed;  ///< the same behind the norm
  };
  Made operator()(const Scope& model, const Value& x, const Value& mask, const std::string& steps = {}) const {
    const LayerStack stack{.count = count, .layer = [this](int64_t) { return layer.form(); }, .steps = steps};
    const Value y = transformer_layers(model / "encoder.layer", x, stack, {.mask = mask});
    return {y, norm(model / "layernorm", y, {.epsilon = layer.epsilon})};
  }
  /// The first token through a tanh layer: f[batch, n, hidden] -> f[batch, hidden].
  Value pool(const Scope& model, const Value& x) const {
    return tanh(linear(model / "pooler.dense", pick(x, 1, 0), {.out = layer.hidden}));
  }
  int64_t hidden() const { return layer.hidden; }

  int64_t count;
  ViTLayer layer;
};

struct FlavaImage : FlavaLayers {
  explicit FlavaImage(const Config& c)
      : FlavaLayers(c, 12),
        channels(c.size("num_channels", 3)),
        image(extent(c, "image_size", 224)),
        patch(extent(c, "patch_size", 16)),
        grid(image.height / patch.height, image.width / patch.width) {
    c.no_effect({"mask_token", "vocab_size"});  // of pretraining
    if (grid.area() == 0) throw Error(ONNXPORT_CONFIG, "config field 'patch_size' is larger than image_size");
  }

  /// pixels: f[batch, channels, height, width] -> f[batch, 1 + patches, hidden]
  Made operator()(const Scope& model, const Value& pixels, const std::string& steps = {}) const {
    const Scope s = model / "embeddings";
    s.graph().unused("*" + (s / "mask_token").path());
    const Patches patches = patch_stem(s, pixels,
                                       {.width = hidden(),
                                        .patch = patch,
                                        .channels = channels,
                                        .first_tokens = {"cls_token"},
                                        .positions = "position_embeddings",
                                        .grid = grid});
    return FlavaLayers::operator()(model, patches.tokens, {}, steps);
  }
  std::vector<AxisSize> sizes() const {
    return {{.axis = axis::num_channels, .usual = channels},
            {.axis = axis::height, .usual = image.height, .minimum = patch.height},
            {.axis = axis::width, .usual = image.width, .minimum = patch.width}};
  }

  int64_t channels;
  Extent image, patch, grid;
};

struct FlavaText : FlavaLayers {
  explicit FlavaText(const Config& c) : FlavaLayers(c, 12), bert(c, {.relative = false}) {
    c.no_effect({"pad_token_id"});
  }

  /// -> f[batch, sequence, hidden]
  Made operator()(const Scope& model, const Text& text, const std::string& steps = {}) const {
    model.graph().unused("*embeddings.position_ids");
    const Value x = bert.embed(model / "embeddings", {.ids = text.ids, .segments = text.segments});
    return FlavaLayers::operator()(model, x, text.mask, steps);
  }
  /// input_ids, attention_mask and token_type_ids.
  std::vector<TensorSpec> inputs() const {
    const std::vector<Dim> shape{axis::batch, axis::sequence};
    return {input::ids("input_ids", shape, bert.vocab), input::mask("attention_mask", shape, {.of = "input_ids"}),
            input::token_types("token_type_ids", shape, {.of = "input_ids", .limit = bert.segments})};
  }

  BertEncoder bert;
};

struct FlavaBoth : FlavaLayers {
  explicit FlavaBoth(const Config& c) : FlavaLayers(c, 6), has_token(c.boolean("use_cls_token", true)) {}

  /// x: f[batch, n, hidden], mask: i64[batch, n] -> f[batch, 1 + n, hidden], or without a token of its own as long as
  /// x.
  Made operator()(const Scope& model, const Value& x, const Value& mask) const {
    if (!has_token) return FlavaLayers::operator()(model, x, mask, "multimodal_");
    Graph& g = model.graph();
    const Value first = model.weight("cls_token", {1, 1, hidden()});
    const Value always = g.op("Expand", {g.integers({1}), concat({shape_of(mask, 0, 1), g.integers({1})}, 0)});
    return FlavaLayers::operator()(model, prepend({first}, x), concat({always, mask}, 1), "multimodal_");
  }

  bool has_token;
};

}  // namespace onnxport::family
