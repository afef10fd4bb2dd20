// SPDX-License-Identifier: Apache-2.0
// Samples between the pixels of images f[batch, channels, height, width], and borders.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <string>
#include <vector>

#include <onnxport/operations.hpp>

namespace onnxport::sdk {

// ---------------------------------------------------------------------------------------- interpolation

enum class Interpolation { nearest, nearest_exact, linear, bilinear, bicubic };

struct InterpolateOptions {
  Interpolation how = Interpolation::bilinear;
  bool align_corners = false;  ///< the first and last samples are pixels; else samples are the centres of pixels
  bool antialias = false;      ///< bilinear or bicubic, to a size: samples that lie far apart see all pixels between
};
namespace detail {
inline std::vector<Attribute> placement(const InterpolateOptions& options) {
  static constexpr const char* modes[] = {"nearest", "nearest", "linear", "bilinear", "bicubic"};
  std::vector<Attribute> attributes{{"mode", modes[static_cast<size_t>(options.how)]}};
  if (options.how == Interpolation::nearest_exact) {
    attributes.emplace_back("coordinates", "half_pixel");
    attributes.emplace_back("rounding", "half_up");
  }
  if (options.align_corners) attributes.emplace_back("coordinates", "align_corners");
  if (options.antialias) attributes.emplace_back("antialias", true);
  return attributes;
}
}  // namespace detail

/// Resamples to the size i64[2], or a signal f[batch, channels, length] to i64[1]; at its own size nothing changes. The
/// size may be known at run time alone. Source: torch.nn.functional.interpolate(size=...).
inline Value interpolate(const Operand& x, const Value& size, const InterpolateOptions& options) {
  return x.graph().composite("Interpolate", {x, size}, detail::placement(options));
}
inline Value interpolate(const Operand& x, const Value& size, Interpolation how) {
  return interpolate(x, size, InterpolateOptions{.how = how});
}
/// The same by factors f32[2], or of a signal f32[1], that only the run knows.
inline Value interpolate_by(const Operand& x, const Value& factors, const InterpolateOptions& options) {
  return x.graph().composite("Interpolate", {x, Value(), factors}, detail::placement(options));
}
/// Resamples by factors for each axis behind the channels, as f[batch, channels, ⌊height·factor⌋, ⌊width·factor⌋].
/// Source: torch.nn.functional.interpolate(scale_factor=...), torch.nn.Upsample.
inline Value interpolate(const Operand& x, const std::vector<double>& factors, const InterpolateOptions& options) {
  const std::vector<float> given(factors.begin(), factors.end());
  return interpolate_by(x, x.graph().constant(DType::f32, {static_cast<int64_t>(given.size())}, given), options);
}

struct GridSampleOptions {
  Interpolation how = Interpolation::bilinear;  ///< or nearest, bicubic
  std::string padding = "zeros";                ///< what is outside: zeros, border or reflection
  bool align_corners = false;  ///< whether -1 and 1 are the centres of the outermost pixels, or their edges
};
/// Samples at places (x, y) between -1 and 1: f[batch, c, height, width], grid f[batch, rows, columns, 2] ->
/// f[batch, c, rows, columns]. Stays in f32 in a 16-bit graph. Source: torch.nn.functional.grid_sample.
inline Value grid_sample(const Value& x, const Value& grid, const GridSampleOptions& options = {}) {
  const char* mode = options.how == Interpolation::nearest   ? "nearest"
                     : options.how == Interpolation::bicubic ? "bicubic"
                                                             : "bilinear";
  return x.graph().op("GridSample", {x, grid},
                      {{"mode", mode}, {"padding_mode", options.padding}, {"align_corners", options.align_corners}});
}

/// f[batch, c·size², height, width] -> f[batch, c, height·size, width·size]. Source: torch.nn.PixelShuffle.
inline Value pixel_shuffle(const Operand& x, int64_t size) {
  return x.graph().op("DepthToSpace", {x}, {{"blocksize", size}, {"mode", "CRD"}});
}

// ----------------------------------------------------------------------------------------------- borders

/// What a border holds: a number, what is mirrored at the outermost entry, that entry, or what stands at the other end.
/// torch calls the last two replicate and circular.
enum class Border { constant, reflect, edge, wrap };

/// So many entries before and behind an axis.
struct Pad {
  int64_t axis, before, behind;
};
struct PadOptions {
  Border border = Border::constant;
  double value = 0;  ///< of a constant border
};
namespace detail {
inline std::vector<Attribute> border(const PadOptions& options, const std::vector<int64_t>& axes) {
  static constexpr const char* modes[] = {"constant", "reflect", "edge", "wrap"};
  std::vector<Attribute> attributes{{"mode", modes[static_cast<size_t>(options.border)]}, {"axes", axes}};
  if (options.border == Border::constant && options.value != 0) attributes.emplace_back("value", options.value);
  return attributes;
}
}  // namespace detail
/// x with a border at some axes: `pad(x, {{-1, 3, 0}})` puts three zeros before the last one.
/// Source: torch.nn.functional.pad.
inline Value pad(const Value& x, const std::vector<Pad>& pads, const PadOptions& options = {}) {
  std::vector<int64_t> axes, before, behind;
  for (const Pad& pad : pads) {
    axes.push_back(pad.axis);
    before.push_back(pad.before);
    behind.push_back(pad.behind);
  }
  before.insert(before.end(), behind.begin(), behind.end());
  std::vector<Attribute> attributes = detail::border(options, axes);
  attributes.emplace_back("pads", before);
  return x.graph().op("Pad", {x}, attributes);
}

/// The same with widths that only the run knows, as i64 scalars.
struct OpenPad {
  int64_t axis;
  Value before, behind;
};
inline Value pad(const Value& x, const std::vector<OpenPad>& pads, const PadOptions& options = {}) {
  std::vector<int64_t> axes;
  std::vector<Value> before, behind;
  for (const OpenPad& pad : pads) {
    axes.push_back(pad.axis);
    before.push_back(unsqueeze(pad.before, {0}));
    behind.push_back(unsqueeze(pad.behind, {0}));
  }
  before.insert(before.end(), behind.begin(), behind.end());
  return x.graph().op("Pad", {x, concat(before, 0)}, detail::border(options, axes));
}

/// How much is missing to a multiple of `step`: an i64 scalar, 0 where nothing is.
inline Value missing_to_multiple(const Operand& length, int64_t step) {
  Graph& g = length.graph();
  return g.op("Mod", {-length, g.integer(step)});
}

}  // namespace onnxport::sdk
