// SPDX-License-Identifier: Apache-2.0
// Gemma 4's encoder of images: patches of images of any shape, padded to the longest, of which each square of some on a
// side becomes one vector. Source: Gemma4VisionModel and Gemma4MultimodalEmbedder, transformers 5.24.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include <onnxport/blocks/layer.hpp>
#include <onnxport/inputs.hpp>
#include <onnxport/rotary.hpp>
#include <onnxport/selection.hpp>

namespace onnxport::family {

using namespace onnxport::sdk;

/// x: f[..., n] -> f[..., out], without bias. Weights: linear.weight f[out, n], and where it clips input_min,
/// input_max, output_min and output_max f[]. Source: Gemma4ClippableLinear, transformers 5.24.
inline Value clippable_linear(const Scope& s, const Value& x, int64_t out, bool clips) {
  const auto within = [&](const Value& y, const std::string& side) {
    return s.op("Min", {s.op("Max", {y, s.weight(side + "_min", {})}), s.weight(side + "_max", {})});
  };
  const Value y = linear(s / "linear", clips ? within(x, "input") : x, {.out = out, .bias = false});
  return (clips ? within(y, "output") : y).in(s.parent());
}

/// What a model reads of images or sound, as vectors of its texts: f[..., n] -> f[..., text width]. Source:
/// Gemma4MultimodalEmbedder, transformers 5.24.
inline Value gemma4_embedder(const Scope& s, const Value& x, int64_t width, double epsilon) {
  const Norm plain{.kind = Norm::Kind::rms, .epsilon = epsilon, .weight = false};
  return linear(s / "embedding_projection", norm(s / "embedding_pre_projection_norm", x, plain),
                {.out = width, .bias = false});
}

struct Gemma4Vision {
  explicit Gemma4Vision(const Config& c)
      : hidden(c.size("hidden_size", 768)),
        inner(c.size("intermediate_size", 3072)),
        layers(c.count("num_hidden_layers", 16)),
        heads(c.size("num_attention_heads", 12)),
        kv_heads(c.size("num_key_value_heads", 12)),
        head_size(c.size("head_dim", 64)),
        patch(c.size("patch_size", 16)),
        side(c.size("pooling_kernel_size", 3)),
        positions(c.size("position_embedding_size", 10240)),
        activation(c.text("hidden_activation", "gelu_pytorch_tanh")),
        rms{.kind = Norm::Kind::rms, .epsilon = c.real("rms_norm_eps", 1e-6)},
        theta(c.section("rope_parameters").real("rope_theta", 100)),
        clips(c.boolean("use_clipped_linears", false)),
        standardizes(c.boolean("standardize", false)) {
    // Projections have none, whatever is stated; places are bounded by the table.
    c.no_effect({"attention_bias", "max_position_embeddings"});
    require_multiple({"vision_config.num_attention_heads", heads}, {"num_key_value_heads", kv_heads});
    require_multiple({"vision_config.head_dim", head_size}, {"rows' and columns' pairs", 4});
    (void)c.section("rope_parameters").choice("rope_type", "axial", {"axial", "default"});
    if (side == 1) {
      throw Error(ONNXPORT_UNSUPPORTED,
                  "config field 'vision_config.pooling_kernel_size' is 1, with which the original keeps the padding in "
                  "place of the patches; expected more");
    }
  }
  int64_t hidden, inner, layers, heads, kv_heads, head_size, patch, side, positions;
  std::string activation;
  Norm rms;
  double theta;
  bool clips, standardizes;

  /// How many patches become one vector.
  int64_t pooled() const { return side * side; }

  /// pixels: f[images, patches, 3·patch²], places: i64[images, patches, 2], columns and rows, below 0 where a patch is
  /// padding -> the vectors of all images in one row, f[n, hidden]. In whole images a vector has all of its patches.
  Value operator()(const Scope& s, const Value& pixels, const Value& places) const {
    Graph& g = s.graph();
    const Scope module = s / "patch_embedder";
    const Value at = g.op("Max", {places.in(module), g.integer(0)});
    // Black and white are 0 and 1 where it is given them, and -1 and 1 to the layers.
    Value x = linear(module / "input_proj", pixels.in(module)*2.0 - 1.0, {.out = hidden, .bias = false}) +
              place_vectors(module, at);
    const Value counts = g.op("GreaterOrEqual", {largest(places.in(s), {2}), g.integer(0)});  // b[images, patches]
    const Scope encoder = s / "encoder";
    const Value mask = cast(counts, DType::i64);
    const Angles columns = angles(encoder / "rotary_emb", places, 0), rows = angles(encoder / "rotary_emb", places, 1);
    for (int64_t i = 0; i < layers; ++i) {
      g.mark("vision_hidden_states." + std::to_string(i), x);
      x = layer(
          encoder / "layers" / i, x.in(encoder),
          {.mask = mask, .columns = columns, .rows = rows, .probabilities = "vision_attentions." + std::to_string(i)});
    }
    return pool(s / "pooler", x, {.at = at, .counts = counts}).in(s);
  }

  /// Patches of `count` images, of one shape each, as dummies: i64[count, patches, 2].
  DummyTensor dummy_places(const std::string& name, int64_t count, int64_t patches) const {
    const int64_t columns = std::max<int64_t>(side, patches / side);
    std::vector<int64_t> places;
    for (int64_t i = 0; i < count * patches; ++i) {
      const int64_t patch_index = i % patches;
      places.insert(places.end(), {patch_index % columns, patch_index / columns});
    }
    return DummyTensor::of(name, DType::i64, {count, patches, 2}, places);
  }

 private:
  /// What all layers are given.
  struct Around {
    Value mask;            // i64[images, patches]
    Angles columns, rows;  // f[images, patches, head size/4]
    std::string probabilities;
  };
  struct Places {
    Value at;      // i64[images, patches, 2], from 0
    Value counts;  // b[images, patches]
  };

  /// The sum of a learnt vector of the column and one of the row.
  Value place_vectors(const Scope& s, const Value& at) const {
    const Value table = reshape(s.weight("position_embedding_table", {2, positions, hidden}), {2 * positions, hidden});
    const Value both = s.composite("Embedding", {table, at + s.graph().integers({0, positions})});
    return sum(both, {2});
  }

  Angles angles(const Scope& s, const Value& places, int64_t axis) const {
    Graph& g = s.graph();
    std::vector<float> frequencies;
    const int64_t half = head_size / 2;
    for (int64_t i = 0; i < half; i += 2)
      frequencies.push_back(static_cast<float>(std::pow(theta, -static_cast<double>(i) / static_cast<double>(half))));
    const Value table = g.constant<float>(DType::f32, {static_cast<int64_t>(frequencies.size())}, frequencies);
    const Value turned = unsqueeze(cast(pick(places.in(s), 2, axis), DType::f32), {2}) * table;
    return {g.op("Cos", {turned}), g.op("Sin", {turned})};
  }

  Value layer(const Scope& s, Value x, const Around& around) const {
    x = residual(s, x, {Placement::around, rms, "input_layernorm", "post_attention_layernorm"},
                 [&](const Value& h) { return attend(s / "self_attn", h, around); });
    return residual(s, x, {Placement::around, rms, "pre_feedforward_layernorm", "post_feedforward_layernorm"},
                    [&](const Value& h) { return feed(s / "mlp", h); });
  }

  /// Half of a head turns by the column, the other one by the row.
  Value attend(const Scope& s, const Value& x, const Around& around) const {
    Norm plain = rms;
    plain.weight = false;
    const auto made = [&](const char* projection, const char* normed, int64_t count, const Norm& form) {
      const Value projected = clippable_linear(s / projection, x, count * head_size, clips);
      return norm(s / normed, split_heads(projected, count), form);
    };
    const auto turned = [&](const Value& y) {
      const auto [by_column, by_row] = split_at(y, head_size / 2);
      return concat({rotate(by_column, around.columns), rotate(by_row, around.rows)}, 3);
    };
    const Value query = turned(made("q_proj", "q_norm", heads, rms));
    const Value key = turned(made("k_proj", "k_norm", kv_heads, rms));
    const Value mixed = attention(query, key, made("v_proj", "v_norm", kv_heads, plain),
                                  {.heads = heads,
                                   .kv_heads = kv_heads,
                                   .scale = 1,
                                   .mask = around.mask,
                                   .probabilities = around.probabilities})
                            .mixed;
    return clippable_linear(s / "o_proj", mixed, hidden, clips);
  }

  Value feed(const Scope& s, const Value& x) const {
    const Value gate = sdk::activation(clippable_linear(s / "gate_proj", x, inner, clips), activation);
    return clippable_linear(s / "down_proj", gate * clippable_linear(s / "up_proj", x, inner, clips), hidden, clips);
  }

  /// Means of squares of patches, of which those that hold none are left out.
  Value pool(const Scope& s, const Value& x, const Places& places) const {
    Graph& g = s.graph();
    const auto over = [&](const Value& a) { return g.op("Div", {a, g.integer(side)}); };
    const Value column = pick(places.at.in(s), 2, 0), row = pick(places.at.in(s), 2, 1);
    const Value width = over(largest(column, {1}, true) + g.integer(1));
    const Value square = over(column) + width * over(row);  // i64[images, patches]
    const Value count = named_length(s, g.op("Div", {size_of(x, 1), g.integer(pooled())}));
    const Value within = g.op("And", {equal(unsqueeze(square, {1}), unsqueeze(range(count), {0, 2})),
                                      unsqueeze(places.counts, {1})});  // b[images, squares, patches]
    const Value shares = cast(within, DType::f32);
    const Value means = matmul(shares, x) * (std::sqrt(static_cast<double>(hidden)) / static_cast<double>(pooled()));
    const Value held = g.op("NonZero", {reshape(largest(shares, {2}), {-1})});
    const Value rows = gather(reshape(means, {-1, hidden}), reshape(held, {-1}));
    if (!standardizes) return rows;
    const Scope model = s.parent();
    return (rows - model.weight("std_bias", {hidden})) * model.weight("std_scale", {hidden});
  }
};

}  // namespace onnxport::family
