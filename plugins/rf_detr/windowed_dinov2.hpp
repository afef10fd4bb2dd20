// SPDX-License-Identifier: Apache-2.0
// DINOv2 as RF-DETR sees through it: an image is cut into windows, each with a class token of its own, and layers
// attend within a window but for those in which all windows are one sequence. Source: RfDetrDinov2Backbone,
// transformers 5.24 (modeling_rf_detr.py).
#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include <onnxport/families/dinov2.hpp>

namespace onnxport::rf_detr {

using namespace onnxport::family;

class WindowedDinov2 {
 public:
  /// What modules of a layer are called.
  struct Names {
    const char *query, *key, *value, *output;
  };
  /// Of a checkpoint of RF-DETR, which the library translates, and of the backbone by itself.
  static constexpr Names within{"attention.query", "attention.key", "attention.value", "output.dense"};
  static constexpr Names alone{"q_proj", "k_proj", "v_proj", "o_proj"};

  /// `c`: the config of the model that sees through it. Throws UNSUPPORTED where that does not see images.
  static WindowedDinov2 of_detector(const Config& c) {
    const WindowedDinov2 made(c.section("backbone_config"), within, c.has("backbone_config"));
    if (made.as_images) return made;
    throw Error(ONNXPORT_UNSUPPORTED,
                "config field 'backbone_config.reshape_hidden_states' is false, with which the original fails; "
                "expected true: stages are images");
  }
  /// By itself, of its own config.
  static WindowedDinov2 by_itself(const Config& own) { return WindowedDinov2(own, alone, true); }

  /// The stages that are read: f[batch, channels, height, width] -> f[batch, hidden, rows, columns] each, or what the
  /// layers yield, f[batch·windows², 1 + patches of a window, hidden].
  std::vector<Value> operator()(const Scope& s, const Value& pixels) const {
    const Patches patches = vit.embed(s / "embeddings", pixels);
    const Cut cut{shape_of(pixels, 0, 1), patches.size};
    std::vector<Value> states;
    const auto layer = [&](int64_t i) {
      TransformerLayer form = vit.layer();
      auto& projections = form.attention.projections;
      projections.query = names.query;
      projections.key = names.key;
      projections.value = names.value;
      projections.output = names.output;
      if (vit.c.gated) {
        form.feed_forward.gate_up.clear();
        form.feed_forward.gate = "gate_proj";
        form.feed_forward.down = "down_proj";
      }
      if (windows > 1 && sees_all(i)) {
        form.own_attention = [&, block = form.attention](const Scope& module, const Value& x, const Attended& given) {
          const Value all = reshape(x, concat({cut.batch, module.graph().integers({-1, vit.c.hidden})}, 0));
          return reshape(attend(module, all, block, given), shape_of(x, 0, 3));
        };
      }
      return form;
    };
    const LayerStack stack{.count = vit.c.layers, .layer = layer, .states = &states};
    transformer_layers(s / "encoder.layer", into_windows(patches.tokens, cut), stack, {});
    if (!normed) s.graph().unused((s / "layernorm").path() + ".*");
    std::vector<Value> maps;
    for (const Value& state : picked(states, read)) {
      const Value map = normed ? vit.normed(s, state) : state;
      maps.push_back(as_images ? out_of_windows(map, cut) : map);
    }
    return maps;
  }

  /// Pixels that an image's sides are multiples of.
  Extent step() const { return {vit.c.patch.height * windows, vit.c.patch.width * windows}; }
  const Extent& patch() const { return vit.c.patch; }
  size_t stages() const { return read.size(); }
  bool yields_windows() const { return !as_images && windows > 1; }

 private:
  WindowedDinov2(const Config& own, const Names& called, bool described)
      : vit(config(own, described)),
        read(described ? stages_read(own, static_cast<size_t>(vit.c.layers)) : std::vector<size_t>{2, 5, 8, 11}),
        windows(own.size("num_windows", 4)),
        normed(own.boolean("apply_layernorm", true)),
        as_images(own.boolean("reshape_hidden_states", true)),
        names(called) {
    // Which layers attend within windows follows from the stages that are read.
    own.no_effect({"window_block_indexes", "num_register_tokens"});
    own.choice("model_type", "rf_detr_dinov2", {"rf_detr_dinov2"});
  }
  static Dinov2Config config(const Config& own, bool described) {
    Dinov2Config made(own, {"rf_detr_dinov2", 14, -1, true});
    if (described) return made;
    made.hidden = 384;
    made.heads = 6;
    made.inner = 4 * made.hidden;
    made.image = 518;
    made.grid = made.image.height / made.patch.height;
    return made;
  }
  /// Stages are numbered from 1, and layers from 0; the original takes the ones' numbers for the others'.
  bool sees_all(int64_t layer) const {
    const auto number = static_cast<size_t>(layer);
    return number > read.back() || std::find(read.begin(), read.end(), number) != read.end();
  }

  /// What is cut: how many images, i64[1], and rows and columns of an image's patches, i64[2].
  struct Cut {
    Value batch, size;
  };
  // Of an image that is no square the original takes the columns of a window for its rows.
  // f[batch, 1 + rows·columns, n] -> f[batch·windows², 1 + rows·columns / windows², n]
  Value into_windows(const Value& tokens, const Cut& cut) const {
    if (windows == 1) return tokens;
    Graph& g = tokens.graph();
    const int64_t width = tokens.fixed(2);
    const Value side = g.integers({windows}), sides = cut.size / side;
    const Value rows = slice(sides, {0, 0, 1}), columns = slice(sides, {0, 1, 2});
    const Value apart = concat({cut.batch, side, columns, side, rows, g.integers({width})}, 0);
    const int64_t count = windows * windows;
    const Value cells = transpose(reshape(slice(tokens, {1, 1}), apart), {0, 1, 3, 2, 4, 5});
    const Value patches = reshape(cells, concat({cut.batch, g.integers({count, -1, width})}, 0));
    const Value first = expand(unsqueeze(slice(tokens, {1, 0, 1}), {1}), {1, count, 1, 1});
    const Value all = concat({first, patches}, 2);
    return reshape(all, concat({cut.batch * g.integers({count}), g.integers({-1, width})}, 0));
  }
  // f[batch·windows², 1 + rows·columns / windows², n] -> f[batch, n, rows, columns]
  Value out_of_windows(const Value& x, const Cut& cut) const {
    const Value patches = slice(x, {1, 1});
    if (windows == 1) return image_of(patches, cut.size);
    Graph& g = x.graph();
    const Value side = g.integers({windows}), width = g.integers({x.fixed(2)});
    const Value apart = concat({cut.batch, side, side, cut.size / side, width}, 0);
    const Value image = transpose(reshape(patches, apart), {0, 1, 3, 2, 4, 5});
    return channels_first(reshape(image, concat({cut.batch, cut.size, width}, 0)));
  }

  const Dinov2Encoder vit;
  const std::vector<size_t> read;
  const int64_t windows;  // on a side
  const bool normed, as_images;
  const Names names;
};

}  // namespace onnxport::rf_detr
