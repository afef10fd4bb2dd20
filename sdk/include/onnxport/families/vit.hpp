// SPDX-License-Identifier: Apache-2.0
// The vision transformer and the relatives that differ from it in their first tokens and their heads.
// Source: ViTModel, transformers 4.30, and 4.57 for other sizes of images and for the pooler's options.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <onnxport/blocks/image_heads.hpp>
#include <onnxport/blocks/layer.hpp>
#include <onnxport/blocks/stem.hpp>
#include <onnxport/plugin.hpp>

namespace onnxport::family {

using namespace onnxport::sdk;

/// Where a relative departs from ViT.
struct ViTVariant {
  double epsilon = 1e-12;
  bool pooler = true;  ///< whether the base model has one
};

/// A layer of ViT.
struct ViTLayer {
  int64_t hidden, heads, inner;
  std::string activation;
  double epsilon;
  bool qkv_bias;

  TransformerLayer form() const {
    return {.attention_at = "attention",
            .feed_forward_at = "",
            .attention = {.heads = heads,
                          .head_size = hidden / heads,
                          .projections = {.query = "attention.query",
                                          .key = "attention.key",
                                          .value = "attention.value",
                                          .output = "output.dense",
                                          .bias = {qkv_bias, qkv_bias, qkv_bias, true}}},
            .feed_forward = {.inner = inner,
                             .activation = activation,
                             .up = "intermediate.dense",
                             .down = "output.dense",
                             .bias = true},
            .attention_branch = {Placement::before, {.epsilon = epsilon}, "layernorm_before"},
            .feed_forward_branch = {Placement::before, {.epsilon = epsilon}, "layernorm_after"}};
  }
};

struct ViTConfig {
  ViTConfig(const Config& c, const ViTVariant& variant)
      : hidden(c.size("hidden_size", 768)),
        layers(c.count("num_hidden_layers", 12)),
        heads(c.size("num_attention_heads", 12)),
        inner(c.size("intermediate_size", 3072)),
        channels(c.size("num_channels", 3)),
        image(extent(c, "image_size", 224)),
        patch(extent(c, "patch_size", 16)),
        epsilon(c.real("layer_norm_eps", variant.epsilon)),
        activation(c.text("hidden_act", "gelu")),
        qkv_bias(c.boolean("qkv_bias", true)),
        pooled(c.size("pooler_output_size", hidden)),
        pooler_activation(c.text("pooler_act", "tanh")),
        has_pooler(variant.pooler),
        stride(c.size("encoder_stride", 16)),
        labels(c.num_labels()),
        grid(image.height / patch.height, image.width / patch.width) {
    if (c.written_before(4, 31)) {  // the pooler had no options
      pooled = hidden;
      pooler_activation = "tanh";
    }
    require_multiple({"hidden_size", hidden}, {"num_attention_heads", heads});
    if (grid.area() == 0) throw Error(ONNXPORT_CONFIG, "config field 'patch_size' is larger than image_size");
  }
  int64_t hidden, layers, heads, inner, channels;
  Extent image, patch;
  double epsilon;
  std::string activation;
  bool qkv_bias;
  int64_t pooled;
  std::string pooler_activation;
  bool has_pooler;
  int64_t stride;  // of masked image modelling: pixels that a patch yields, on a side
  int64_t labels;
  Extent grid;  // of patches, for which position embeddings were trained
};

class ViTOnnxConfig : public OnnxConfig {
 public:
  explicit ViTOnnxConfig(const Request& request, const ViTVariant& variant = {})
      : OnnxConfig(request), c(request.config, variant) {}

  double atol_for_validation() const override { return 1e-4; }
  std::vector<TensorSpec> inputs() const override { return {pixel_values()}; }
  std::vector<OutputSpec> outputs() const override {
    return task() == "masked-im" ? reconstruction_outputs() : OnnxConfig::outputs();
  }

  Outputs forward(Graph& g, const Inputs& in) const override {
    const Scope model = task() == "default" ? g.root() : g.root() / base_model_prefix();
    const Patches patches = embed(model / "embeddings", in.at("pixel_values"));
    const Value hidden = encode(model, patches.tokens);
    if (task() == "default" && c.has_pooler && g.wants("pooler_output"))
      g.mark("pooler_output", pool(model / "pooler", hidden));
    return head_for_feature().outputs({.base = model, .hidden = hidden, .in = in, .size = patches.size});
  }

  Heads heads() const override {
    return {head::hidden_states(),
            head::logits("image-classification",
                         [this](const Encoded& at) { return classify(at.base.graph(), at.hidden); }),
            {"masked-im", [this](const Encoded& at) -> Outputs {
               const auto firsts = static_cast<int64_t>(first_tokens().size());
               const Value patches = firsts > 0 ? slice(at.hidden, {1, firsts}) : at.hidden;
               const Value image = image_of(patches, at.size);
               return {{"reconstruction", reconstruction(at.base.graph().root() / "decoder", image,
                                                         {.channels = c.channels, .stride = c.stride})}};
             }}};
  }

 protected:
  /// Learned tokens that stand before the patches.
  virtual std::vector<std::string> first_tokens() const { return {"cls_token"}; }
  /// hidden: f32[batch, sequence, hidden] -> f32[batch, labels]
  virtual Value classify(Graph& g, const Value& hidden) const {
    return linear(g.root() / "classifier", pick(hidden, 1, 0), {.out = c.labels});
  }

  const ViTConfig c;

 private:
  // The first tokens and the patches, with positions that are resampled for images of another size than the model was
  // trained for.
  Patches embed(const Scope& s, const Value& pixels) const {
    s.graph().unused("*" + (s / "mask_token").path());
    return patch_stem(s, pixels,
                      {.width = c.hidden,
                       .patch = c.patch,
                       .channels = c.channels,
                       .first_tokens = first_tokens(),
                       .positions = "position_embeddings",
                       .grid = c.grid});
  }

  // tokens: f32[batch, sequence, hidden] -> the same
  Value encode(const Scope& model, const Value& tokens) const {
    const Value x =
        transformer_layers(model / "encoder.layer", tokens, {c.layers, [this](int64_t) { return layer(); }}, {});
    model.graph().mark("hidden_states." + std::to_string(c.layers), x);
    return norm(model / "layernorm", x, {.epsilon = c.epsilon});
  }

  TransformerLayer layer() const {
    return ViTLayer{c.hidden, c.heads, c.inner, c.activation, c.epsilon, c.qkv_bias}.form();
  }

  // The first token through a layer of its own: f32[batch, pooled]
  Value pool(const Scope& s, const Value& hidden) const {
    const Value x = linear(s / "dense", pick(hidden, 1, 0), {.out = c.pooled});
    return activation(x, c.pooler_activation);
  }
};

}  // namespace onnxport::family
