// SPDX-License-Identifier: Apache-2.0
// BEiT and data2vec for images between pixels and heads: alone, and as the backbone of other models.
// Source: BeitModel, transformers 4.30, and 4.57 for other sizes of images, BeitBackbone, 4.57 (modeling_beit.py);
// Data2VecVisionModel, the same versions (modeling_data2vec_vision.py).
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

struct BeitConfig {
  explicit BeitConfig(const Config& c)
      : hidden(c.size("hidden_size", 768)),
        layers(c.count("num_hidden_layers", 12)),
        heads(c.size("num_attention_heads", 12)),
        inner(c.size("intermediate_size", 3072)),
        channels(c.size("num_channels", 3)),
        image(extent(c, "image_size", 224)),
        patch(extent(c, "patch_size", 16)),
        epsilon(c.real("layer_norm_eps", 1e-12)),
        activation(c.text("hidden_act", "gelu")),
        absolute(c.boolean("use_absolute_position_embeddings", false)),
        relative(c.boolean("use_relative_position_bias", false)),
        shared_relative(c.boolean("use_shared_relative_position_bias", false)),
        mean_pooling(c.boolean("use_mean_pooling", true)),
        layer_scale(c.real("layer_scale_init_value", 0.1) > 0),
        columns_first(!c.written_before(4, 31)),
        labels(c.num_labels()),
        grid(image.height / patch.height, image.width / patch.width) {
    // Of masked image modelling, of training, and of the head for segmentation.
    c.no_effect({"vocab_size", "use_mask_token", "drop_path_rate", "out_features", "out_indices", "stage_names",
                 "pool_scales", "add_fpn", "reshape_hidden_states", "use_auxiliary_head", "auxiliary_loss_weight",
                 "auxiliary_channels", "auxiliary_num_convs", "auxiliary_concat_input", "semantic_loss_ignore_index"});
    require_multiple({"hidden_size", hidden}, {"num_attention_heads", heads});
    if (grid.area() == 0) throw Error(ONNXPORT_CONFIG, "config field 'patch_size' is larger than image_size");
  }
  int64_t hidden, layers, heads, inner, channels;
  Extent image, patch;
  double epsilon;
  std::string activation;
  bool absolute, relative, shared_relative, mean_pooling, layer_scale;
  // Newer versions take a table of distances, which is stored row by row, for one of its transposed shape before they
  // resample it. It tells where the grid is no square, and a model from there has learned with it.
  bool columns_first;
  int64_t labels;
  Extent grid;  // of patches, for which positions were trained
};

class BeitEncoder {
 public:
  explicit BeitEncoder(BeitConfig config) : c(std::move(config)) {}

  struct States {
    std::vector<Value> all;  ///< what each layer reads, and what the last one yields: f[batch, 1 + patches, hidden]
    Value size;              ///< i64[2], rows and columns of the patches
  };
  /// pixels: f[batch, channels, height, width] -> tokens, the class token and then the patches row by row.
  States operator()(const Scope& beit, const Value& pixels) const {
    Graph& g = beit.graph();
    g.unused("*relative_position_index");
    const Scope embeddings = beit / "embeddings";
    g.unused("*" + (embeddings / "mask_token").path());
    const Patches made = patch_stem(embeddings, pixels,
                                    {.width = c.hidden,
                                     .patch = c.patch,
                                     .channels = c.channels,
                                     .first_tokens = {"cls_token"},
                                     .positions = c.absolute ? "position_embeddings" : "",
                                     .grid = c.grid});
    Distances patches{made.size, {}, {}};
    if (c.relative || c.shared_relative) patches.index = relative_index(beit / "encoder", made.image);
    Value x = made.tokens;
    States states{{g.mark("hidden_states.0", x)}, made.size};
    if (c.shared_relative) patches.shared = relative_bias(beit / "encoder.relative_position_bias", patches);
    for (int64_t i = 0; i < c.layers; ++i) {
      const Scope layer = beit / "encoder.layer" / i;
      x = transformer_layer(layer, x, form(),
                            {.bias = bias_of(layer / "attention.attention", patches),
                             .probabilities = "attentions." + std::to_string(i)});
      states.all.push_back(g.mark("hidden_states." + std::to_string(i + 1), x));
    }
    return states;
  }

  const BeitConfig c;

 private:
  // What depends on how many patches an image has.
  struct Distances {
    Value size;    // i64[2], rows and columns
    Value index;   // i64[sequence, sequence], see relative_index
    Value shared;  // the bias of all layers, f32[1, heads, sequence, sequence], or absent
  };

  // Both halves of a layer are normed before, and scaled by a learnt factor a channel. Keys have no bias.
  TransformerLayer form() const {
    const auto scaled = [&](const char* factor) { return c.layer_scale ? factor : ""; };
    return {
        .attention_at = "attention",
        .feed_forward_at = "",
        .attention = {.heads = c.heads,
                      .head_size = c.hidden / c.heads,
                      .projections = {.query = "attention.query",
                                      .key = "attention.key",
                                      .value = "attention.value",
                                      .output = "output.dense",
                                      .bias = {.query = true, .key = false, .value = true, .output = true}}},
        .feed_forward = {.inner = c.inner,
                         .activation = c.activation,
                         .up = "intermediate.dense",
                         .down = "output.dense",
                         .bias = true},
        .attention_branch = {.norm = {.epsilon = c.epsilon}, .name = "layernorm_before", .factor = scaled("lambda_1")},
        .feed_forward_branch = {
            .norm = {.epsilon = c.epsilon}, .name = "layernorm_after", .factor = scaled("lambda_2")}};
  }

  // What a layer adds to its scores: a bias of its own, that of all layers, or both; absent without either.
  Value bias_of(const Scope& self, const Distances& patches) const {
    if (!c.relative) return patches.shared;
    const Value own = relative_bias(self / "relative_position_bias", patches);
    return patches.shared ? own + patches.shared : own;
  }

  // Which entry of a table holds the bias between two tokens: 0 from the class token, 1 to it, 2 to itself, and from 3
  // on the distance between two patches, (Δrow + rows - 1) · (2 · columns - 1) + Δcolumn + columns - 1.
  static Value relative_index(const Scope& s, const Value& image) {
    Graph& g = s.graph();
    const Value rows = size_of(image.in(s), 2), columns = size_of(image.in(s), 3);
    const Value stride = columns * 2 - 1;
    // A patch's place in that order; the difference of two is their distance.
    const Value places = reshape(unsqueeze(range(rows) * stride, {1}) + unsqueeze(range(columns), {0}), {-1});
    const Value all = concat({g.integers({0}), places}, 0);
    const Value zero_distance = (rows - 1) * stride + columns + 2;
    const Value distance = unsqueeze(all, {1}) - unsqueeze(all, {0}) + zero_distance;
    const Value is_class = equal(range(size_of(all, 0)), 0);
    const Value from_class = unsqueeze(is_class, {1}), to_class = unsqueeze(is_class, {0});
    return where(from_class, where(to_class, g.integer(2), g.integer(0)), where(to_class, g.integer(1), distance));
  }

  // The bias of every pair of tokens, from a table of distances that is resampled where the image has another size than
  // the model was trained for: f32[1, heads, sequence, sequence].
  Value relative_bias(const Scope& s, const Distances& patches) const {
    Extent distances(2 * c.grid.height - 1, 2 * c.grid.width - 1);
    if (c.columns_first) std::swap(distances.height, distances.width);
    const int64_t count = distances.area();
    const Value table = unsqueeze(s.weight("relative_position_bias_table", {count + 3, c.heads}), {0});
    const Value trained = image_of(slice(table, {1, 0, count}), distances);
    const Value resampled = interpolate(trained, patches.size * 2 - 1, Interpolation::bilinear);
    const Value rows = concat({slice(table, {1, count}), tokens_of(resampled)}, 1);
    return transpose(gather(rows, patches.index, 1), {0, 3, 1, 2});
  }
};

/// Four layers, all of one size, as a pyramid: four times as large, twice, as they are, and half. Source: BeitBackbone
/// and BeitForSemanticSegmentation.
inline std::vector<Value> beit_pyramid(const Scope& s, std::vector<Value> maps, double epsilon = 1e-5) {
  const auto doubled = [&](const Scope& at, const Value& x) {
    return conv_transpose2d(at, x, {.out = x.fixed(1), .kernel = 2, .stride = 2});
  };
  const Value finer = batch_norm(s / "fpn1.1", doubled(s / "fpn1.0", maps[0]), epsilon);
  maps[0] = doubled(s / "fpn1.3", activation(finer, "gelu"));
  maps[1] = doubled(s / "fpn2.0", maps[1]);
  maps[3] = max_pool(maps[3], {.kernel = 2, .stride = 2});
  return maps;
}

/// How BEiT is a backbone: which of its layers are read, whether as images, and whether those are scaled.
struct BeitStages {
  std::vector<size_t> read;
  bool as_images = true;
  bool scaled = false;
  double epsilon = 1e-5;  ///< of the norm of what is scaled
};
inline sdk::Backbone beit_backbone_of(BeitConfig config, const BeitStages& stages) {
  return [=, encoder = BeitEncoder(std::move(config))](const Scope& at, const Value& pixels) {
    const Scope beit = first_with("embeddings.cls_token", {at, at / "beit"});  // the latter as of version 5
    at.graph().unused((beit / "layernorm").path() + ".*");
    const BeitEncoder::States states = encoder(beit, pixels);
    FeatureMaps made{picked(states.all, stages.read), states.size};
    for (Value& map : made.stages) {
      if (stages.as_images) map = image_of(slice(map, {1, 1}), states.size);
    }
    if (stages.scaled) made = {beit_pyramid(at, made.stages, stages.epsilon)};
    return made;
  };
}
inline sdk::Backbone beit_backbone(const Config& c) {
  const BeitConfig config(c);
  BeitStages stages{.read = sdk::stages_read(c, static_cast<size_t>(config.layers)),
                    .as_images = c.boolean("reshape_hidden_states", true),
                    .scaled = c.boolean("add_fpn", false)};
  // Version 5 has this number no more, and takes the usual one.
  const double epsilon = c.real("batch_norm_eps", stages.epsilon);
  if (c.written_before(5, 0)) stages.epsilon = epsilon;
  if (stages.scaled && (!stages.as_images || stages.read.size() != 4)) {
    throw Error(ONNXPORT_CONFIG, "config field 'add_fpn' is true with " + std::to_string(stages.read.size()) +
                                     " stages; expected 4 in out_indices, and reshape_hidden_states: true");
  }
  return beit_backbone_of(config, stages);
}

}  // namespace onnxport::family
