// SPDX-License-Identifier: Apache-2.0
// The encoders of images of Qwen2-VL, Qwen2.5-VL and Qwen3-VL. Source: Qwen2VisionTransformerPretrainedModel,
// Qwen2_5_VisionTransformerPretrainedModel and Qwen3VLVisionModel, transformers 5.24.
#pragma once

#include <cmath>
#include <set>
#include <string>
#include <vector>

#include <onnxport/blocks/layer.hpp>
#include <onnxport/blocks/packed_images.hpp>
#include <onnxport/plugin.hpp>

namespace qwen_vl {

using namespace onnxport::sdk;

/// How many patches an image has along each axis, as an input of the whole model.
inline constexpr const char* whole_grid = "image_grid_thw";

/// What a generation does otherwise, and its config class's defaults.
struct Generation {
  const char* type;
  const char* text_type;
  const char* width_field;  // of the encoder
  const char* out_field;    // of what it yields
  bool rms_norms = false, gated = false, windows = false;
  bool positions = false;  // learnt ones, resampled, beside the turn
  bool deep = false;       // further vectors from between the layers
  /// The modules of the text as files call them: today's, and what they were or will be called.
  const char *text_at = "model.", *text_also = "model.language_model.";
  bool plain_text = false;               // the text's type has positions of one axis where it stands alone
  const char* client_grid = whole_grid;  // what clients that put images among words give its encoder as a grid
  int64_t image_token = 151655;
  int64_t depth = 32, width = 1280, patch = 14, inner = 0;
  const char* activation = "quick_gelu";
};
/// Qwen3-VL's, of which only the text's type differs.
constexpr Generation qwen3_vl(const char* type, const char* text_type) {
  return {.type = type,
          .text_type = text_type,
          .width_field = "hidden_size",
          .out_field = "out_hidden_size",
          .positions = true,
          .deep = true,
          .text_at = "model.language_model.",
          .text_also = "model.",
          .depth = 27,
          .width = 1152,
          .patch = 16,
          .inner = 4304,
          .activation = "gelu_pytorch_tanh"};
}
/// Qwen 3.5's, of which only the text's type differs.
constexpr Generation qwen3_5(const char* type, const char* text_type) {
  return {.type = type,
          .text_type = text_type,
          .width_field = "hidden_size",
          .out_field = "out_hidden_size",
          .positions = true,
          .text_at = "model.language_model.",
          .text_also = "model.",
          .plain_text = true,
          .image_token = 248056,
          .depth = 27,
          .width = 1152,
          .patch = 16,
          .inner = 4304,
          .activation = "gelu_pytorch_tanh"};
}
inline constexpr Generation generations[] = {
    {.type = "qwen2_vl",
     .text_type = "qwen2_vl_text",
     .width_field = "embed_dim",
     .out_field = "hidden_size",
     .client_grid = "grid_thw"},
    {.type = "qwen2_5_vl",
     .text_type = "qwen2_5_vl_text",
     .width_field = "hidden_size",
     .out_field = "out_hidden_size",
     .rms_norms = true,
     .gated = true,
     .windows = true,
     .width = 3584,
     .inner = 3420,
     .activation = "silu"},
    qwen3_vl("qwen3_vl", "qwen3_vl_text"),
    qwen3_vl("qwen3_vl_moe", "qwen3_vl_moe_text"),
    qwen3_5("qwen3_5", "qwen3_5_text"),
    qwen3_5("qwen3_5_moe", "qwen3_5_moe_text"),
};

struct VisionConfig {
  VisionConfig(const Config& c, const Generation& of)
      : depth(c.count("depth", of.depth)),
        width(c.size(of.width_field, of.width)),
        heads(c.size("num_heads", 16)),
        channels(c.size("in_channels", 3)),
        patch(c.size("patch_size", of.patch)),
        frames(c.size("temporal_patch_size", 2)),
        merge(c.size("spatial_merge_size", 2)),
        inner(of.inner == 0 ? static_cast<int64_t>(static_cast<double>(width) * c.real("mlp_ratio", 4))
                            : c.size("intermediate_size", of.inner)),
        out(c.size(of.out_field, 3584)),
        activation(c.text("hidden_act", of.activation)),
        theta(c.section("rope_parameters").real("rope_theta", 10000)),
        window(of.windows ? c.size("window_size", 112) / merge / patch : 0),
        side(of.positions
                 ? static_cast<int64_t>(std::sqrt(static_cast<double>(c.size("num_position_embeddings", 2304))))
                 : 0) {
    require_multiple({"vision_config." + std::string(of.width_field), width}, {"num_heads", heads});
    const std::vector<int64_t> all =
        c.has("fullatt_block_indexes") ? c.integers("fullatt_block_indexes") : std::vector<int64_t>{7, 15, 23, 31};
    if (of.windows) whole.insert(all.begin(), all.end());
    if (of.deep) {
      deep =
          c.has("deepstack_visual_indexes") ? c.integers("deepstack_visual_indexes") : std::vector<int64_t>{8, 16, 24};
    }
    for (const int64_t layer : deep)
      require_at_most({"deepstack_visual_indexes", layer}, {"the last layer", depth - 1});
    if (of.windows && window == 0) {
      throw Error(ONNXPORT_CONFIG, "config field 'window_size' is smaller than spatial_merge_size · patch_size");
    }
  }
  PackedPatch patches() const { return {channels, frames, patch}; }

  int64_t depth, width, heads, channels, patch, frames, merge, inner, out;
  std::string activation;
  double theta;
  int64_t window, side;     // of a window in tokens, of the learnt positions; 0: none
  std::set<int64_t> whole;  // layers that see a whole frame, where the others have windows
  std::vector<int64_t> deep;
};

/// What becomes of images: f[tokens, out], and further vectors of the same form.
struct Seen {
  Value tokens;
  std::vector<Value> deep;
};

class VisionEncoder {
 public:
  VisionEncoder(const Config& c, const Generation& of)
      : of_(of), c_(c.with_names({{"num_heads", "num_attention_heads"}, {"depth", "num_hidden_layers"}}), of) {}
  const VisionConfig& config() const { return c_; }

  /// pixels: f[patches, channels · frames · patch²], grid: i64[images, 3].
  Seen operator()(const Scope& s, const Value& pixels, const Value& grid) const {
    Value x =
        embed_patches(s / "patch_embed.proj", pixels, c_.patches(), {.out = c_.width, .bias = of_.positions}).in(s);
    const PackedPlaces at = packed_places(s / "places", grid, size_of(pixels, 0), c_.merge);
    if (of_.positions) x = x + positions(s / "pos_embed", at).in(s);

    const Value frame = seen_where_equal(s / "frames", {at.image, at.frame});
    const Value window = c_.window == 0 ? Value() : within_windows(s / "windows", at);
    std::vector<Value> states;
    Attended given{.angles = axial_angles(s / "rotary_pos_emb", at, c_.width / c_.heads, c_.theta)};
    x = unsqueeze(x, {0});
    for (int64_t i = 0; i < c_.depth; ++i) {
      given.bias = window && !c_.whole.contains(i) ? window : frame;
      x = transformer_layer(s / "blocks" / i, x, layer(), given);
      states.push_back(x);
    }
    Seen seen{merge(s / "merger", x, false), {}};
    for (size_t i = 0; i < c_.deep.size(); ++i) {
      const Scope merger = s / "deepstack_merger_list" / static_cast<int64_t>(i);
      seen.deep.push_back(merge(merger, states[static_cast<size_t>(c_.deep[i])], true));
    }
    return seen;
  }

 private:
  Norm norm_form() const {
    return of_.rms_norms ? Norm{.kind = Norm::Kind::rms, .epsilon = 1e-6} : Norm{.epsilon = 1e-6};
  }

  TransformerLayer layer() const {
    const bool named = of_.positions;  // Qwen3's layers have names of their own
    return {.attention_at = "attn",
            .attention = {.heads = c_.heads,
                          .head_size = c_.width / c_.heads,
                          .projections = {.packing = Projections::Packing::blocks,
                                          .fused = "qkv",
                                          .output = "proj",
                                          .bias = all_biased}},
            .feed_forward = {.inner = c_.inner,
                             .activation = c_.activation,
                             .up = of_.gated ? "up_proj"
                                   : named   ? "linear_fc1"
                                             : "fc1",
                             .down = of_.gated ? "down_proj"
                                     : named   ? "linear_fc2"
                                               : "fc2",
                             .gate = of_.gated ? "gate_proj" : "",
                             .bias = true},
            .attention_branch = {.norm = norm_form(), .name = "norm1"},
            .feed_forward_branch = {.norm = norm_form(), .name = "norm2"}};
  }

  /// A window is a square of tokens of one frame.
  Value within_windows(const Scope& s, const PackedPlaces& at) const {
    Graph& g = s.graph();
    const Value side = g.integer(c_.window * c_.merge);
    return seen_where_equal(s, {at.image, at.frame, g.op("Div", {at.row, side}), g.op("Div", {at.column, side})});
  }

  /// The learnt square of positions, resampled to each frame's size between its corners: f[patches, width].
  Value positions(const Scope& s, const PackedPlaces& at) const {
    Graph& g = s.graph();
    const Value table = s.weight("weight", {c_.side * c_.side, c_.width});
    struct Taps {
      Value first, second;  // i64[patches]
      Value share;          // f32[patches], of the second
    };
    const auto taps = [&](const Value& place, const Value& size) -> Taps {
      const Value steps = g.op("Max", {size - g.integer(1), g.integer(1)});
      const Value source = cast(place, DType::f32) * static_cast<double>(c_.side - 1) / cast(steps, DType::f32);
      const Value floor = g.op("Floor", {source});
      const Value first = cast(floor, DType::i64);
      return {first, g.op("Min", {first + g.integer(1), g.integer(c_.side - 1)}), source - floor};
    };
    const Taps row = taps(at.row.in(s), at.height), column = taps(at.column.in(s), at.width);
    const Value side = g.integer(c_.side);
    const auto part = [&](const Value& r, const Value& c, const Value& share) {
      return gather(table, r * side + c) * unsqueeze(share, {1});
    };
    const Value up = 1.0 - row.share, left = 1.0 - column.share;
    return part(row.first, column.first, up * left) + part(row.first, column.second, up * column.share) +
           part(row.second, column.first, row.share * left) + part(row.second, column.second, row.share * column.share);
  }

  /// merge² patches side by side, through two layers: f[1, patches, width] -> f[tokens, out]. `after`: the norm stands
  /// behind their union.
  Value merge(const Scope& s, const Value& x, bool after) const {
    const int64_t together = c_.merge * c_.merge * c_.width;
    const char* norm_name = of_.positions ? "norm" : "ln_q";
    const Value read = after ? norm(s / norm_name, reshape(x, {-1, together}), norm_form())
                             : reshape(norm(s / norm_name, x, norm_form()), {-1, together});
    const Value h =
        activation(linear(s / (of_.positions ? "linear_fc1" : "mlp.0"), read.in(s), {.out = together}), "gelu");
    return linear(s / (of_.positions ? "linear_fc2" : "mlp.2"), h, {.out = c_.out});
  }

  const Generation& of_;
  const VisionConfig c_;
};

}  // namespace qwen_vl
