// SPDX-License-Identifier: Apache-2.0
// Images of another size.
#include <fmt/format.h>

#include "core/import/numbers.hpp"
#include "core/import/rows.hpp"

namespace onnxport::script {
namespace {

/// upsample_KIND(x, size, [align_corners], scale…): the size is told, or the scales are. Both forms of torch, that with
/// a list of scales and that with one for each axis, tell a size where there is one.
struct Upsampling {
  std::string mode;
  bool has_align = false, is_exact = false, antialiases = false;
};

Items upsampled(Call& call, const Upsampling& how) {
  const ValueId x = call.tensor(0);
  const size_t axes = call.rank(x) - 2, first_scale = how.has_align ? 3 : 2;
  ir::Attributes attributes{{"mode", how.mode}};
  if (how.has_align) attributes["coordinates"] = std::string(call.flag(2, false) ? "align_corners" : "half_pixel");
  if (how.is_exact) {
    attributes["coordinates"] = std::string("half_pixel");
    attributes["rounding"] = std::string("half_up");
  }
  if (how.antialiases) {
    attributes["antialias"] = int64_t{1};
    if (how.mode == "bicubic") attributes["cubic_factor"] = -0.5;
  }
  std::vector<double> scales;
  if (const auto* list = call.at(first_scale).as<List>()) {
    for (const Item& item : *list->items) {
      if (const auto scale = call.known_number(item)) scales.push_back(*scale);
    }
  } else {
    for (size_t i = 0; i < axes && call.has(first_scale + i); ++i) {
      if (const auto scale = call.known_number(call.at(first_scale + i))) scales.push_back(*scale);
    }
  }
  const bool aligns = how.has_align && call.flag(2, false);
  // A trace tells both; the scales are what the model means.
  if (scales.size() == axes && (!aligns || !call.has(1)) && !how.antialiases) {
    std::vector<float> factors(scales.begin(), scales.end());
    const ValueId given =
        call.graph().add_constant(ir::Tensor::of<float>(DType::f32, {static_cast<int64_t>(axes)}, factors));
    return {Tensor{call.composite("Interpolate", {x, ir::absent, given}, attributes)}};
  }
  if (!call.has(1)) call.refuse("has neither a size nor scales that are known");
  return {Tensor{call.composite("Interpolate", {x, call.shape_tensor(call.sizes(1))}, attributes)}};
}

Items nearest(Call& call) {
  return upsampled(call, {"nearest"});
}
Items nearest_exact(Call& call) {
  return upsampled(call, {"nearest", false, true});
}
Items linear_in_one_axis(Call& call) {
  return upsampled(call, {"linear", true});
}
Items bilinear(Call& call) {
  return upsampled(call, {"bilinear", true});
}
Items bicubic(Call& call) {
  return upsampled(call, {"bicubic", true});
}
Items bilinear_smooth(Call& call) {
  return upsampled(call, {"bilinear", true, false, true});
}
Items bicubic_smooth(Call& call) {
  return upsampled(call, {"bicubic", true, false, true});
}

/// grid_sampler(x, grid, mode, padding, align_corners)
Items grid_sample(Call& call) {
  static const char* const modes[] = {"bilinear", "nearest", "bicubic"};
  static const char* const paddings[] = {"zeros", "border", "reflection"};
  const int64_t mode = call.integer(2), padding = call.integer(3);
  if (mode < 0 || mode > 2 || padding < 0 || padding > 2) call.refuse("samples in a way that is not known");
  return {Tensor{call.op("GridSample", {call.tensor(0), call.tensor(1)},
                         {{"mode", std::string(modes[mode])},
                          {"padding_mode", std::string(paddings[padding])},
                          {"align_corners", int64_t{call.flag(4, false)}}})}};
}

}  // namespace

const std::vector<Row>& resampling_rows() {
  static const std::vector<Row> rows{
      {"aten::upsample_nearest1d", nearest},
      {"aten::upsample_nearest2d", nearest},
      {"aten::_upsample_nearest_exact1d", nearest_exact},
      {"aten::_upsample_nearest_exact2d", nearest_exact},
      {"aten::upsample_linear1d", linear_in_one_axis},
      {"aten::upsample_bilinear2d", bilinear},
      {"aten::upsample_bicubic2d", bicubic},
      {"aten::_upsample_bilinear2d_aa", bilinear_smooth},
      {"aten::_upsample_bicubic2d_aa", bicubic_smooth},
      {"aten::grid_sampler", grid_sample},
      {"aten::grid_sampler_2d", grid_sample},
  };
  return rows;
}

}  // namespace onnxport::script
