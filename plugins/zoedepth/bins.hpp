// SPDX-License-Identifier: Apache-2.0
// ZoeDepth's way from features to metres: bins of depth at every pixel, whose centres attractors move from map to map,
// and how likely each of them is. Source: ZoeDepthSeedBinRegressor, ZoeDepthAttractorLayer, its unnormed kind and
// ZoeDepthConditionalLogBinomialSoftmax, transformers 4.57 (modeling_zoedepth.py).
#pragma once

#include <cmath>
#include <string>
#include <vector>

#include <onnxport/plugin.hpp>

namespace zoedepth {

using namespace onnxport::sdk;

/// A range of depths and the bins in it.
struct Bins {
  std::string name{};  ///< where there are several; below the head's modules
  int64_t count = 64;
  double nearest = 0.001, farthest = 10;
};

struct BinForm {
  bool normed;     ///< centres are shares of the range; else any number from 0 on
  bool mean;       ///< attractors move a bin by the mean of what each does; else by the sum
  double coldest;  ///< temperatures of the distribution
  double hottest;
};

namespace detail {
inline Value pointwise(const Scope& s, const Value& x, int64_t out) {
  return conv2d(s, x, {.out = out});
}
inline Value resized(const Value& x, const Value& size) {
  return interpolate(x, size, {.how = Interpolation::bilinear, .align_corners = true});
}
inline Value softplus(const Value& x) {
  return x.graph().op("Softplus", {x});
}
}  // namespace detail

/// Two layers at every pixel with a ReLU between: f[batch, n, …, …] -> f[batch, out, …, …].
struct Perceptron {
  int64_t inner, out;
};
inline Value perceive(const Scope& s, const Value& x, const Perceptron& form) {
  return detail::pointwise(s / "conv2", relu(detail::pointwise(s / "conv1", x, form.inner)), form.out);
}

/// The first centres: f[batch, n, rows, columns] -> f[batch, bins, rows, columns], shares of the range where centres
/// are.
inline Value seed_centres(const Scope& s, const Value& x, const Bins& bins, const BinForm& form, int64_t inner) {
  const Value raw = perceive(s, x, {inner, bins.count});
  if (!form.normed) return detail::softplus(raw);
  // A bin's width is its share of the range, and its centre lies half way between its edges.
  const Value positive = relu(raw) + 1e-3;
  const Value total = s.op("ReduceSum", {positive}, {{"axes", {1}}, {"keepdims", 1}});
  const Value ends = cumulative_sum(positive / total, 1);
  return ends - positive / total * 0.5;
}

struct Attracted {
  Value centres;  ///< for the next map: f[batch, bins, rows, columns]
  Value depths;   ///< the same in metres
};
struct Attraction {
  Value x;                         ///< the map's embedding, f[batch, n, rows, columns]
  Value size;                      ///< i64[2], rows and columns
  Value centres_before, x_before;  ///< of the map before it, whose size is another
  int64_t attractors;
};
inline Attracted attract(const Scope& s, const Attraction& given, const Bins& bins, const BinForm& form) {
  const Value x = given.x.in(s) + detail::resized(given.x_before, given.size);
  const int64_t each = form.normed ? 2 : 1;
  Value places = perceive(s, x, {given.x.fixed(1), given.attractors * each});
  if (form.normed) {
    // Of every two the first alone is an attractor, as in the original.
    places = relu(places) + 1e-3;
    std::vector<int64_t> first;
    for (int64_t i = 0; i < given.attractors; ++i) first.push_back(2 * i);
    places = gather(places, s.graph().integers(first), 1);
  } else {
    places = detail::softplus(places);
  }
  const Value centres = detail::resized(given.centres_before, given.size).in(s);
  const Value way = unsqueeze(places, {2}) - unsqueeze(centres, {1});  // from every centre to every attractor
  const Value moves = way / (way * way * 300.0 + 1.0);  // whatever attractor_alpha and attractor_gamma say
  const Value moved = centres + (form.mean ? mean(moves, {1}) : sum(moves, {1}));
  if (!form.normed) return {moved, moved};
  const Value depths = moved * (bins.farthest - bins.nearest) + bins.nearest;
  const Value sorted = top_k(depths, bins.count, {.axis = 1, .largest = false}).values;
  return {moved, s.op("Clip", {sorted}, {{"min", bins.nearest}, {"max", bins.farthest}})};
}

/// How likely each bin is at every pixel, by a binomial distribution of which x tells the chance and the temperature:
/// f[batch, n, rows, columns] -> f[batch, bins, rows, columns].
inline Value likelihoods(const Scope& s, const Value& x, const Bins& bins, const BinForm& form, int64_t inner) {
  Graph& g = s.graph();
  Value h = activation(detail::pointwise(s / "mlp" / 0, x, inner), "gelu");
  h = detail::softplus(detail::pointwise(s / "mlp" / 2, h, 4)) + 1e-4;
  const std::vector<Value> parts = split(h, 1, {1, 1, 1, 1});
  const auto share = [&](size_t of) { return parts[of] / (parts[of] + parts[of + 1]); };
  const auto log_of = [&](const Value& p) { return log(g.op("Clip", {p}, {{"min", 1e-4}, {"max", 1.0}})); };
  const Value chance = share(0), temperature = share(2) * (form.hottest - form.coldest) + form.coldest;

  // log of n over k by Stirling's formula, in the original's precision.
  const auto count = static_cast<size_t>(bins.count);
  std::vector<float> number(count), rest(count), ways(count);
  const float tiny = 1e-7f, n = static_cast<float>(bins.count - 1) + tiny;
  for (size_t i = 0; i < count; ++i) {
    number[i] = static_cast<float>(i);
    rest[i] = static_cast<float>(count - 1 - i);
    const float k = number[i] + tiny;
    ways[i] = n * std::log(n) - k * std::log(k) - (n - k) * std::log(n - k + tiny);
  }
  const auto by_bin = [&](const std::vector<float>& v) {
    return g.constant<float>(DType::f32, {1, bins.count, 1, 1}, v);
  };
  const Value scores = by_bin(ways) + log_of(chance) * by_bin(number) + log_of(1.0 - chance) * by_bin(rest);
  return softmax(scores / temperature, 1);
}

}  // namespace zoedepth
