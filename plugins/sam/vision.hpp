// SPDX-License-Identifier: Apache-2.0
// SAM's image encoder: a ViT whose layers attend within windows but for a few, with scores by row and by column.
// Source: SamVisionEncoder, transformers 4.57 (modeling_sam.py).
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include <onnxport/blocks/image_squares.hpp>
#include <onnxport/blocks/layer.hpp>
#include <onnxport/families/convnext.hpp>
#include <onnxport/plugin.hpp>

namespace sam {

using namespace onnxport::family;

struct VisionConfig {
  explicit VisionConfig(const Config& c)
      : hidden(c.size("hidden_size", 768)),
        out(c.size("output_channels", 256)),
        layers(c.count("num_hidden_layers", 12)),
        heads(c.size("num_attention_heads", 12)),
        channels(c.size("num_channels", 3)),
        image(c.size("image_size", 1024)),
        patch(c.size("patch_size", 16)),
        inner(c.size("mlp_dim", static_cast<int64_t>(static_cast<double>(hidden) * c.real("mlp_ratio", 4)))),
        activation(c.text("hidden_act", "gelu")),
        epsilon(c.real("layer_norm_eps", 1e-6)),
        qkv_bias(c.boolean("qkv_bias", true)),
        absolute(c.boolean("use_abs_pos", true)),
        relative(c.boolean("use_rel_pos", true)),
        window(c.count("window_size", 14)),
        global(c.has("global_attn_indexes") ? c.integers("global_attn_indexes") : std::vector<int64_t>{2, 5, 8, 11}),
        frequencies(c.size("num_pos_feats", 128)) {
    c.no_effect({"scale", "intermediate_size"});  // of training; and what no version reads
    require_multiple({"hidden_size", hidden}, {"num_attention_heads", heads});
    if (image < patch) throw Error(ONNXPORT_CONFIG, "config field 'patch_size' is larger than image_size");
  }
  int64_t grid() const { return image / patch; }  ///< patches on a side
  /// The side of a layer's windows; 0: it sees all patches.
  int64_t window_of(int64_t layer) const {
    return std::find(global.begin(), global.end(), layer) == global.end() ? window : 0;
  }
  /// The model takes images of one size.
  TensorSpec pixels() const { return input::pixels("pixel_values", {axis::batch, channels, image, image}); }

  int64_t hidden, out, layers, heads, channels, image, patch, inner;
  std::string activation;
  double epsilon;
  bool qkv_bias, absolute, relative;
  int64_t window;
  std::vector<int64_t> global;  // layers that see all patches
  int64_t frequencies;          // of the embedding of places in an image, which the prompts have in common with it
};

class VisionEncoder {
 public:
  explicit VisionEncoder(const Config& config) : c(config) {}

  /// pixels: f[batch, channels, image, image] -> f[batch, out, grid, grid]
  Value operator()(const Scope& s, const Value& pixels) const {
    Graph& g = s.graph();
    const int64_t side = c.grid();
    Value x = channels_last(conv2d(s / "patch_embed.projection", pixels,
                                   {.out = c.hidden, .kernel = c.patch, .stride = c.patch, .in = c.channels})
                                .in(s));
    if (c.absolute) x = x + s.weight("pos_embed", {1, side, side, c.hidden});
    x = reshape(x, {0, side * side, c.hidden});
    for (int64_t i = 0; i < c.layers; ++i) {
      const std::string index = std::to_string(i);
      g.mark("hidden_states." + index, x);
      x = transformer_layer(s / "layers" / i, x, layer(i), {.probabilities = "attentions." + index});
    }
    g.mark("hidden_states." + std::to_string(c.layers), x);
    const Scope neck = s / "neck";
    x = image_of_square(x.in(neck), side);
    x = norm_of_channels(neck / "layer_norm1", conv2d(neck / "conv1", x, {.out = c.out, .bias = false}),
                         {.epsilon = 1e-6});
    x = conv2d(neck / "conv2", x.in(neck), {.out = c.out, .kernel = 3, .padding = 1, .bias = false});
    return norm_of_channels(neck / "layer_norm2", x, {.epsilon = 1e-6});
  }

  const VisionConfig c;

 private:
  static Value image_of_square(const Value& tokens, int64_t side) {
    return reshape(transpose(tokens, {0, 2, 1}), {0, tokens.fixed(2), side, side});
  }

  TransformerLayer layer(int64_t i) const {
    const int64_t window = c.window_of(i);
    TransformerLayer form{
        .attention_at = "attn",
        .feed_forward = {.inner = c.inner, .activation = c.activation, .up = "lin1", .down = "lin2", .bias = true},
        .attention_branch = {.norm = {.epsilon = c.epsilon}, .name = "layer_norm1"},
        .feed_forward_branch = {.norm = {.epsilon = c.epsilon}, .name = "layer_norm2"}};
    form.own_attention = [this, window](const Scope& module, const Value& x, const Attended& given) {
      const int64_t side = window > 0 ? window : c.grid();
      const Value image = reshape(x, {0, c.grid(), c.grid(), c.hidden});
      const Value seen = window > 0 ? reshape(into_squares(module, image, window), {-1, window * window, c.hidden}) : x;
      AttentionBlock block{.heads = c.heads,
                           .head_size = c.hidden / c.heads,
                           .projections = {.packing = Projections::Packing::blocks,
                                           .fused = "qkv",
                                           .output = "proj",
                                           .bias = {.query = c.qkv_bias, .output = true}}};
      Attended rest = given;
      if (c.relative) {
        rest.scores = [this, side](const Scope& s, const QueryKeyValue& made) { return by_place(s, made.query, side); };
      }
      const Value mixed = attend(module, seen, block, rest);
      if (window == 0) return mixed;
      const Value squares = reshape(mixed, {-1, window, window, c.hidden});
      return reshape(out_of_squares(module, squares, image), {0, c.grid() * c.grid(), c.hidden});
    };
    return form;
  }

  // Scores of every query with each row and with each column of its square, by their distances: f[n, side², hidden] ->
  // f[n, heads, side², side²].
  Value by_place(const Scope& s, const Value& query, int64_t side) const {
    const int64_t d = c.hidden / c.heads;
    const Value q = reshape(split_heads(query, c.heads), {0, c.heads, side, side, d});
    std::vector<int64_t> distances;
    for (int64_t from = 0; from < side; ++from) {
      for (int64_t to = 0; to < side; ++to) distances.push_back(from - to + side - 1);
    }
    const Value index = s.graph().constant<int64_t>(DType::i64, {side, side}, distances);
    const auto table = [&](const char* name) { return gather(s.weight(name, {2 * side - 1, d}), index); };
    const Value rows = einsum("bhrcd,rkd->bhrck", {q, table("rel_pos_h")});
    const Value columns = einsum("bhrcd,ckd->bhrck", {q, table("rel_pos_w")});
    return reshape(unsqueeze(rows, {5}) + unsqueeze(columns, {4}), {0, c.heads, side * side, side * side});
  }
};

}  // namespace sam
