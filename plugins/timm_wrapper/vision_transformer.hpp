// SPDX-License-Identifier: Apache-2.0
// Vision transformers: ViT, DeiT, and the image halves of CLIP, SigLIP and DINOv2 as timm has them. Source:
// VisionTransformer of timm 1.0 (vision_transformer.py, deit.py, layers/attention_pool.py).
#pragma once

#include <cmath>
#include <optional>
#include <regex>
#include <string>
#include <vector>

#include <onnxport/blocks/layer.hpp>

#include "model.hpp"

namespace timm {

/// A size by its name, for all relatives or for one: "base" -> 768 wide, 12 layers, 12 heads.
struct Size {
  const char* name;
  int64_t width, layers, heads;
  double ratio = 4;  ///< of the feed-forward's inner width
};
inline constexpr Size sizes[] = {{"tiny", 192, 12, 3},       {"xsmall", 256, 10, 4},
                                 {"small", 384, 12, 6},      {"medium", 512, 12, 8},
                                 {"base", 768, 12, 12},      {"large", 1024, 24, 16},
                                 {"huge", 1280, 32, 16},     {"giant", 1408, 40, 16, 48.0 / 11},
                                 {"giantopt", 1536, 40, 16}, {"gigantic", 1664, 48, 16, 64.0 / 13}};

enum class Pool { token, mean, latent };

/// What a relative's name says beside the size.
struct Relative {
  const char* name;
  double epsilon = 1e-6;
  bool class_token = true;
  Pool pool = Pool::token;
  bool normed_first = false;  ///< the tokens, before the layers; the patches then have no bias
  bool scaled = false;        ///< each half of a layer by learnt factors
  const char* activation = "gelu";
};
inline constexpr Relative relatives[] = {
    {.name = "vit"},
    {.name = "deit"},
    {.name = "deit3", .scaled = true},
    {.name = "clip", .epsilon = 1e-5, .normed_first = true},
    {.name = "clip_quickgelu", .epsilon = 1e-5, .normed_first = true, .activation = "quick_gelu"},
    {.name = "siglip", .class_token = false, .pool = Pool::latent},
    {.name = "siglip_gap", .class_token = false, .pool = Pool::mean},
    {.name = "dinov2", .scaled = true},
};

struct VisionTransformerForm {
  Size size;
  Relative relative;
  int64_t patch, image, registers, channels;
  bool patches_have_positions_alone;  ///< the learnt tokens have none
  bool qkv_bias, gated;
};

class VisionTransformer final : public Model {
 public:
  explicit VisionTransformer(const VisionTransformerForm& form) : c(form) {}

  Value features(const Scope& model, const Value& pixels) const override {
    Value x = embed(model, pixels);
    if (c.relative.normed_first) x = normed(model / "norm_pre", x);
    const Value last =
        transformer_layers(model / "blocks", x, {c.size.layers, [this](int64_t) { return layer(); }}, {});
    return normed(model / "norm", last);
  }
  Value pooled(const Scope& model, const Value& features) const override {
    switch (c.relative.pool) {
      case Pool::token:
        return pick(features, 1, 0);
      case Pool::mean:
        return mean(features, {1});
      case Pool::latent:
        break;
    }
    return attended(model / "attn_pool", features);
  }
  std::string classifier() const override { return "head"; }
  std::optional<Extent> only_size() const override { return Extent(c.image); }

 private:
  // -> f[batch, learnt tokens + patches, width]
  Value embed(const Scope& model, const Value& pixels) const {
    const int64_t rows = c.image / c.patch, width = c.size.width;
    const Value patches = tokens_of(conv2d(
        model / "patch_embed.proj", pixels,
        {.out = width, .kernel = c.patch, .stride = c.patch, .bias = !c.relative.normed_first, .in = c.channels}));
    std::vector<Value> firsts;
    if (c.relative.class_token) firsts.push_back(model.weight("cls_token", {1, 1, width}));
    if (c.registers > 0) firsts.push_back(model.weight("reg_token", {1, c.registers, width}));
    const int64_t learnt = c.registers + (c.relative.class_token ? 1 : 0);
    if (c.patches_have_positions_alone) {
      const Value placed = patches + model.weight("pos_embed", {1, rows * rows, width});
      return firsts.empty() ? placed : prepend(firsts, placed);
    }
    const Value tokens = firsts.empty() ? patches : prepend(firsts, patches);
    return tokens + model.weight("pos_embed", {1, learnt + rows * rows, width});
  }

  TransformerLayer layer() const {
    const int64_t inner = inner_width();
    return {
        .attention_at = "attn",
        .attention = {.heads = c.size.heads,
                      .head_size = c.size.width / c.size.heads,
                      .projections = {.packing = Projections::Packing::blocks,
                                      .fused = "qkv",
                                      .output = "proj",
                                      .bias = {.query = c.qkv_bias, .output = true}}},
        .feed_forward =
            c.gated
                ? FeedForward{.inner = inner / 2, .activation = "silu", .down = "fc2", .gate_up = "fc1", .bias = true}
                : FeedForward{.inner = inner,
                              .activation = c.relative.activation,
                              .up = "fc1",
                              .down = "fc2",
                              .bias = true},
        .attention_branch = {.norm = {.epsilon = c.relative.epsilon},
                             .name = "norm1",
                             .factor = c.relative.scaled ? "ls1.gamma" : ""},
        .feed_forward_branch = {
            .norm = {.epsilon = c.relative.epsilon}, .name = "norm2", .factor = c.relative.scaled ? "ls2.gamma" : ""}};
  }
  int64_t inner_width() const { return static_cast<int64_t>(static_cast<double>(c.size.width) * c.size.ratio); }
  Value normed(const Scope& s, const Value& x) const { return norm(s, x, {.epsilon = c.relative.epsilon}); }

  // A learnt query attends to all tokens, and a feed-forward follows: f[batch, n, width] -> f[batch, width].
  // Source: AttentionPoolLatent.
  Value attended(const Scope& s, const Value& tokens) const {
    const int64_t width = c.size.width, heads = c.size.heads, each = width / heads;
    const auto split = [&](const Value& x) { return transpose(reshape(x, {0, -1, heads, each}), {0, 2, 1, 3}); };
    const Value query = split(linear(s / "q", s.weight("latent", {1, 1, width}), {.out = width}));
    const Value both = linear(s / "kv", tokens, {.out = 2 * width});
    const Value keys = split(slice(both, {2, 0, width})), values = split(slice(both, {2, width, 2 * width}));
    const Value scores = matmul(query * (1 / std::sqrt(static_cast<double>(each))), transpose(keys, {0, 1, 3, 2}));
    const Value met = reshape(transpose(matmul(softmax(scores), values), {0, 2, 1, 3}), {0, 1, width});
    const Value x = linear(s / "proj", met, {.out = width});
    const FeedForward form{
        .inner = inner_width(), .activation = c.relative.activation, .up = "fc1", .down = "fc2", .bias = true};
    return pick((x + feed_forward(s / "mlp", normed(s / "norm", x), form)).in(s), 1, 0);
  }

  const VisionTransformerForm c;
};

/// The model of that name, or none: vit_base_patch16_224, deit3_small_patch16_384, vit_small_patch14_reg4_dinov2,
/// vit_base_patch16_siglip_gap_256. Arguments of the class may change it.
inline Made vision_transformer(const Asked& asked) {
  static const std::regex pattern(
      "(vit|deit|deit3)_([a-z]+)_patch([0-9]+)(_reg[0-9]+)?(_clip_quickgelu|_clip|_siglip_gap|_siglip|_dinov2)?(_[0-9]+"
      ")?");
  std::smatch said;
  if (!std::regex_match(asked.name, said, pattern)) return {};
  const auto number = [](const std::string& text, int64_t fallback) {
    const size_t digits = text.find_first_of("0123456789");
    return digits == std::string::npos ? fallback : static_cast<int64_t>(std::stoll(text.substr(digits)));
  };
  const std::string relative = said[5].matched ? said[5].str().substr(1) : said[1].str();
  const Size* size = nullptr;
  for (const Size& known : sizes) {
    if (said[2] == known.name) size = &known;
  }
  const Relative* form = nullptr;
  for (const Relative& known : relatives) {
    if (relative == known.name) form = &known;
  }
  if (size == nullptr || form == nullptr) return {};

  VisionTransformerForm made{.size = *size,
                             .relative = *form,
                             .patch = number(said[3], 16),
                             .image = number(said[6], relative == "dinov2" ? 518 : 224),
                             .registers = number(said[4], 0),
                             .channels = 3,
                             .patches_have_positions_alone = relative == "deit3" || said[4].matched,
                             .qkv_bias = true,
                             .gated = false};
  // DINOv2's giant is another than the others'.
  if (relative == "dinov2" && said[2] == "giant") {
    made.size = {"giant", 1536, 40, 24, 2.66667 * 2};
    made.gated = true;
  }
  const Config& a = asked.arguments;
  made.size.width = a.size("embed_dim", made.size.width);
  made.size.layers = a.count("depth", made.size.layers);
  made.size.heads = a.size("num_heads", made.size.heads);
  made.size.ratio = a.real("mlp_ratio", made.size.ratio);
  made.image = a.size("img_size", made.image);
  made.patch = a.size("patch_size", made.patch);
  made.registers = a.count("reg_tokens", made.registers);
  made.channels = a.size("in_chans", made.channels);
  made.qkv_bias = a.boolean("qkv_bias", made.qkv_bias);
  made.relative.class_token = a.boolean("class_token", made.relative.class_token);
  made.relative.normed_first = a.boolean("pre_norm", made.relative.normed_first);
  made.relative.scaled = made.relative.scaled || a.has("init_values");
  made.patches_have_positions_alone = a.boolean("no_embed_class", made.patches_have_positions_alone);
  require_multiple({"embed_dim", made.size.width}, {"num_heads", made.size.heads});
  require_multiple({"img_size", made.image}, {"patch_size", made.patch});
  return std::make_unique<VisionTransformer>(made);
}

}  // namespace timm
