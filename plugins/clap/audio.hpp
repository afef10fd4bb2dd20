// SPDX-License-Identifier: Apache-2.0
// CLAP's tower of sounds: a spectrogram, folded into a square, and Swin over that. Source: ClapAudioModel,
// transformers 4.30, 4.57 and 5.24.
#pragma once

#include <onnxport/blocks/stem.hpp>
#include <onnxport/blocks/window_layer.hpp>
#include <onnxport/image_encoder.hpp>
#include <onnxport/plugin.hpp>

namespace clap {

using namespace onnxport::sdk;

inline constexpr const char* frames = "frames";

struct AudioConfig {
  explicit AudioConfig(const Config& c)
      : mels(c.size("num_mel_bins", 64)),
        side(c.size("spec_size", 256)),
        patch(extent(c, "patch_size", 4)),
        stride(extent(c, "patch_stride", 4)),
        channels(c.size("patch_embed_input_channels", 1)),
        embedding(c.size("patch_embeds_hidden_size", 96)),
        depths(by_stage(c, "depths", {2, 2, 6, 2}, 1)),
        heads(by_stage(c, "num_attention_heads", {4, 8, 16, 32}, depths.size())),
        window(c.size("window_size", 8)),
        ratio(c.real("mlp_ratio", 4)),
        qkv_bias(c.boolean("qkv_bias", true)),
        activation(c.text("hidden_act", "gelu")),
        epsilon(c.real("layer_norm_eps", 1e-5)),
        normed_patches(c.boolean("enable_patch_layer_norm", true)),
        fuses(c.boolean("enable_fusion", false)) {
    require_at_most({"num_mel_bins", mels}, {"spec_size", side});
    folds = side / mels;
    require_multiple({"spec_size", side}, {"the times that a spectrogram is folded", folds});
    if (depths.size() > 20) throw Error(ONNXPORT_CONFIG, "config field 'depths' has more than 20 entries");
    const int64_t halvings = int64_t{1} << (depths.size() - 1);
    for (const int64_t step : {stride.height, stride.width})
      require_multiple({"spec_size", side}, {"patch_stride, doubled by every stage behind the first", step * halvings});
    for (size_t i = 0; i < depths.size(); ++i) {
      require_multiple({"width of a stage", width(i)}, {"num_attention_heads", heads[i]});
      const Extent grid = grid_of(i);
      require_at_most({"window_size", window}, {"a side of a stage's patches", std::min(grid.height, grid.width)});
    }
    const int64_t rows = grid_of(depths.size() - 1).height;
    require_at_most({"the times that a spectrogram is folded", folds}, {"rows of the last stage's patches", rows});
    require_multiple({"rows of the last stage's patches", rows}, {"those of each fold", rows / folds});
    if (!c.boolean("flatten_patch_embeds", true)) {
      throw Error(
          ONNXPORT_UNSUPPORTED,
          "config field 'flatten_patch_embeds' is false; with patches that stay an image the original class fails");
    }
    if (fuses) {
      reduced = embedding / c.size("aff_block_r", 4);
      if (c.text("fusion_type", "") == "channel_map") {
        throw Error(ONNXPORT_UNSUPPORTED,
                    "config field 'fusion_type' is \"channel_map\"; with it the original class fails");
      }
      require_equal({"patch_embed_input_channels", channels}, {"that of a fused recording", 1});
    }
    // Of training, of a head that is no more, and what follows from the stages.
    c.no_effect({"num_classes", "drop_path_rate", "hidden_size", "num_hidden_layers", "initializer_factor",
                 "aff_block_r", "fusion_type"});
  }
  int64_t width(size_t stage) const { return embedding << stage; }
  Extent grid_of(size_t stage) const {
    const int64_t by = int64_t{1} << stage;
    return {side / stride.height / by, side / stride.width / by};
  }

  int64_t mels, side;
  int64_t folds = 1;  // as many pieces of a spectrogram lie below each other in the square
  Extent patch, stride;
  int64_t channels, embedding;
  std::vector<int64_t> depths, heads;
  int64_t window;
  double ratio;
  bool qkv_bias;
  std::string activation;
  double epsilon;
  bool normed_patches;
  bool fuses;           // long recordings as a whole with three of their parts
  int64_t reduced = 0;  // width within what fuses
};

/// The whole of a recording and three of its parts.
inline constexpr int64_t views = 4;

struct AudioTower {
  const AudioConfig c;

  /// `batch`: the name of the axis.
  std::vector<TensorSpec> inputs(const char* batch) const {
    const int64_t channels = c.fuses ? views : c.channels;
    std::vector<TensorSpec> specs{input::features("input_features", {batch, channels, frames, c.mels})};
    if (c.fuses) specs.push_back({"is_longer", DType::boolean, {batch, 1}});
    return specs;
  }
  std::vector<AxisSize> sizes() const {
    const int64_t longest = c.side * c.folds;
    return {{.axis = frames, .usual = longest, .minimum = 2, .maximum = longest}};
  }

  struct Encoding {
    Value hidden;  // f[batch, width, rows of a fold, columns of all folds]
    Value pooled;  // f[batch, width]
  };
  Encoding encode(const Scope& model, const Inputs& in) const {
    const Scope s = model / "audio_encoder";
    Graph& g = s.graph();
    g.unused("*relative_position_index");
    g.unused("*attn_mask");
    const Value image = fold(s, in.at("input_features"));
    Value x = tokens_of(patches(s / "patch_embed", image, in.maybe("is_longer")));
    if (c.normed_patches) x = norm(s / "patch_embed.norm", x, {});
    g.mark("hidden_states.0", x);
    for (size_t i = 0; i < c.depths.size(); ++i) {
      x = stage(s / "layers" / static_cast<int64_t>(i), x, i);
      g.mark("hidden_states." + std::to_string(i + 1), x);
    }
    return summarise(norm(s / "norm", x.in(s), {}));
  }

 private:
  // Normed by each bin, stretched to the longest and cut into pieces, which are laid below each other, bins first:
  // f[batch, channels, frames, mels] -> f[batch, channels, side, side]
  Value fold(const Scope& s, const Value& features) const {
    Graph& g = s.graph();
    Value x = transpose(batch_norm(s / "batch_norm", transpose(features.in(s), {0, 3, 2, 1})), {0, 3, 2, 1});
    const int64_t bins = c.side / c.folds, channels = features.fixed(1);
    x = interpolate(x, g.integers({c.side * c.folds, bins}), {.how = Interpolation::bicubic, .align_corners = true});
    x = transpose(reshape(x, {-1, channels * c.folds, c.side, bins}), {0, 1, 3, 2});
    return reshape(x, {-1, channels, c.side, c.side});
  }

  // image: f[batch, channels, side, side], longer: b[batch, 1] -> f[batch, embedding, rows, columns]
  Value patches(const Scope& s, const Value& image, const Value& longer) const {
    const Extent border{(c.patch.height - c.stride.height) / 2, (c.patch.width - c.stride.width) / 2};
    const auto project = [&](const Value& x) {
      return conv2d(s / "proj", x, {.out = c.embedding, .kernel = c.patch, .stride = c.stride, .padding = border});
    };
    if (!c.fuses) return project(image);
    const Value whole = project(slice(image, {1, 0, 1}));
    const Value parts = conv2d(s / "mel_conv2d", reshape(slice(image, {1, 1}), {-1, 1, c.side, c.side}),
                               {.out = c.embedding,
                                .kernel = {c.patch.height, 3 * c.patch.width},
                                .stride = {c.stride.height, 3 * c.stride.width},
                                .padding = border});
    return where(unsqueeze(longer, {2, 3}), fuse(s / "fusion_model", whole, side_by_side(parts, whole.fixed(3))),
                 whole);
  }

  // Three parts of each recording, one behind the other: f[3·batch, n, rows, columns] -> f[batch, n, rows, `columns`],
  // with zeros where they leave off.
  static Value side_by_side(const Value& parts, int64_t columns) {
    const int64_t rows = parts.fixed(2), each = parts.fixed(3), all = (views - 1) * each;
    const Value apart = reshape(parts, {-1, views - 1, parts.fixed(1), rows, each});
    const Value row = reshape(transpose(apart, {0, 2, 3, 1, 4}), {0, 0, 0, all});
    return all > columns ? slice(row, {3, 0, columns}) : pad(row, {{3, 0, columns - all}});
  }

  // Shares of two images, told by what lies around each place and by the mean of all: f[batch, n, rows, columns].
  Value fuse(const Scope& s, const Value& whole, const Value& parts) const {
    const auto through = [&](const Scope& layers, int64_t first, const Value& x) {
      const auto conv = [&](int64_t i, const Value& y, int64_t out) {
        return batch_norm(layers / (first + i + 1), conv2d(layers / (first + i), y, {.out = out}));
      };
      return conv(3, relu(conv(0, x, c.reduced)), c.embedding).in(s);
    };
    const Value both = whole + parts;
    const Value share =
        sigmoid(through(s / "local_att", 0, both) + through(s / "global_att", 1, global_average_pool(both)));
    return whole * share * 2.0 + parts * (1.0 - share) * 2.0;
  }

  // x: f[batch, rows·columns, width] -> f[batch, a fourth, 2·width], and of the last stage the same
  Value stage(const Scope& s, Value x, size_t index) const {
    Graph& g = s.graph();
    const Extent size = c.grid_of(index);
    const TokenGrid grid{g.integer(size.height), g.integer(size.width)};
    const WindowLayer form{c.heads[index], static_cast<int64_t>(c.ratio * static_cast<double>(c.width(index))),
                           c.activation, c.qkv_bias, c.epsilon};
    // A single window is not shifted.
    const int64_t shift = std::min(size.height, size.width) > c.window ? c.window / 2 : 0;
    const Windows plain = windows_over(grid, {.size = c.window});
    const Windows shifted = shift == 0 ? plain : windows_over(grid, {.size = c.window, .shift = g.integer(shift)});
    for (int64_t i = 0; i < c.depths[index]; ++i)
      x = window_layer(s / "blocks" / i, x, form, i % 2 == 0 ? plain : shifted);
    if (index + 1 == c.depths.size()) return x;
    const Scope merger = s / "downsample";
    const Value merged = norm(merger / "norm", merge_neighbours(x.in(merger), grid), {});
    return linear(merger / "reduction", merged, {.out = c.width(index + 1), .bias = false});
  }

  // Folds are laid side by side again: f[batch, rows·columns, width].
  Encoding summarise(const Value& x) const {
    const Extent grid = c.grid_of(c.depths.size() - 1);
    const int64_t width = x.fixed(2), rows = grid.height / c.folds;
    const Value folded = reshape(transpose(x, {0, 2, 1}), {0, width, grid.height / rows, rows, grid.width});
    const Value hidden = reshape(transpose(folded, {0, 1, 3, 2, 4}), {0, width, rows, -1});
    return {hidden, mean(hidden, {2, 3})};
  }
};

}  // namespace clap
