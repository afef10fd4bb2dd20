// SPDX-License-Identifier: Apache-2.0
// Hiera as a detector's backbone: attention within squares of the image but for a few layers, and queries that are
// pooled where a stage begins. Patches stay an image. Source: Sam2HieraDetModel, transformers 5.24 (modeling_sam2.py).
#pragma once

#include <algorithm>
#include <numeric>
#include <string>
#include <vector>

#include <onnxport/blocks/feed_forward.hpp>
#include <onnxport/blocks/image_squares.hpp>
#include <onnxport/blocks/norm.hpp>
#include <onnxport/plugin.hpp>

namespace sam2 {

using namespace onnxport::sdk;

struct HieraDetConfig {
  /// A layer's place in the model.
  struct Layer {
    int64_t width, heads;  // of its result
    int64_t square;        // it attends within squares of so many patches on a side; 0: to all
    bool pools, ends_stage;
  };

  explicit HieraDetConfig(const Config& c)
      : channels(c.size("num_channels", 3)),
        patch(extent(c, "patch_kernel_size", 7)),
        stride(extent(c, "patch_stride", 4)),
        padding(extent(c, "patch_padding", 3)),
        pooling(extent(c, "query_stride", 2)),
        background(extent(c, "window_positional_embedding_background_size", 7)),
        ratio(c.real("mlp_ratio", 4)),
        activation(c.text("hidden_act", "gelu")),
        epsilon(c.real("layer_norm_eps", 1e-6)) {
    // Of layers, which are listed by stage; and any size of image goes through.
    c.no_effect({"num_attention_heads", "image_size"});
    read_layers(c);
    require_equal({"hidden_size", c.size("hidden_size", 96)}, {"embed_dim_per_stage[0]", widths[0]});
  }

  /// What the sides of an image are multiples of, in pixels, for squares of places and for pools.
  int64_t step() const {
    int64_t pooled = 1;
    for (const Layer& layer : layers) pooled *= layer.pools ? std::lcm(pooling.height, pooling.width) : 1;
    return std::lcm(square, pooled) * std::lcm(stride.height, stride.width);
  }

  int64_t channels;
  Extent patch, stride, padding;
  Extent pooling;     // neighbours that become one, in a column and in a row
  Extent background;  // of places, before they are resampled
  double ratio;
  std::string activation;
  double epsilon;
  std::vector<int64_t> widths;  // by stage
  int64_t square = 8;           // whose places are told apart beside those of the image
  std::vector<Layer> layers;

 private:
  void read_layers(const Config& c) {
    const auto depths = by_stage(c, "blocks_per_stage", {1, 2, 7, 2}, 1);
    widths = by_stage(c, "embed_dim_per_stage", {96, 192, 384, 768}, depths.size());
    const auto heads = by_stage(c, "num_attention_heads_per_stage", {1, 2, 4, 8}, depths.size());
    const auto squares = by_stage(c, "window_size_per_stage", {8, 4, 14, 7}, depths.size());
    const auto global =
        c.has("global_attention_blocks") ? c.integers("global_attention_blocks") : std::vector<int64_t>{5, 7, 9};
    const auto pools = static_cast<size_t>(c.count("num_query_pool_stages", 3));
    square = squares[0];
    for (size_t i = 0; i < depths.size(); ++i) {
      require_multiple({"embed_dim_per_stage", widths[i]}, {"num_attention_heads_per_stage", heads[i]});
      for (int64_t j = 0; j < depths[i]; ++j) {
        const bool first = i > 0 && j == 0, pools_here = first && i <= pools;
        const auto number = static_cast<int64_t>(layers.size());
        const bool sees_all = std::find(global.begin(), global.end(), number) != global.end();
        // The first layer of a stage attends as the stage before it does.
        layers.push_back(
            {widths[i], heads[i], sees_all ? 0 : squares[first ? i - 1 : i], pools_here, j + 1 == depths[i]});
        if (pools_here) check_pool(i, layers.back());
      }
    }
  }

  void check_pool(size_t stage, const Layer& layer) const {
    if (widths[stage] == widths[stage - 1]) {
      throw Error(ONNXPORT_CONFIG, "config field 'embed_dim_per_stage' has " + std::to_string(widths[stage]) +
                                       " for the stages " + std::to_string(stage - 1) + " and " +
                                       std::to_string(stage) + "; expected another width where queries are pooled");
    }
    require_multiple({"window_size_per_stage", layer.square}, {"query_stride", pooling.height});
    require_multiple({"window_size_per_stage", layer.square}, {"query_stride", pooling.width});
  }
};

class HieraDet {
 public:
  using Layer = HieraDetConfig::Layer;

  explicit HieraDet(const Config& config) : c(config) {}

  /// pixels: f[batch, channels, height, width] -> what each stage makes, f[batch, rows, columns, width].
  std::vector<Value> operator()(const Scope& s, const Value& pixels) const {
    Graph& g = s.graph();
    Value x = channels_last(
        conv2d(s / "patch_embed.projection", pixels,
               {.out = c.widths[0], .kernel = c.patch, .stride = c.stride, .padding = c.padding, .in = c.channels})
            .in(s));
    x = x + places(s, x);
    std::vector<Value> stages;
    for (size_t i = 0; i < c.layers.size(); ++i) {
      const std::string index = std::to_string(i);
      g.mark("hidden_states." + index, x);
      x = run(s / "blocks" / static_cast<int64_t>(i), x, c.layers[i]);
      if (c.layers[i].ends_stage) stages.push_back(x);
    }
    g.mark("hidden_states." + std::to_string(c.layers.size()), x);
    return stages;
  }

  const HieraDetConfig c;

 private:
  // Those in the image, of a resampled table, and those in a square: f[1, rows, columns, width] for such an image.
  Value places(const Scope& s, const Value& image) const {
    const int64_t width = c.widths[0];
    const Value table = s.weight("pos_embed", {1, width, c.background.height, c.background.width});
    const Value square = s.weight("pos_embed_window", {1, width, c.square, c.square});
    const Value whole = channels_last(interpolate(table, shape_of(image, 1, 3), Interpolation::bicubic));
    const Scope at = s / "pos_embed_window";
    return out_of_squares(at, into_squares(at, whole, c.square) + channels_last(square), whole).in(s);
  }

  // x: f[batch, rows, columns, n] -> f[batch, rows, columns, width] of a layer, of which a pool leaves fewer.
  Value run(const Scope& s, const Value& x, const Layer& layer) const {
    const Value read = norm(s / "layer_norm1", x, {.epsilon = c.epsilon});
    Value kept = x.in(s);
    if (x.fixed(3) != layer.width) kept = pooled(linear(s / "proj", read, {.out = layer.width}), layer);
    Value mixed;
    if (layer.square > 0)
      mixed = out_of_squares(s, attend(s / "attn", into_squares(s, read, layer.square), layer), kept);
    else
      mixed = attend(s / "attn", read, layer);
    const Value y = kept + mixed.in(s);
    const FeedForward form{.inner = static_cast<int64_t>(static_cast<double>(layer.width) * c.ratio),
                           .activation = c.activation,
                           .up = "proj_in",
                           .down = "proj_out",
                           .bias = true};
    return y + feed_forward(s / "mlp", norm(s / "layer_norm2", y, {.epsilon = c.epsilon}), form).in(s);
  }

  // Source: Sam2MultiScaleAttention.
  Value attend(const Scope& s, const Value& image, const Layer& layer) const {
    const int64_t width = layer.width;
    const std::vector<Value> made = split(linear(s / "qkv", image, {.out = 3 * width}), 3, {width, width, width});
    const auto tokens = [&](const Value& x) { return reshape(x, {0, -1, width}); };
    const Value query = pooled(made[0], layer);
    const Value mixed = attention(tokens(query), tokens(made[1]), tokens(made[2]), {.heads = layer.heads}).mixed;
    return image_like(linear(s / "proj", mixed, {.out = width}), query);
  }

  // The largest of neighbours, where a layer pools: f[batch, rows, columns, n].
  Value pooled(const Value& image, const Layer& layer) const {
    if (!layer.pools) return image;
    return channels_last(max_pool(channels_first(image), {.kernel = c.pooling, .stride = c.pooling}));
  }
};

}  // namespace sam2
