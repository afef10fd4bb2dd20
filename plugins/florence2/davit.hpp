// SPDX-License-Identifier: Apache-2.0
// DaViT: layers that attend within windows, and layers whose channels attend to each other. Source:
// Florence2VisionBackbone, transformers 5.24.
#pragma once

#include <string>
#include <vector>

#include <onnxport/blocks/attention.hpp>
#include <onnxport/blocks/feed_forward.hpp>
#include <onnxport/plugin.hpp>
#include <onnxport/windows.hpp>

namespace florence {

using namespace onnxport::sdk;

struct DavitConfig {
  explicit DavitConfig(const Config& c)
      : channels(c.size("in_channels", 3)),
        widths(list(c, "embed_dim", {128, 256, 512, 1024})),
        depths(list(c, "depths", {1, 1, 9, 1})),
        heads(list(c, "num_heads", {4, 8, 16, 32})),
        groups(list(c, "num_groups", {4, 8, 16, 32})),
        patches(list(c, "patch_size", {7, 3, 3, 3})),
        strides(list(c, "patch_stride", {4, 2, 2, 2})),
        paddings(list(c, "patch_padding", {3, 1, 1, 1})),
        normed_first(c.has("patch_prenorm") ? c.booleans("patch_prenorm") : std::vector<bool>{false, true, true, true}),
        window(c.size("window_size", 12)),
        ratio(c.real("mlp_ratio", 4)),
        bias(c.boolean("qkv_bias", true)),
        activation(c.text("activation_function", "gelu")) {
    const size_t stages = widths.size();
    for (const auto& [name, size] : {std::pair{"depths", depths.size()},
                                     {"num_heads", heads.size()},
                                     {"num_groups", groups.size()},
                                     {"patch_size", patches.size()},
                                     {"patch_stride", strides.size()},
                                     {"patch_padding", paddings.size()},
                                     {"patch_prenorm", normed_first.size()}}) {
      if (size == stages) continue;
      throw Error(ONNXPORT_CONFIG, "config field 'vision_config." + std::string(name) + "' has " +
                                       std::to_string(size) + " entries; expected one for each of the " +
                                       std::to_string(stages) + " of embed_dim");
    }
    for (size_t i = 0; i < stages; ++i) {
      require_multiple({"vision_config.embed_dim", widths[i]}, {"num_heads", heads[i]});
      require_multiple({"vision_config.embed_dim", widths[i]}, {"num_groups", groups[i]});
    }
  }
  int64_t channels;
  std::vector<int64_t> widths, depths, heads, groups, patches, strides, paddings;  // of each stage
  std::vector<bool> normed_first;
  int64_t window;
  double ratio;
  bool bias;
  std::string activation;

 private:
  static std::vector<int64_t> list(const Config& c, const char* field, std::vector<int64_t> otherwise) {
    return c.has(field) ? c.integers(field) : std::move(otherwise);
  }
};

/// What an encoder of images yields.
struct Tokens {
  Value tokens;  // f[batch, rows·columns, width]
  TokenGrid grid;
};

class Davit {
 public:
  explicit Davit(const Config& c) : c_(c) {}
  const DavitConfig& config() const { return c_; }

  /// pixels: f[batch, channels, height, width]
  Tokens operator()(const Scope& s, const Value& pixels) const {
    Value image = pixels;
    Tokens at;
    for (size_t stage = 0; stage < c_.widths.size(); ++stage) {
      image = embed(s / "convs" / static_cast<int64_t>(stage), image, stage);
      at = {tokens_of(image), {size_of(image, 2), size_of(image, 3)}};
      const Windows windows = windows_over(at.grid, {.size = c_.window});
      for (int64_t i = 0; i < c_.depths[stage]; ++i) {
        const Scope block = s / "blocks" / static_cast<int64_t>(stage) / i;
        const Scope spatial = block / "spatial_block", channel = block / "channel_block";
        at.tokens = half(spatial, at, stage,
                         [&](const Value& x) { return attend_within(spatial / "window_attn", x, windows, stage); });
        at.tokens = half(channel, at, stage,
                         [&](const Value& x) { return attend_over_channels(channel / "channel_attn", x, stage); });
      }
      image = image_of(at.tokens, at.grid);
    }
    return at;
  }

 private:
  /// Patches, which overlap: f[batch, n, height, width] -> f[batch, width, rows, columns].
  Value embed(const Scope& s, const Value& image, size_t stage) const {
    const auto normed = [&](const Value& x) { return channels_first(norm(s / "norm", channels_last(x), {})); };
    const bool first = c_.normed_first[stage];
    const Value read = first ? normed(image) : image;
    const Value made = conv2d(s / "conv", read,
                              {.out = c_.widths[stage],
                               .kernel = c_.patches[stage],
                               .stride = c_.strides[stage],
                               .padding = c_.paddings[stage],
                               .in = stage == 0 ? c_.channels : c_.widths[stage - 1]});
    return first ? made : normed(made);
  }

  /// Each token with its eight neighbours, then `attends`; the same before the feed-forward.
  template <class Attends>
  Value half(const Scope& s, const Tokens& at, size_t stage, Attends attends) const {
    const int64_t width = c_.widths[stage];
    const auto neighbours = [&](const char* name, const Value& x) {
      const Value image = image_of(x, at.grid);
      return tokens_of(conv2d(s / name, image, {.out = width, .kernel = 3, .padding = 1, .groups = width}) + image);
    };
    Value x = neighbours("conv1", at.tokens).in(s);
    x = x + attends(norm(s / "norm1", x, {}));
    x = neighbours("conv2", x).in(s);
    const FeedForward form{.inner = static_cast<int64_t>(static_cast<double>(width) * c_.ratio),
                           .activation = c_.activation,
                           .up = "fc1",
                           .down = "fc2",
                           .bias = true};
    return x + feed_forward(s / "ffn", norm(s / "norm2", x, {}), form);
  }

  Value attend_within(const Scope& s, const Value& x, const Windows& windows, size_t stage) const {
    const int64_t width = c_.widths[stage], heads = c_.heads[stage];
    const AttentionBlock block{.heads = heads,
                               .head_size = width / heads,
                               .projections = {.packing = Projections::Packing::blocks,
                                               .fused = "qkv",
                                               .output = "proj",
                                               .bias = {c_.bias, c_.bias, c_.bias, true}}};
    return out_of_windows(attend(s, into_windows(x, windows), block, {}), windows, x);
  }

  /// Channels of a group attend to each other; what they compare is all tokens.
  Value attend_over_channels(const Scope& s, const Value& x, size_t stage) const {
    const int64_t width = c_.widths[stage], groups = c_.groups[stage];
    const std::vector<Value> made =
        split(linear(s / "qkv", x, {.out = 3 * width, .bias = c_.bias}).in(s), -1, {width, width, width});
    const auto by_channel = [&](const Value& part) {  // f[batch, groups, channels, tokens]
      return transpose(reshape(part, {0, 0, groups, width / groups}), {0, 2, 3, 1});
    };
    const Value count = cast(size_of(x, 1), DType::f32);
    const Value scores = matmul(by_channel(made[0]), transpose(by_channel(made[1]), {0, 1, 3, 2})) / sqrt(count.in(s));
    const Value mixed = matmul(softmax(scores), by_channel(made[2]));
    const Value tokens = reshape(transpose(mixed, {0, 3, 1, 2}), {0, 0, width});
    return linear(s / "proj", tokens, {.out = width});
  }

  const DavitConfig c_;
};

}  // namespace florence
