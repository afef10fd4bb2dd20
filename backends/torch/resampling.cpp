// SPDX-License-Identifier: Apache-2.0
// Operators that take samples between pixels, and borders.
#include <cmath>

#include "backends/torch/evaluator.hpp"

namespace onnxport::reference {
namespace {

using at::Tensor;
using Ints = std::vector<int64_t>;

// ----------------------------------------------------------------------------------------- interpolation

/// To which size, and by which factor, which is not the quotient of the sizes where it was given.
struct Target {
  Ints size;
  std::vector<double> factors;  // as many as axes, or none

  explicit Target(const Call& c) {
    if (c.has(1)) {
      size = numbers(c.in(1));
      return;
    }
    const Tensor given = c.in(2).to(at::kDouble).contiguous();
    factors.assign(given.data_ptr<double>(), given.data_ptr<double>() + given.numel());
    for (size_t i = 0; i < factors.size(); ++i) {
      const auto length = static_cast<double>(c.in(0).size(static_cast<int64_t>(i + 2)));
      size.push_back(static_cast<int64_t>(std::floor(length * factors[i])));
    }
  }
  c10::optional<double> factor(size_t axis) const {
    return factors.empty() ? c10::nullopt : c10::optional<double>(factors[axis]);
  }
  /// What a step of one sample is in pixels.
  double step(size_t axis, int64_t from) const {
    return factors.empty() ? static_cast<double>(from) / static_cast<double>(size[axis]) : 1 / factors[axis];
  }
};

/// How a sample weighs the pixels of an axis, for what ATen has no function for.
struct Sampling {
  std::string mode, coordinates, rounding;
  double cubic_factor;

  double place(int64_t sample, int64_t from, int64_t to, double step) const {
    const auto at = static_cast<double>(sample);
    if (coordinates == "half_pixel") return (at + 0.5) * step - 0.5;
    if (coordinates == "asymmetric") return at * step;
    return to == 1 ? 0 : at * static_cast<double>(from - 1) / static_cast<double>(to - 1);
  }
  int64_t nearest(double place) const {
    if (rounding == "floor") return static_cast<int64_t>(std::floor(place));
    if (rounding == "ceil") return static_cast<int64_t>(std::ceil(place));
    return static_cast<int64_t>(rounding == "half_up" ? std::floor(place + 0.5) : std::ceil(place - 0.5));
  }
  double weight(double distance) const {
    const double d = std::fabs(distance), a = cubic_factor;
    if (mode != "bicubic") return std::max(0.0, 1 - d);
    if (d < 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
    return d < 2 ? a * (((d - 5) * d + 8) * d - 4) : 0;
  }
  /// f32[to, from]; pixels beyond a border are those at the border.
  Tensor matrix(int64_t from, int64_t to, double step) const {
    Tensor weights = at::zeros({to, from}, at::kDouble);
    auto entries = weights.accessor<double, 2>();
    const auto inside = [&](int64_t pixel) { return std::min(std::max<int64_t>(pixel, 0), from - 1); };
    for (int64_t i = 0; i < to; ++i) {
      const double at = place(i, from, to, step);
      if (mode == "nearest") {
        entries[i][inside(nearest(at))] = 1;
        continue;
      }
      const auto first = static_cast<int64_t>(std::floor(at));
      for (int64_t pixel = first - 1; pixel <= first + 2; ++pixel)
        entries[i][inside(pixel)] += weight(at - static_cast<double>(pixel));
    }
    return weights.to(at::kFloat);
  }
};

/// Axis by axis.
Tensor sampled(const Tensor& x, const Sampling& sampling, const Target& target) {
  Tensor y = x;
  for (size_t i = 0; i < target.size.size(); ++i) {
    const auto axis = static_cast<int64_t>(i + 2);
    const Tensor matrix = sampling.matrix(x.size(axis), target.size[i], target.step(i, x.size(axis)));
    y = at::matmul(y.movedim(axis, -1), matrix.t()).movedim(-1, axis);
  }
  return y;
}

Results interpolate(const Call& c) {
  const Tensor& x = c.in(0);
  const Target to(c);
  const std::string mode = c.text("mode", "nearest");
  const bool antialias = c.integer("antialias", 0) != 0;
  const Sampling sampling{mode, c.text("coordinates", mode == "nearest" ? "asymmetric" : "half_pixel"),
                          c.text("rounding", "floor"), c.real("cubic_factor", -0.75)};
  const bool corners = sampling.coordinates == "align_corners", centres = sampling.coordinates == "half_pixel";
  if (antialias) {
    return {mode == "bilinear" ? at::_upsample_bilinear2d_aa(x, to.size, false)
                               : at::_upsample_bicubic2d_aa(x, to.size, false)};
  }
  if (corners || centres) {
    if (mode == "linear") return {at::upsample_linear1d(x, to.size, corners, to.factor(0))};
    if (mode == "bilinear") return {at::upsample_bilinear2d(x, to.size, corners, to.factor(0), to.factor(1))};
    if (mode == "bicubic" && sampling.cubic_factor == -0.75)
      return {at::upsample_bicubic2d(x, to.size, corners, to.factor(0), to.factor(1))};
  }
  if (mode == "nearest" && sampling.coordinates == "asymmetric" && sampling.rounding == "floor") {
    if (x.dim() == 3) return {at::upsample_nearest1d(x, to.size, to.factor(0))};
    return {at::upsample_nearest2d(x, to.size, to.factor(0), to.factor(1))};
  }
  return {sampled(x, sampling, to)};
}

/// torch's own function, whose modes go by numbers.
Results grid_sample(const Call& c) {
  static const std::map<std::string, int64_t> modes{{"bilinear", 0}, {"nearest", 1}, {"bicubic", 2}},
      paddings{{"zeros", 0}, {"border", 1}, {"reflection", 2}};
  return {at::grid_sampler(c.in(0), c.in(1), modes.at(c.text("mode", "bilinear")),
                           paddings.at(c.text("padding_mode", "zeros")), c.integer("align_corners", 0) != 0)};
}

// ------------------------------------------------------------------------------------------------ borders

/// Where the entries of an axis come from, with a border before and behind it.
Tensor sources(int64_t length, int64_t before, int64_t behind, const std::string& mode) {
  const Tensor at = at::arange(-before, length + behind, at::kLong);
  if (mode == "edge") return at::clamp(at, 0, length - 1);
  if (mode == "wrap") return at::remainder(at, length);
  const int64_t last = length - 1;
  return last - at::abs(last - at::abs(at));
}

Results pad(const Call& c) {
  const std::string mode = c.text("mode", "constant");
  const Ints pads = c.has(1) ? numbers(c.in(1)) : c.integers("pads");
  Ints axes = c.integers("axes");
  for (int64_t i = 0; i < c.in(0).dim() && !c.node.has("axes"); ++i) axes.push_back(i);
  const size_t count = axes.size();
  Tensor x = c.in(0);
  for (size_t i = 0; i < count; ++i) {
    const int64_t axis = axes[i] < 0 ? axes[i] + x.dim() : axes[i], before = pads[i], behind = pads[i + count];
    if (mode != "constant") {
      x = at::index_select(x, axis, sources(x.size(axis), before, behind, mode));
      continue;
    }
    const auto border = [&](int64_t length) {
      Ints shape(x.sizes().begin(), x.sizes().end());
      shape[static_cast<size_t>(axis)] = length;
      return at::full(shape, c.real("value", 0), x.options());
    };
    x = at::cat({border(before), x, border(behind)}, axis);
  }
  return {x};
}

}  // namespace

const Table& resampling_operator_table() {
  static const Table table{{"GridSample", grid_sample}, {"Pad", pad}};
  return table;
}

const Table& resampling_composite_table() {
  static const Table table{{"Interpolate", interpolate}};
  return table;
}

}  // namespace onnxport::reference
