// SPDX-License-Identifier: Apache-2.0
#include "core/dummy/values.hpp"

#include <algorithm>
#include <utility>

#include "core/error.hpp"

namespace onnxport::dummy {
namespace {

using ir::DType;
using ir::Tensor;

[[noreturn]] void no_values(const InputSpec& spec) {
  throw Error(Failure::plugin, "no dummy values are known for the input '" + spec.name + "', " + to_string(spec.type),
              "the plugin can supply its own (generate_dummy_inputs)");
}

Tensor from_floats(const InputSpec& spec, const std::vector<int64_t>& shape, const std::vector<float>& values) {
  if (spec.type.dtype == DType::f32) return Tensor::of<float>(DType::f32, shape, values);
  if (spec.type.dtype == DType::f64)
    return Tensor::of<double>(DType::f64, shape, std::vector<double>(values.begin(), values.end()));
  no_values(spec);
}

std::vector<float> drawn(const std::vector<int64_t>& shape, Stream& stream) {
  std::vector<float> values(static_cast<size_t>(elements_of(shape)));
  for (float& value : values) value = stream.value();
  return values;
}

float between(float low, float high, float drawn) {
  return low + (high - low) * (drawn + 1) / 2;
}

}  // namespace

int64_t rows_of(const std::vector<int64_t>& shape) {
  int64_t count = 1;
  for (size_t i = 0; i + 1 < shape.size(); ++i) count *= shape[i];
  return count;
}
int64_t width_of(const std::vector<int64_t>& shape) {
  return shape.empty() ? 1 : shape.back();
}
int64_t elements_of(const std::vector<int64_t>& shape) {
  return rows_of(shape) * width_of(shape);
}

Tensor from_integers(const InputSpec& spec, const std::vector<int64_t>& shape, const std::vector<int64_t>& values) {
  const auto cast = [&]<class T>(T) {
    return Tensor::of<T>(spec.type.dtype, shape, std::vector<T>(values.begin(), values.end()));
  };
  switch (spec.type.dtype) {
    case DType::i64:
      return cast(int64_t{});
    case DType::i32:
      return cast(int32_t{});
    case DType::f32:
      return cast(float{});
    case DType::boolean:
    case DType::u8:
      return cast(uint8_t{});
    default:
      no_values(spec);
  }
}

Tensor filled(const InputSpec& spec, const std::vector<int64_t>& shape, double value) {
  const auto count = static_cast<size_t>(elements_of(shape));
  if (!ir::is_floating(spec.type.dtype))
    return from_integers(spec, shape, std::vector<int64_t>(count, static_cast<int64_t>(value)));
  return from_floats(spec, shape, std::vector<float>(count, static_cast<float>(value)));
}

Tensor reals(const InputSpec& spec, const std::vector<int64_t>& shape, Stream stream) {
  std::vector<float> values = drawn(shape, stream);
  if (spec.low < spec.high) {
    for (float& value : values) value = between(static_cast<float>(spec.low), static_cast<float>(spec.high), value);
  }
  return from_floats(spec, shape, values);
}

Tensor pixels(const InputSpec& spec, const std::vector<int64_t>& shape, Stream stream,
              const Preprocessor* preprocessor) {
  if (spec.low < spec.high || preprocessor == nullptr || shape.size() < 3) return reals(spec, shape, stream);
  const auto& range = preprocessor->pixel_range;
  const auto channels = static_cast<size_t>(shape[shape.size() - 3]);
  if (range.empty() || (range.size() != 1 && range.size() != channels)) return reals(spec, shape, stream);
  std::vector<float> values = drawn(shape, stream);
  const auto area = static_cast<size_t>(shape[shape.size() - 2] * shape.back());
  for (size_t i = 0; i < values.size(); ++i) {
    const auto& [black, white] = range[range.size() == 1 ? 0 : i / area % channels];
    values[i] = between(black, white, values[i]);
  }
  return from_floats(spec, shape, values);
}

Tensor boxes(const InputSpec& spec, const std::vector<int64_t>& shape, Stream stream) {
  if (width_of(shape) != 4) {
    throw Error(Failure::plugin, "the input '" + spec.name + "' holds boxes and is declared as " +
                                     to_string(spec.type) + "; its last axis has to be 4");
  }
  const int64_t limit = spec.limit > 0 ? std::min<int64_t>(spec.limit, 1001) : 1001;
  std::vector<int64_t> out;
  for (int64_t box = 0; box < rows_of(shape); ++box) {
    int64_t x0 = stream.below(limit), y0 = stream.below(limit), x1 = stream.below(limit), y1 = stream.below(limit);
    if (x0 > x1) std::swap(x0, x1);
    if (y0 > y1) std::swap(y0, y1);
    out.insert(out.end(), {x0, y0, x1, y1});
  }
  return from_integers(spec, shape, out);
}

std::vector<int64_t> image_mask(const std::vector<int64_t>& shape, bool is_padded) {
  std::vector<int64_t> out(static_cast<size_t>(elements_of(shape)), 1);
  if (!is_padded || shape.size() < 3) return out;
  const int64_t height = shape[shape.size() - 2], width = shape.back();
  for (size_t i = 0; i < out.size(); ++i) {
    const auto at = static_cast<int64_t>(i);
    const int64_t image = at / (height * width), row = at / width % height, column = at % width;
    if (image > 0 && (row >= height - height / 4 || column >= width - width / 3)) out[i] = 0;
  }
  return out;
}

std::vector<int64_t> first_of_row(const std::vector<int64_t>& shape) {
  std::vector<int64_t> out(static_cast<size_t>(elements_of(shape)), 0);
  for (size_t i = 0; i < out.size(); i += static_cast<size_t>(width_of(shape))) out[i] = 1;
  return out;
}

}  // namespace onnxport::dummy
