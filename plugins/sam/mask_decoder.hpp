// SPDX-License-Identifier: Apache-2.0
// From prompts and an image to masks: layers in which tokens and image attend to each other, and a product of what both
// became. Source: SamMaskDecoder and SamTwoWayTransformer, transformers 4.57 (modeling_sam.py).
#pragma once

#include <string>
#include <vector>

#include <onnxport/blocks/attention.hpp>
#include <onnxport/families/convnext.hpp>
#include <onnxport/plugin.hpp>

namespace sam {

using namespace onnxport::family;

struct DecoderConfig {
  explicit DecoderConfig(const Config& c)
      : hidden(c.size("hidden_size", 256)),
        activation(c.text("hidden_act", "relu")),
        inner(c.size("mlp_dim", 2048)),
        layers(c.count("num_hidden_layers", 2)),
        heads(c.size("num_attention_heads", 8)),
        rate(c.size("attention_downsample_rate", 2)),
        masks(c.size("num_multimask_outputs", 3)),
        iou_layers(c.size("iou_head_depth", 3)),
        iou_hidden(c.size("iou_head_hidden_dim", 256)),
        epsilon(c.real("layer_norm_eps", 1e-6)) {
    require_multiple({"hidden_size / 2", hidden / 2}, {"num_attention_heads", heads});
    require_multiple({"hidden_size / attention_downsample_rate", hidden / rate}, {"num_attention_heads", heads});
    require_multiple({"hidden_size", hidden}, {"8, by which the masks' channels are fewer", 8});
  }
  int64_t hidden;
  std::string activation;
  int64_t inner, layers, heads, rate, masks, iou_layers, iou_hidden;
  double epsilon;
};

class MaskDecoder {
 public:
  explicit MaskDecoder(const Config& config) : c(config) {}

  struct Given {
    Value image;    ///< f[batch, hidden, grid, grid], with what stands for a mask
    Value places;   ///< of its patches: f[batch or 1, hidden, grid, grid]
    Value prompts;  ///< f[batch, point_batch, n, hidden]
  };
  struct Made {
    Value masks;  ///< f[batch, point_batch, masks, 4·grid, 4·grid]
    Value iou;    ///< f[batch, point_batch, masks]: how good each is
  };
  Made operator()(const Scope& s, const Given& given) const {
    Graph& g = s.graph();
    const int64_t side = given.image.fixed(2), area = side * side;
    const Value rows = shape_of(given.prompts, 0, 2);
    // Every prompt is a row of its own from here on, beside a copy of its image.
    const auto for_each_prompt = [&](const Value& image) {
      const Value tokens = unsqueeze(tokens_of(image.in(s)), {1});
      const Value each = g.op("Expand", {tokens, concat({rows, g.integers({area, c.hidden})}, 0)});
      return reshape(each, {-1, area, c.hidden});
    };
    const Value own = concat({(s / "iou_token").weight("weight", {1, c.hidden}),
                              (s / "mask_tokens").weight("weight", {1 + c.masks, c.hidden})},
                             0);
    const Value own_each = g.op("Expand", {own, concat({rows, g.integers({2 + c.masks, c.hidden})}, 0)});
    const Value tokens = concat({own_each, given.prompts}, 2);
    const Value prompts = reshape(tokens, concat({g.integers({-1}), shape_of(tokens, 2, 4)}, 0));

    const Both seen =
        transform(s / "transformer", prompts, for_each_prompt(given.image), for_each_prompt(given.places));

    Value x = reshape(transpose(seen.image.in(s), {0, 2, 1}), {0, c.hidden, side, side});
    x = conv_transpose2d(s / "upscale_conv1", x, {.out = c.hidden / 4, .kernel = 2, .stride = 2});
    x = activation(norm_of_channels(s / "upscale_layer_norm", x, {.epsilon = 1e-6}).in(s), "gelu");
    x = activation(conv_transpose2d(s / "upscale_conv2", x, {.out = c.hidden / 8, .kernel = 2, .stride = 2}), "gelu");
    // The first mask is one of its own, for prompts that leave no doubt; the others are put out.
    const Scope products = s / "output_hypernetworks_mlps";
    g.unused((products / 0).path() + ".*");
    std::vector<Value> factors;
    for (int64_t i = 1; i <= c.masks; ++i) {
      const Value token = pick(seen.tokens.in(s), 1, 1 + i);
      factors.push_back(unsqueeze(perceive(products / i, token, {c.hidden, c.hidden / 8, 3}), {1}));
    }
    const Value masks = matmul(concat(factors, 1), reshape(x, {0, c.hidden / 8, 16 * area}));
    const Value iou =
        perceive(s / "iou_prediction_head", pick(seen.tokens.in(s), 1, 0), {c.iou_hidden, 1 + c.masks, c.iou_layers});
    return {reshape(masks, concat({rows, g.integers({c.masks, 4 * side, 4 * side})}, 0)),
            reshape(slice(iou, {1, 1}), concat({rows, g.integers({c.masks})}, 0))};
  }

  const DecoderConfig c;

 private:
  struct Both {
    Value tokens, image;
  };
  /// How much narrower an attention between tokens and image is within the layers, whatever the config says; that goes
  /// for the last one.
  static constexpr int64_t rate_of_layers = 2;

  // tokens: f[rows, n, hidden], image and places: f[rows, grid², hidden]
  Both transform(const Scope& s, const Value& prompts, Value image, const Value& places) const {
    Value x = prompts;
    const auto placed = [&](const Value& tokens) { return tokens + prompts; };
    for (int64_t i = 0; i < c.layers; ++i) {
      const Scope layer = s / "layers" / i;
      const auto normed = [&](const char* name, const Value& h) {
        return norm(layer / name, h.in(layer), {.epsilon = c.epsilon});
      };
      const Scope self = layer / "self_attn";
      // What the first one adds stands for all.
      x = i == 0 ? attend(self, {x, x, x}, 1) : x + attend(self, {placed(x), placed(x), x}, 1);
      x = normed("layer_norm1", x);
      x = x + attend(layer / "cross_attn_token_to_image", {placed(x), image + places, image}, rate_of_layers);
      x = normed("layer_norm2", x);
      x = x + widened(layer / "mlp", x);
      x = normed("layer_norm3", x);
      image = image + attend(layer / "cross_attn_image_to_token", {image + places, placed(x), x}, rate_of_layers);
      image = normed("layer_norm4", image);
    }
    x = x + attend(s / "final_attn_token_to_image", {placed(x), image + places, image}, c.rate);
    return {norm(s / "layer_norm_final_attn", x, {}), image};
  }

  Value widened(const Scope& s, const Value& x) const {
    return feed_forward(s, x,
                        {.inner = c.inner, .activation = c.activation, .up = "lin1", .down = "lin2", .bias = true});
  }

  // Attention of which queries, keys and values are made of different things, `rate` times as narrow.
  Value attend(const Scope& s, const QueryKeyValue& from, int64_t rate) const {
    const LinearOptions narrow{.out = c.hidden / rate};
    const Value mixed = attention(linear(s / "q_proj", from.query, narrow), linear(s / "k_proj", from.key, narrow),
                                  linear(s / "v_proj", from.value, narrow), {.heads = c.heads})
                            .mixed;
    return linear(s / "out_proj", mixed, {.out = c.hidden}).in(s.parent());
  }

  struct Layers {
    int64_t hidden, out, count;
  };
  // f[..., n] -> f[..., out]. Source: SamFeedForward.
  static Value perceive(const Scope& s, Value x, const Layers& form) {
    x = relu(linear(s / "proj_in", x, {.out = form.hidden}));
    for (int64_t i = 0; i + 2 < form.count; ++i) x = relu(linear(s / "layers" / i, x, {.out = form.hidden}));
    return linear(s / "proj_out", x, {.out = form.out});
  }
};

}  // namespace sam
