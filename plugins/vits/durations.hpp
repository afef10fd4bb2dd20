// SPDX-License-Identifier: Apache-2.0
// How long each token of a text sounds. Source: VitsStochasticDurationPredictor and VitsDurationPredictor,
// transformers 4.57 and 5.24. Signals are f[batch, channels, tokens] here.
#pragma once

#include <cmath>

#include <onnxport/blocks/norm.hpp>
#include <onnxport/selection.hpp>

#include "config.hpp"

namespace vits {

/// A norm of the channels: f[batch, channels, n] -> the same.
inline Value channel_norm(const Scope& scope, const Value& x, double epsilon) {
  return transpose(norm(scope, transpose(x, {0, 2, 1}), {.epsilon = epsilon}), {0, 2, 1});
}

/// The inverse of a curve that rises in pieces, each a quotient of two parabolas; what lies beyond `bound` on either
/// side stays. Source: _rational_quadratic_spline, transformers 4.57.
struct Spline {
  int64_t bins;
  double bound;
};
/// x: f[batch, n]; widths, heights: f[batch, n, bins], slopes: f[batch, n, bins - 1], all as a layer yields them.
struct SplineShape {
  Value widths, heights, slopes;
};
inline Value inverse_spline(const Value& x, const SplineShape& shape, const Spline& spline) {
  constexpr double least = 1e-3;  // width, height and slope
  Graph& g = x.graph();
  const int64_t bins = spline.bins;
  const double bound = spline.bound;

  // Where bins begin and end, from -bound to bound, and how far they reach.
  const auto edges = [&](const Value& raw) {
    const Value parts = softmax(raw) * (1 - least * static_cast<double>(bins)) + least;
    const Value inner = slice(cumulative_sum(parts, -1), {-1, 0, bins - 1}) * (2 * bound) - bound;
    return pad(pad(inner, {{-1, 1, 0}}, {.value = -bound}), {{-1, 0, 1}}, {.value = bound});
  };
  const auto reach = [&](const Value& ends) { return slice(ends, {-1, 1}) - slice(ends, {-1, 0, -1}); };
  const Value across = edges(shape.widths), up = edges(shape.heights);
  const Value widths = reach(across), heights = reach(up), steepness = heights / widths;
  const double at_ends = std::log(std::exp(1 - least) - 1);
  const Value slopes = g.op("Softplus", {pad(shape.slopes, {{-1, 1, 1}}, {.value = at_ends})}) + least;

  const Value inside = g.op("Clip", {x}, {{"min", -bound}, {"max", bound}});
  const Value begun = g.op("GreaterOrEqual", {unsqueeze(inside, {-1}), slice(up, {-1, 0, -1})});
  const Value bin = unsqueeze(sum(cast(begun, DType::i64), {-1}) - g.integer(1), {-1});
  const auto own = [&](const Value& of) { return squeeze(g.op("GatherElements", {of, bin}, {{"axis", -1}}), {-1}); };
  const Value delta = own(steepness), slope = own(slice(slopes, {-1, 0, -1})), next = own(slice(slopes, {-1, 1}));
  const Value height = own(heights), above = inside - own(slice(up, {-1, 0, -1}));

  // A quadratic equation in how far along its bin the result lies.
  const Value bend = above * (slope + next - 2.0 * delta);
  const Value a = height * (delta - slope) + bend, b = height * slope - bend, c = -(delta * above);
  const Value root = 2.0 * c / (-b - sqrt(b * b - 4.0 * a * c));
  const Value found = root * own(widths) + own(slice(across, {-1, 0, -1}));
  const Value is_inside = g.op("LessOrEqual", {g.op("Abs", {x}), g.scalar(bound, x.dtype())});
  return where(is_inside, found, x);
}

class Durations {
 public:
  explicit Durations(const VitsConfig& config) : c(config) {}

  /// x: f[batch, width, tokens], mask: f[batch, 1, tokens], speaker: f[batch, n, 1] or absent, noise: f[batch, 2,
  /// tokens] or absent -> the logarithms of durations f[batch, 1, tokens].
  Value logarithms(const Scope& s, Value x, const Value& mask, const Value& speaker, const Value& noise) const {
    if (!c.stochastic) return plain(s, speaker ? x + conv1d(s / "cond", speaker, {.out = c.width}) : x, mask);
    s.graph().unused((s / "post_*").path());
    if (c.duration.flows > 0) s.graph().unused((s / "flows.1.*").path());  // which the original leaves out
    x = conv1d(s / "conv_pre", x, {.out = c.width});
    if (speaker) x = x + conv1d(s / "cond", speaker, {.out = c.width});
    x = conv1d(s / "conv_proj", separable(s / "conv_dds", x, mask), {.out = c.width}) * mask;

    Value latents = noise;
    if (!latents) latents = concat({mask, mask}, 1) * 0.0;
    const Scope flows = s / "flows";
    for (int64_t i = c.duration.flows; i > 1; --i) latents = turn(flows / i, flip(latents, 1), mask, x);
    const Scope affine = flows / int64_t{0};
    const Value moved = flip(latents, 1) - affine.weight("translate", {2, 1});
    return slice(moved * exp(-affine.weight("log_scale", {2, 1})) * mask, {1, 0, 1});
  }

 private:
  // One half is turned by what the other and `given` tell. Source: VitsConvFlow.
  Value turn(const Scope& s, const Value& latents, const Value& mask, const Value& given) const {
    const VitsConfig::Duration& d = c.duration;
    const std::vector<Value> halves = split(latents, 1, {1, 1});
    Value h = conv1d(s / "conv_pre", halves[0], {.out = c.width});
    h = separable(s / "conv_dds", h + given, mask);
    h = transpose(conv1d(s / "conv_proj", h, {.out = 3 * d.bins - 1}) * mask, {0, 2, 1});
    const std::vector<Value> parts = split(h, -1, {d.bins, d.bins, d.bins - 1});
    const double scale = 1 / std::sqrt(static_cast<double>(c.width));
    const Value second =
        inverse_spline(squeeze(halves[1], {1}), {parts[0] * scale, parts[1] * scale, parts[2]}, {d.bins, d.bound});
    return (concat({halves[0], unsqueeze(second, {1})}, 1) * mask).in(s.parent());
  }

  // Convolutions of each channel by itself, which reach further and further, and of all at one place.
  // Source: VitsDilatedDepthSeparableConv.
  Value separable(const Scope& s, Value x, const Value& mask) const {
    constexpr double epsilon = 1e-5;
    int64_t dilation = 1;
    for (int64_t i = 0; i < c.duration.layers; ++i, dilation *= c.duration.kernel) {
      Value h = conv1d(s / "convs_dilated" / i, x * mask,
                       {.out = c.width,
                        .kernel = c.duration.kernel,
                        .padding = (c.duration.kernel - 1) * dilation / 2,
                        .dilation = dilation,
                        .groups = c.width});
      h = activation(channel_norm(s / "norms_1" / i, h, epsilon), "gelu");
      h = conv1d(s / "convs_pointwise" / i, h, {.out = c.width});
      x = (x.in(s) + activation(channel_norm(s / "norms_2" / i, h, epsilon), "gelu")).in(s);
    }
    return (x * mask).in(s.parent());
  }

  Value plain(const Scope& s, Value x, const Value& mask) const {
    for (const char* number : {"1", "2"}) {
      const int64_t kernel = c.duration.kernel;
      x = conv1d(s / (std::string("conv_") + number), x * mask,
                 {.out = c.duration.filters, .kernel = kernel, .padding = kernel / 2});
      x = channel_norm(s / (std::string("norm_") + number), relu(x), c.epsilon);
    }
    return conv1d(s / "proj", x * mask, {.out = 1}) * mask;
  }

  const VitsConfig& c;
};

}  // namespace vits
