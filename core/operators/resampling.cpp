// SPDX-License-Identifier: Apache-2.0
// Operators that take samples between the pixels of an image f[batch, channels, height, width], or of a signal.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "core/ir/inference.hpp"
#include "core/operators/areas.hpp"
#include "core/operators/place.hpp"
#include "core/operators/resampling_lowering.hpp"

namespace onnxport::ir {
namespace {

template <size_t n>
void require_one_of(const char* what, const std::string& found, const std::array<std::string_view, n>& known) {
  if (std::find(known.begin(), known.end(), found) == known.end())
    refuse(fmt::format("there is no {} '{}'; known: {}", what, found, fmt::join(known, ", ")));
}

/// The lengths that an i64[count] input holds, as far as they are known.
Shape lengths_of(const Inference& x, size_t input, size_t count) {
  require_rank(x, input, 1);
  require_same(x.shape(input)[0], Dim(static_cast<int64_t>(count)), "the number of its sizes");
  if (x.in(input).contents) return *x.in(input).contents;
  Shape unknown;
  for (size_t i = 0; i < count; ++i) unknown.push_back(Dim::symbol(fmt::format("size {} of {}", i, place_of(x.node))));
  return unknown;
}

/// ⌊size · factor⌋, as far as the size is known.
Dim resized(const Dim& size, float factor) {
  if (!(factor > 0)) refuse("its scales must be above 0");
  if (factor == std::floor(factor)) return size * Dim(static_cast<int64_t>(factor));
  if (size.is_static()) return static_cast<int64_t>(std::floor(static_cast<float>(size.size()) * factor));
  return Dim::symbol(fmt::format("floor({}*{})", size.to_string(), factor));
}

/// That of each axis that is resampled, as far as its factor is known.
Shape scaled(const Inference& x, size_t axes) {
  require_rank(x, 2, 1);
  require_same(x.shape(2)[0], Dim(static_cast<int64_t>(axes)), "the number of its scales");
  if (dtype_of(x, 2) != DType::f32) refuse("its scales must be f32");
  const auto& known = x.in(2).constant;
  Shape shape;
  for (size_t i = 0; i < axes; ++i) {
    const Dim& size = x.shape(0)[i + 2];
    if (known == nullptr) {
      shape.push_back(Dim::symbol(fmt::format("size {} of {}", i, place_of(x.node))));
      continue;
    }
    shape.push_back(resized(size, known->as<float>()[i]));
  }
  return shape;
}

void infer_interpolate(Inference& x) {
  const size_t rank = x.shape(0).size();
  if (rank != 3 && rank != 4) refuse(fmt::format("input 0 is of rank {}; expected 3 (a signal) or 4 (an image)", rank));
  if (!is_floating(dtype_of(x))) refuse("takes a floating-point tensor");
  const std::string mode = x.node.text("mode", "nearest");
  require_one_of<4>("interpolation", mode, {"nearest", "linear", "bilinear", "bicubic"});
  if ((mode == "linear") != (rank == 3) && mode != "nearest") refuse("interpolation " + mode + " is of another rank");
  require_one_of<3>("way to place samples", x.node.text("coordinates", "half_pixel"),
                    {"half_pixel", "align_corners", "asymmetric"});
  require_one_of<4>("rounding", x.node.text("rounding", "floor"), {"floor", "ceil", "half_down", "half_up"});
  const bool antialias = x.node.integer("antialias", 0) != 0, by_size = x.node.input(1) != absent;
  if (by_size == (x.node.input(2) != absent)) refuse("needs either a size or scales");
  if (antialias &&
      (rank != 4 || mode == "nearest" || !by_size || x.node.text("coordinates", "half_pixel") != "half_pixel"))
    refuse("antialias is for bilinear and bicubic samples at the centres of pixels, to a given size");
  if (antialias && x.node.has("cubic_factor") && x.node.real("cubic_factor", 0) != -0.5)
    refuse("antialias has Pillow's filter, whose factor is -0.5; leave cubic_factor out");
  const size_t axes = rank - 2;
  Shape shape = by_size ? lengths_of(x, 1, axes) : scaled(x, axes);
  shape.insert(shape.begin(), {x.shape(0)[0], x.shape(0)[1]});
  set(x, dtype_of(x), std::move(shape));
}

/// ONNX's operator, which lowering yields: x, roi (absent), scales or sizes of `axes`, or of all axes.
void infer_resize(Inference& x) {
  Shape shape = x.shape(0);
  std::vector<int64_t> axes = x.node.integers("axes");
  for (size_t i = 0; axes.size() < shape.size() && !x.node.has("axes"); ++i) axes.push_back(static_cast<int64_t>(i));
  if (x.node.input(3) != absent) {
    const Shape sizes = lengths_of(x, 3, axes.size());
    for (size_t i = 0; i < axes.size(); ++i) shape[axis_index(axes[i], shape.size())] = sizes[i];
  } else {
    if (x.node.input(2) == absent) refuse("needs sizes or scales");
    const auto& known = x.in(2).constant;
    if (known != nullptr)
      require_same(x.shape(2).at(0), Dim(static_cast<int64_t>(axes.size())), "the number of its scales");
    for (size_t i = 0; i < axes.size(); ++i) {
      const size_t axis = axis_index(axes[i], shape.size());
      if (axis < 2) continue;
      shape[axis] = known != nullptr ? resized(shape[axis], known->as<float>()[i])
                                     : Dim::symbol(fmt::format("size {} of {}", axis - 2, place_of(x.node)));
    }
  }
  set(x, dtype_of(x), std::move(shape));
}

/// x: f[batch, channels, height, width], grid: f[batch, rows, columns, 2] -> f[batch, channels, rows, columns]
void infer_grid_sample(Inference& x) {
  if (x.shape(0).size() == 5) refuse("samples of a volume are not supported; expected an image, of rank 4");
  require_rank(x, 0, 4);
  require_rank(x, 1, 4);
  if (!is_floating(dtype_of(x))) refuse("takes a floating-point tensor");
  require_same_dtype(x, 0, 1);
  const Shape &image = x.shape(0), &grid = x.shape(1);
  if (!image[1].is_static()) refuse("the number of channels must be known");
  require_same(grid[0], image[0], "the batch");
  require_same(grid[3], Dim(2), "the coordinates of a sample, x and y");
  // Since opset 20 two modes have other names; a definition uses the first three.
  require_one_of<5>("interpolation", x.node.text("mode", "bilinear"),
                    {"bilinear", "nearest", "bicubic", "linear", "cubic"});
  require_one_of<3>("padding_mode", x.node.text("padding_mode", "zeros"), {"zeros", "border", "reflection"});
  set(x, dtype_of(x), {image[0], image[1], grid[1], grid[2]});
}

/// Neither gathered nor renamed.
Results as_it_is(Builder& b) {
  return b.keep(b.node().attributes);
}

}  // namespace

const std::vector<Operator>& resampling_operators() {
  using enum AttributeKind;
  static const std::vector<Operator> rows{
      {.name = "GridSample",
       .inputs = {2},
       .infer = infer_grid_sample,
       .attributes = {{"mode", text, "bilinear, nearest or bicubic; bilinear"},
                      {"padding_mode", text, "zeros, border or reflection; zeros"},
                      {"align_corners", integer, "0"}},
       .lowering = {{.rule = grid_sample_by_gathering, .below = 16},
                    {.rule = as_it_is, .below = 20},
                    {.rule = grid_sample_renamed}},
       .precision = {.wide_below = every_opset},
       .documentation = {"x: f[batch, c, height, width], grid: f[batch, rows, columns, 2] (x, y in [-1, 1])",
                         "f[batch, c, rows, columns], as torch has it; gathered before opset 16. In f32 in a 16-bit "
                         "graph"}},
      {.domain = composite_domain,
       .name = "Interpolate",
       .inputs = {1, 3},
       .infer = infer_interpolate,
       .attributes = {{"mode", text, "nearest, linear, bilinear or bicubic; nearest"},
                      {"coordinates", text,
                       "half_pixel, align_corners or asymmetric; of nearest asymmetric, else half_pixel"},
                      {"rounding", text, "of nearest: floor, ceil, half_down or half_up; floor"},
                      {"cubic_factor", real, "-0.75"},
                      {"antialias", integer, "0"}},
       .lowering = {{interpolate}},
       .precision = {.wide_inputs = {2}},
       .documentation =
           {"x: f[batch, c, height, width] or f[batch, c, length], [size: i64[2] or i64[1]], [scales: f32[2] "
            "or f32[1]]",
            "resampled to a size, or by scales to ⌊length·scale⌋, as "
            "torch.nn.functional.interpolate does it: its nearest-exact is half_pixel with half_up. "
            "antialias widens the filter of bilinear and bicubic (then with -0.5) where pixels are closer "
            "than samples: a product of matrices before opset 18"}},
      {.name = "Resize",
       .inputs = {1, 4},
       .infer = infer_resize,
       .attributes = {{"mode", text},
                      {"coordinate_transformation_mode", text},
                      {"nearest_mode", text},
                      {"cubic_coeff_a", real},
                      {"axes", integers},
                      {"antialias", integer},
                      {"exclude_outside", integer},
                      {"extrapolation_value", real},
                      {"keep_aspect_ratio_policy", text}},
       .documentation = {.inputs = "x, roi, scales, sizes", .made_from = "Interpolate"}},
  };
  return rows;
}

}  // namespace onnxport::ir
