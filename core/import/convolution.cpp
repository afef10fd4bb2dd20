// SPDX-License-Identifier: Apache-2.0
// Convolutions and pools.
#include <fmt/format.h>

#include <algorithm>

#include "core/import/numbers.hpp"
#include "core/import/rows.hpp"

namespace onnxport::script {
namespace {

/// The same pads before and behind.
Ints both_sides(const Ints& pads) {
  Ints both = pads;
  both.insert(both.end(), pads.begin(), pads.end());
  return both;
}

/// torch takes images without a batch as well.
struct Batched {
  ValueId x;
  bool is_added;
};
Batched batched(Call& call, size_t axes) {
  const ValueId x = call.tensor(0);
  if (call.rank(x) == axes + 2) return {x, false};
  if (call.rank(x) != axes + 1) call.refuse(fmt::format("was given a tensor of rank {}", call.rank(x)));
  return {call.unsqueeze(x, {0}), true};
}
Items as_given(Call& call, ValueId y, const Batched& x) {
  return {Tensor{x.is_added ? call.squeeze(y, {0}) : y}};
}

/// Where arguments of a convolution stand.
struct Arguments {
  size_t stride = 3, padding = 4, dilation = 5, transposed = 99, output_padding = 99, groups = 6;
};

Items convolve(Call& call, const Arguments& at, bool is_transposed) {
  const ValueId weight = call.tensor(1);
  const size_t axes = call.rank(weight) - 2;
  const Batched x = batched(call, axes);
  ir::Attributes attributes{{"strides", call.integers(at.stride, axes)},
                            {"dilations", call.integers(at.dilation, axes)},
                            {"group", call.integer(at.groups, 1)}};
  if (call.at(at.padding).as<std::string>() != nullptr) {
    if (call.text(at.padding) == "same") attributes["auto_pad"] = std::string("SAME_UPPER");
  } else {
    attributes["pads"] = both_sides(call.integers(at.padding, axes));
  }
  if (is_transposed) attributes["output_padding"] = call.integers(at.output_padding, axes);
  std::vector<ValueId> inputs{x.x, weight};
  if (call.has(2)) inputs.push_back(call.tensor(2));
  return as_given(call, call.op(is_transposed ? "ConvTranspose" : "Conv", inputs, attributes), x);
}

/// _convolution(x, weight, bias, stride, padding, dilation, transposed, output_padding, groups, …)
Items convolution(Call& call) {
  return convolve(call, {.transposed = 6, .output_padding = 7, .groups = 8}, call.flag(6));
}
/// conv2d(x, weight, bias, stride, padding, dilation, groups)
Items forward_convolution(Call& call) {
  return convolve(call, {}, false);
}
/// conv_transpose2d(x, weight, bias, stride, padding, output_padding, groups, dilation)
Items transposed_convolution(Call& call) {
  return convolve(call, {.dilation = 7, .output_padding = 5, .groups = 6}, true);
}

/// max_pool2d(x, kernel, stride, padding, dilation, ceil_mode)
template <size_t axes>
Items max_pool(Call& call) {
  const Batched x = batched(call, axes);
  const Ints kernel = call.integers(1, axes);
  const bool has_strides = call.has(2) && !call.integers(2).empty();
  const ir::Attributes attributes{{"kernel_shape", kernel},
                                  {"strides", has_strides ? call.integers(2, axes) : kernel},
                                  {"pads", both_sides(call.integers(3, axes))},
                                  {"dilations", call.integers(4, axes)},
                                  {"ceil_mode", int64_t{call.flag(5, false)}}};
  return as_given(call, call.op("MaxPool", {x.x}, attributes), x);
}

/// avg_pool2d(x, kernel, stride, padding, ceil_mode, count_include_pad, divisor_override)
template <size_t axes>
Items average_pool(Call& call) {
  const Batched x = batched(call, axes);
  if (call.has(6)) call.refuse("divides by a number of its own");
  const Ints kernel = call.integers(1, axes);
  const bool has_strides = call.has(2) && !call.integers(2).empty();
  const ir::Attributes attributes{{"kernel_shape", kernel},
                                  {"strides", has_strides ? call.integers(2, axes) : kernel},
                                  {"pads", both_sides(call.integers(3, axes))},
                                  {"ceil_mode", int64_t{call.flag(4, false)}},
                                  {"count_include_pad", int64_t{call.flag(5, true)}}};
  return as_given(call, call.op("AveragePool", {x.x}, attributes), x);
}

/// Sizes of which None keeps the axis.
Ints adaptive_sizes(Call& call, ValueId x, size_t axes) {
  Ints sizes;
  const Items list = call.at(1).as<List>() != nullptr ? call.list(1) : Items(axes, call.at(1));
  for (size_t i = 0; i < axes; ++i) {
    const Dim& own = call.shape(x)[i + 2];
    if (list.at(i).is_none() && !own.is_static()) call.refuse("keeps an axis whose length the run alone knows");
    sizes.push_back(list[i].is_none() ? own.size() : call.size_of(list[i]).dim.size());
  }
  return sizes;
}

template <size_t axes>
Items adaptive_average(Call& call) {
  const Batched x = batched(call, axes);
  return as_given(call, call.composite("AdaptiveAveragePool", {x.x}, {{"size", adaptive_sizes(call, x.x, axes)}}), x);
}

template <size_t axes>
Items adaptive_max(Call& call) {
  const Batched x = batched(call, axes);
  const Ints sizes = adaptive_sizes(call, x.x, axes);
  Ints kernel, over;
  bool is_one = true;
  for (size_t i = 0; i < axes; ++i) {
    const auto length = call.shape(x.x)[i + 2].maybe_size();
    is_one = is_one && sizes[i] == 1;
    over.push_back(static_cast<int64_t>(i) + 2);
    if (length && *length % sizes[i] == 0) kernel.push_back(*length / sizes[i]);
  }
  if (is_one) return as_given(call, call.op("ReduceMax", {x.x}, {{"axes", over}}), x);
  if (kernel.size() != axes) call.refuse("is known to sizes that divide the image's, or to 1");
  return as_given(call, call.op("MaxPool", {x.x}, {{"kernel_shape", kernel}, {"strides", kernel}}), x);
}

/// The windows of an image as columns: f[batch, channels · rows · columns, windows].
Items windows(Call& call) {
  const ValueId x = call.tensor(0);
  if (call.rank(x) != 4) call.refuse("is known of f[batch, channels, height, width]");
  const Ints kernel = call.integers(1, 2), dilation = call.integers(2, 2), pads = call.integers(3, 2),
             stride = call.integers(4, 2);
  ValueId y = x;
  if (pads != Ints{0, 0}) y = call.op("Pad", {y}, {{"pads", Ints{0, 0, pads[0], pads[1], 0, 0, pads[0], pads[1]}}});
  Integer places{Dim(1)};
  for (size_t i = 0; i < 2; ++i) {
    // Along each of the two axes: the places of a window's entries, entry by entry.
    const auto axis = static_cast<int64_t>(i == 0 ? 2 : 4);
    const Integer room =
        subtract(call, call.size_of_axis(y, static_cast<size_t>(axis)), {Dim(dilation[i] * (kernel[i] - 1) + 1)});
    const Integer count = add(call, floor_divide(call, room, {Dim(stride[i])}), {Dim(1)});
    places = multiply(call, places, count);
    const auto counted = [&](const Integer& n, int64_t step) {
      const ValueId zero = call.scalar(0, ir::DType::i64), one = call.scalar(1, ir::DType::i64);
      return call.op("Mul", {call.op("Range", {zero, value_of(call, n), one}),
                             call.scalar(static_cast<double>(step), ir::DType::i64)});
    };
    const ValueId at =
        call.op("Add", {call.unsqueeze(counted({Dim(kernel[i])}, dilation[i]), {1}), counted(count, stride[i])});
    y = call.op("Gather", {y, at}, {{"axis", axis}});
  }
  // batch, channels, kernel row, row, kernel column, column
  y = call.transpose(y, {0, 1, 2, 4, 3, 5});
  const Dim channels = call.shape(x)[1];
  if (!channels.is_static()) call.refuse("needs a number of channels that is known");
  return {Tensor{call.reshape(y, {call.size_of_axis(x, 0), {Dim(channels.size() * kernel[0] * kernel[1])}, places})}};
}

}  // namespace

const std::vector<Row>& convolution_rows() {
  static const std::vector<Row> rows{
      {"aten::_convolution", convolution},
      {"aten::convolution", convolution},
      {"aten::_convolution_mode", forward_convolution},
      {"aten::conv1d", forward_convolution},
      {"aten::conv2d", forward_convolution},
      {"aten::conv3d", forward_convolution},
      {"aten::conv_transpose1d", transposed_convolution},
      {"aten::conv_transpose2d", transposed_convolution},
      {"aten::conv_transpose3d", transposed_convolution},
      {"aten::max_pool1d", max_pool<1>},
      {"aten::max_pool2d", max_pool<2>},
      {"aten::max_pool3d", max_pool<3>},
      {"aten::avg_pool1d", average_pool<1>},
      {"aten::avg_pool2d", average_pool<2>},
      {"aten::avg_pool3d", average_pool<3>},
      {"aten::adaptive_avg_pool1d", adaptive_average<1>},
      {"aten::adaptive_avg_pool2d", adaptive_average<2>},
      {"aten::adaptive_avg_pool3d", adaptive_average<3>},
      {"aten::adaptive_max_pool1d", adaptive_max<1>},
      {"aten::adaptive_max_pool2d", adaptive_max<2>},
      {"aten::im2col", windows},
  };
  return rows;
}

}  // namespace onnxport::script
