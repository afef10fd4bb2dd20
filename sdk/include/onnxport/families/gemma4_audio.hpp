// SPDX-License-Identifier: Apache-2.0
// Gemma 4's encoder of sound: conformers whose places see a stretch of what is around them, block by block, and scores
// by distance. Source: Gemma4AudioModel, transformers 5.24.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <cmath>
#include <string>
#include <vector>

#include <onnxport/convolutions.hpp>
#include <onnxport/families/gemma4_vision.hpp>

namespace onnxport::family {

struct Gemma4Audio {
  explicit Gemma4Audio(const Config& c)
      : hidden(c.size("hidden_size", 1024)),
        layers(c.count("num_hidden_layers", 12)),
        heads(c.size("num_attention_heads", 8)),
        kernel(c.size("conv_kernel_size", 5)),
        block(c.size("attention_chunk_size", 12)),
        before(c.size("attention_context_left", 13) - 1),
        behind(c.count("attention_context_right", 0)),
        out(c.size("output_proj_dims", 1536)),
        channels(c.has("subsampling_conv_channels") ? c.integers("subsampling_conv_channels")
                                                    : std::vector<int64_t>{128, 32}),
        activation(c.text("hidden_act", "silu")),
        epsilon(c.real("rms_norm_eps", 1e-6)),
        softcap(c.real("attention_logit_cap", 50)),
        half(c.real("residual_weight", 0.5)),
        clip(c.real("gradient_clipping", 1e10)),
        clips(c.boolean("use_clipped_linears", true)) {
    // The score of what is not seen, beside which others are lost or all are alike.
    c.no_effect({"attention_invalid_logits_value"});
    require_multiple({"audio_config.hidden_size", hidden}, {"num_attention_heads", heads});
    require_multiple({"audio_config.hidden_size", hidden}, {"pairs of sine and cosine", 2});
    require_equal({"subsampling_conv_channels", static_cast<int64_t>(channels.size())}, {"two convolutions", 2});
  }
  int64_t hidden, layers, heads, kernel, block, before, behind, out;
  std::vector<int64_t> channels;
  std::string activation;
  double epsilon, softcap, half, clip;
  bool clips;

  /// How many numbers a frame has, of which two convolutions make a quarter.
  int64_t bins() const { return channels[0] / 4 * 4; }
  /// How many places become of so many frames.
  static int64_t places(int64_t frames) { return (frames + 3) / 4; }

  /// What becomes of sound.
  struct Heard {
    Value places;  ///< f[batch, n, out]
    Value counts;  ///< b[batch, n]
  };
  /// features: f[batch, frames, bins], mask: b[batch, frames], true where a frame is none of the padding.
  Heard operator()(const Scope& s, const Value& features, const Value& mask) const {
    auto [x, counts] = shorten(s / "subsample_conv_projection", features, mask);
    const Around around = surroundings(s, counts);
    for (int64_t i = 0; i < layers; ++i) {
      s.graph().mark("audio_hidden_states." + std::to_string(i), x);
      x = layer(s / "layers" / i, x, around);
    }
    return {linear(s / "output_proj", x, {.out = out}), counts};
  }

 private:
  /// What all layers are given of the blocks into which the places are cut.
  struct Around {
    Value length;           // i64 scalar
    Value queries, keys;    // i64[blocks·block], i64[blocks, around]: among the places with `before` more in front
    Value seen;             // b[batch, 1, blocks, block, around]
    Value sines;            // f[distances, hidden]
    int64_t width, turned;  // how many keys a block has, and how many of them the sines are of
  };

  Heard shorten(const Scope& s, const Value& features, const Value& mask) const {
    Value x = unsqueeze(features.in(s), {1}), counts = unsqueeze(cast(mask.in(s), DType::f32), {1});
    for (int64_t i = 0; i < 2; ++i) {
      const Scope step = s / ("layer" + std::to_string(i));
      x = x * unsqueeze(counts, {3});
      x = conv2d(step / "conv", x,
                 {.out = channels[static_cast<size_t>(i)], .kernel = 3, .stride = 2, .padding = 1, .bias = false});
      x = transpose(relu(norm(step / "norm", transpose(x, {0, 2, 3, 1}), {.epsilon = epsilon, .bias = false})),
                    {0, 3, 1, 2});
      counts = max_pool1d(counts, {.kernel = 1, .stride = 2});  // every second one
    }
    const Value rows = reshape(transpose(x, {0, 2, 3, 1}), {0, 0, channels[0] / 4 * channels[1]});
    return {linear(s / "input_proj_linear", rows, {.out = hidden, .bias = false}),
            cast(pick(counts, 1, 0), DType::boolean)};
  }

  Around surroundings(const Scope& s, const Value& counts) const {
    Graph& g = s.graph();
    const Scope at = s / "blocks";
    Around made;
    made.length = size_of(counts.in(at), 1);
    made.width = block + before + behind;
    const Value blocks =
        named_length(at / "count", g.op("Div", {made.length + g.integer(block - 1), g.integer(block)}));
    const Value starts = unsqueeze(range(blocks) * g.integer(block), {1});
    made.keys = starts + range(g.integer(made.width));
    made.queries = reshape(starts + range(g.integer(block)) + g.integer(before), {-1});
    // Neither what stands before the first place nor behind the last one counts.
    const Value padded = padded_places(cast(counts.in(at), DType::i64));
    const Value there = unsqueeze(cast(gather(padded, made.keys, 1), DType::boolean), {1, 3});
    std::vector<uint8_t> near;
    for (int64_t query = 0; query < block; ++query) {
      for (int64_t key = 0; key < made.width; ++key) {
        const int64_t distance = query + before - key;
        near.push_back((distance >= 0 ? distance < before : -distance < behind) ? 1 : 0);
      }
    }
    made.seen = g.op("And", {there, g.constant<uint8_t>(DType::boolean, {1, 1, 1, block, made.width}, near)});
    made.sines = sines(g, made.width);
    made.turned = made.width / 2 + 1;
    return made;
  }

  /// Sine and cosine of distances, from the farthest behind on down to 0.
  Value sines(Graph& g, int64_t width) const {
    const int64_t pairs = hidden / 2, farthest = width / 2;
    const double step = std::log(10000.0) / static_cast<double>(std::max<int64_t>(pairs - 1, 1));
    std::vector<float> values;
    for (int64_t distance = farthest; distance >= 0; --distance) {
      for (const bool sine : {true, false}) {
        for (int64_t i = 0; i < pairs; ++i) {
          const double angle = static_cast<double>(distance) * std::exp(-step * static_cast<double>(i));
          values.push_back(static_cast<float>(sine ? std::sin(angle) : std::cos(angle)));
        }
      }
    }
    return g.constant<float>(DType::f32, {farthest + 1, 2 * pairs}, values);
  }

  /// With room in front for the first block's surroundings, and behind for what fills the last block: [batch, n, ...].
  Value padded_places(const Value& x) const {
    std::vector<int64_t> pads(2 * x.rank(), 0);
    pads[1] = before;
    pads[x.rank() + 1] = behind + block - 1;
    return x.graph().op("Pad", {x}, {{"pads", pads}, {"mode", "constant"}});
  }

  Value layer(const Scope& s, Value x, const Around& around) const {
    x = feed(s / "feed_forward1", x);
    const Value attended = attend(s / "self_attn", rms(s / "norm_pre_attn", bounded(x)), around);
    x = x.in(s) + rms(s / "norm_post_attn", bounded(attended));
    x = convolve(s / "lconv1d", x);
    x = feed(s / "feed_forward2", x);
    return rms(s / "norm_out", bounded(x));
  }

  static Value rms(const Scope& s, const Value& x, double epsilon = 1e-6) {
    return norm(s, x, {.kind = Norm::Kind::rms, .epsilon = epsilon});
  }
  /// As far from 0 as gradients are let go in training. What is usual there no number comes near.
  Value bounded(const Value& x) const {
    return clip >= 1e10 ? x : x.graph().op("Clip", {x}, {{"min", -clip}, {"max", clip}});
  }

  Value feed(const Scope& s, const Value& x) const {
    const Value up = clippable_linear(s / "ffw_layer_1", rms(s / "pre_layer_norm", bounded(x)), 4 * hidden, clips);
    const Value down = clippable_linear(s / "ffw_layer_2", sdk::activation(up, activation), hidden, clips);
    return (rms(s / "post_layer_norm", bounded(down)) * half + x).in(s.parent());
  }

  Value convolve(const Scope& s, const Value& x) const {
    const Value gated =
        glu(clippable_linear(s / "linear_start", rms(s / "pre_layer_norm", x, epsilon), 2 * hidden, clips));
    const Value mixed = conv1d(
        s / "depthwise_conv1d", transpose(gated, {0, 2, 1}),
        {.out = hidden, .kernel = kernel, .padding = kernel - 1, .padding_behind = 0, .groups = hidden, .bias = false});
    const Value normed = rms(s / "conv_norm", bounded(transpose(mixed, {0, 2, 1})), epsilon);
    return (clippable_linear(s / "linear_end", sdk::activation(normed, activation), hidden, clips) + x).in(s.parent());
  }

  Value attend(const Scope& s, const Value& x, const Around& around) const {
    Graph& g = s.graph();
    const int64_t width = hidden / heads;
    const Value padded = padded_places(x.in(s));
    const auto made = [&](const char* name) { return clippable_linear(s / name, padded, hidden, clips); };
    // Heads before blocks: f[batch, heads, blocks, each, width]
    const auto apart = [&](const Value& y, const Value& places, int64_t each) {
      const Value rows = gather(y, reshape(places, {-1}), 1);
      return transpose(reshape(rows, {0, -1, each, heads, width}), {0, 3, 1, 2, 4});
    };
    const Value scale = g.op("Softplus", {s.weight("per_dim_scale", {width})}) *
                        (1 / (std::sqrt(static_cast<double>(width)) * std::log(2.0)));
    const Value query = apart(made("q_proj"), around.queries, block) * scale;
    const Value key = apart(made("k_proj"), around.keys, around.width) * (std::log(1 + M_E) / std::log(2.0));
    const Value distances = reshape(linear(s / "relative_k_proj", around.sines, {.out = hidden, .bias = false}),
                                    {around.turned, heads, width});
    const Value by_distance = matmul(query, unsqueeze(transpose(distances, {1, 2, 0}), {1}));
    const Value scores = matmul(query, transpose(key, {0, 1, 2, 4, 3})) + along_keys(by_distance, around);
    const Value capped = tanh(scores / softcap) * softcap;
    // A place that sees nothing is one of the padding.
    constexpr double hidden_score = -1e9;
    const Value shares = softmax(where(around.seen, capped, g.scalar(hidden_score)));
    const Value mixed = matmul(shares, apart(made("v_proj"), around.keys, around.width));
    const Value rows = reshape(transpose(mixed, {0, 2, 3, 1, 4}), {0, -1, hidden});
    return clippable_linear(s / "post", gather(rows, range(around.length), 1), hidden, clips);
  }

  /// Scores by distance, f[..., block, distances], as those of a block's keys, f[..., block, keys]: every query's row
  /// one place further than the one before it.
  Value along_keys(const Value& x, const Around& around) const {
    Graph& g = x.graph();
    const int64_t width = around.width, added = width + 1 - around.turned;
    std::vector<int64_t> pads(2 * x.rank(), 0);
    pads.back() = added;
    const Value wide = g.op("Pad", {x}, {{"pads", pads}, {"mode", "constant"}});
    const Value rows = slice(reshape(wide, {0, 0, 0, block * (width + 1)}), {3, 0, block * width});
    return reshape(rows, {0, 0, 0, block, width});
  }
};

}  // namespace onnxport::family
