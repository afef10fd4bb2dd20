// SPDX-License-Identifier: Apache-2.0
// From prompts and an image to masks: layers in which tokens and image attend to each other, and a product of what both
// became. Source: SamMaskDecoder and SamTwoWayTransformer, transformers 4.57 (modeling_sam.py); Sam2MaskDecoder,
// transformers 5.24 (modeling_sam2.py).
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <optional>
#include <string>
#include <vector>

#include <onnxport/blocks/attention.hpp>
#include <onnxport/families/convnext.hpp>
#include <onnxport/plugin.hpp>

namespace onnxport::family {

/// Layers with an activation between them, of which all but the last are as wide. Source: SamFeedForward.
struct SamPerceptron {
  int64_t hidden, out, layers;
  std::string activation = "relu";
  std::string first = "proj_in", last = "proj_out";
};
/// f[..., n] -> f[..., out]
inline Value sam_perceptron(const Scope& s, Value x, const SamPerceptron& form) {
  x = activation(linear(s / form.first, x, {.out = form.hidden}), form.activation);
  for (int64_t i = 0; i + 2 < form.layers; ++i)
    x = activation(linear(s / "layers" / i, x, {.out = form.hidden}), form.activation);
  return linear(s / form.last, x, {.out = form.out});
}

/// A mask is stable where as many of its pixels lie above ±delta, but for the threshold's share.
struct MaskStability {
  double delta, threshold;
};

struct SamDecoderConfig {
  /// What all relatives have; the rest is the plugin's to say.
  explicit SamDecoderConfig(const Config& c)
      : hidden(c.size("hidden_size", 256)),
        layers(c.count("num_hidden_layers", 2)),
        heads(c.size("num_attention_heads", 8)),
        rate(c.size("attention_downsample_rate", 2)),
        masks(c.size("num_multimask_outputs", 3)),
        mlp{.hidden = c.size("mlp_dim", 2048), .out = hidden, .layers = 2},
        iou{.hidden = c.size("iou_head_hidden_dim", 256), .out = 1 + masks, .layers = c.size("iou_head_depth", 3)} {
    require_multiple({"hidden_size / attention_downsample_rate", hidden / rate}, {"num_attention_heads", heads});
    require_multiple({"hidden_size", hidden}, {"8, by which the masks' channels are fewer", 8});
  }
  int64_t hidden, layers, heads;
  int64_t rate;   ///< how much narrower the last attention is, from tokens to the image
  int64_t masks;  ///< for each prompt, beside the one for prompts that leave no doubt
  SamPerceptron mlp, iou;
  int64_t rate_of_layers = 2;  ///< of attentions between tokens and image within the layers
  double epsilon = 1e-5;       ///< of the layers' norms
  std::string attention_output = "out_proj";
  bool scores_objects = false;  ///< a first token tells whether there is anything
  bool iou_is_probability = false;
  std::optional<MaskStability> stability{};  ///< a single mask that is not stable gives way to the best of the others
};

class SamMaskDecoder {
 public:
  explicit SamMaskDecoder(SamDecoderConfig config) : c(std::move(config)) {}

  struct Given {
    Value image;    ///< f[batch, hidden, grid, grid], with what stands for a mask
    Value places;   ///< of its patches: f[batch or 1, hidden, grid, grid]
    Value prompts;  ///< f[batch, rows, n, hidden]
    /// Finer maps: f[batch, hidden/8, 4·grid, 4·grid] and f[batch, hidden/4, 2·grid, 2·grid]; or none.
    std::vector<Value> finer{};
    bool single = false;  ///< whether one mask is wanted beside the others
  };
  struct Made {
    Value masks;                        ///< f[batch, rows, masks, 4·grid, 4·grid]
    Value iou;                          ///< f[batch, rows, masks]: how good each is
    Value single_mask{}, single_iou{};  ///< the same of one mask for each prompt, where it is wanted
    Value object{};                     ///< f[batch, rows, 1], where objects are scored
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
    const Value own = own_tokens(s);
    const Value own_each = g.op("Expand", {own, concat({rows, g.integers({own.fixed(0), c.hidden})}, 0)});
    const Value tokens = concat({own_each, given.prompts}, 2);
    const Value prompts = reshape(tokens, concat({g.integers({-1}), shape_of(tokens, 2, 4)}, 0));
    const Both seen =
        transform(s / "transformer", prompts, for_each_prompt(given.image), for_each_prompt(given.places));

    const Value pixels =
        enlarge(s, reshape(transpose(seen.image.in(s), {0, 2, 1}), {0, c.hidden, side, side}), {rows, given.finer});
    const auto by_row = [&](const Value& x, std::vector<int64_t> shape) {
      return reshape(x, concat({rows, g.integers(shape)}, 0));
    };
    const int64_t at = c.scores_objects ? 1 : 0;  // where the own tokens of masks begin
    Value iou = sam_perceptron(s / "iou_prediction_head", pick(seen.tokens.in(s), 1, at), c.iou);
    if (c.iou_is_probability) iou = sigmoid(iou);
    const Value flat = reshape(pixels, {0, c.hidden / 8, 16 * area});
    const auto product = [&](int64_t first, int64_t count) {
      return matmul(factors(s, seen.tokens, {at + 1, first, count}), flat);
    };
    // The first mask is one of its own, for prompts that leave no doubt.
    const Single others{product(1, c.masks), slice(iou, {1, 1})};
    Made made{by_row(others.mask, {c.masks, 4 * side, 4 * side}), by_row(others.iou, {c.masks})};
    if (given.single) {
      const Single one = single({product(0, 1), slice(iou, {1, 0, 1})}, others);
      made.single_mask = by_row(one.mask, {1, 4 * side, 4 * side});
      made.single_iou = by_row(one.iou, {1});
    } else {
      g.unused((s / "output_hypernetworks_mlps" / 0).path() + ".*");
    }
    if (c.scores_objects) {
      const Value score = sam_perceptron(s / "pred_obj_score_head", pick(seen.tokens.in(s), 1, 0), {c.hidden, 1, 3});
      made.object = by_row(score, {1});
    }
    return made;
  }

  const SamDecoderConfig c;

 private:
  struct Both {
    Value tokens, image;
  };

  Value own_tokens(const Scope& s) const {
    std::vector<Value> own;
    if (c.scores_objects) own.push_back((s / "obj_score_token").weight("weight", {1, c.hidden}));
    own.push_back((s / "iou_token").weight("weight", {1, c.hidden}));
    own.push_back((s / "mask_tokens").weight("weight", {1 + c.masks, c.hidden}));
    return concat(own, 0);
  }

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
      x = x + attend(layer / "cross_attn_token_to_image", {placed(x), image + places, image}, c.rate_of_layers);
      x = normed("layer_norm2", x);
      x = x + sam_perceptron(layer / "mlp", x, c.mlp).in(layer);
      x = normed("layer_norm3", x);
      image = image + attend(layer / "cross_attn_image_to_token", {image + places, placed(x), x}, c.rate_of_layers);
      image = normed("layer_norm4", image);
    }
    x = x + attend(s / "final_attn_token_to_image", {placed(x), image + places, image}, c.rate);
    return {norm(s / "layer_norm_final_attn", x, {}), image};
  }

  // Attention of which queries, keys and values are made of different things, `rate` times as narrow.
  Value attend(const Scope& s, const QueryKeyValue& from, int64_t rate) const {
    const LinearOptions narrow{.out = c.hidden / rate};
    const Value mixed = attention(linear(s / "q_proj", from.query, narrow), linear(s / "k_proj", from.key, narrow),
                                  linear(s / "v_proj", from.value, narrow), {.heads = c.heads})
                            .mixed;
    return linear(s / c.attention_output, mixed, {.out = c.hidden}).in(s.parent());
  }

  struct Enlarging {
    Value rows;  // i64[2]: images and the prompts of each
    std::vector<Value> finer;
  };
  // x: f[rows, hidden, grid, grid] -> f[rows, hidden/8, 4·grid, 4·grid]
  Value enlarge(const Scope& s, Value x, const Enlarging& by) const {
    Graph& g = s.graph();
    const auto with_finer = [&](const Value& image, size_t map) {
      if (by.finer.empty()) return image;
      const std::vector<int64_t> shape{image.fixed(1), image.fixed(2), image.fixed(3)};
      const Value each = reshape(image, concat({by.rows, g.integers(shape)}, 0)) + unsqueeze(by.finer.at(map), {1});
      return reshape(each, {-1, shape[0], shape[1], shape[2]});
    };
    x = with_finer(conv_transpose2d(s / "upscale_conv1", x, {.out = c.hidden / 4, .kernel = 2, .stride = 2}), 1);
    x = activation(norm_of_channels(s / "upscale_layer_norm", x, {.epsilon = 1e-6}).in(s), "gelu");
    x = with_finer(conv_transpose2d(s / "upscale_conv2", x, {.out = c.hidden / 8, .kernel = 2, .stride = 2}), 0);
    return activation(x, "gelu");
  }

  struct MaskTokens {
    int64_t begin;         // where the first mask's token stands
    int64_t first, count;  // of masks
  };
  // tokens: f[rows, n, hidden] -> f[rows, count, hidden/8]
  Value factors(const Scope& s, const Value& tokens, const MaskTokens& which) const {
    std::vector<Value> made;
    for (int64_t i = which.first; i < which.first + which.count; ++i) {
      const Value token = pick(tokens.in(s), 1, which.begin + i);
      const SamPerceptron form{c.hidden, c.hidden / 8, 3};
      made.push_back(unsqueeze(sam_perceptron(s / "output_hypernetworks_mlps" / i, token, form).in(s), {1}));
    }
    return made.size() == 1 ? made[0] : concat(made, 1);
  }

  struct Single {
    Value mask, iou;
  };
  // f[rows, 1, pixels] and f[rows, 1] of the mask that is one of its own, or of the best of the others, f[rows, masks,
  // pixels] and f[rows, masks], where that is not stable. Source: Sam2MaskDecoder._dynamic_multimask_via_stability.
  Single single(const Single& own, const Single& others) const {
    if (!c.stability) return own;
    Graph& g = own.mask.graph();
    const auto above = [&](double bound) {
      return sum(cast(g.op("Greater", {own.mask, g.scalar(bound)}), DType::f32), {2});
    };
    const Value inner = above(c.stability->delta), outer = above(-c.stability->delta);
    // Of a mask without pixels nothing is lost.
    const Value share = where(g.op("Greater", {outer, g.scalar(0)}), inner / outer, g.scalar(1));
    const Value stable = g.op("GreaterOrEqual", {share, g.scalar(c.stability->threshold)});
    const Value best = g.op("ArgMax", {others.iou}, {{"axis", 1}, {"keepdims", 1}});
    return {where(unsqueeze(stable, {2}), own.mask, unsqueeze(row_at(others.mask, best), {1})),
            where(stable, own.iou, unsqueeze(row_at(others.iou, best), {1}))};
  }
};

}  // namespace onnxport::family
