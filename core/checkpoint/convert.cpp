// SPDX-License-Identifier: Apache-2.0
#include "core/checkpoint/convert.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/error.hpp"

namespace onnxport {
namespace {

/// A weight's elements as f32.
std::vector<float> floats_of(const Weight& weight) {
  const ir::Tensor tensor = materialize(weight);
  std::vector<float> values(static_cast<size_t>(tensor.element_count()));
  convert_elements(tensor.dtype, tensor.data.data(), ir::DType::f32, reinterpret_cast<std::byte*>(values.data()),
                   values.size());
  return values;
}

bool computes(const Transform& transform) {
  return std::holds_alternative<ScaleRows>(transform) || std::holds_alternative<AddWeight>(transform) ||
         std::holds_alternative<InverseRoot>(transform);
}

/// Every step-th row of an axis.
std::vector<std::byte> sliced(const SliceAxis& slice, const std::vector<std::byte>& bytes, size_t element,
                              const std::vector<int64_t>& shape) {
  const auto axis = static_cast<size_t>(slice.axis);
  uint64_t outer = 1, inner = element;
  for (size_t i = 0; i < axis; ++i) outer *= static_cast<uint64_t>(shape[i]);
  for (size_t i = axis + 1; i < shape.size(); ++i) inner *= static_cast<uint64_t>(shape[i]);
  std::vector<std::byte> out;
  for (uint64_t i = 0; i < outer; ++i) {
    for (int64_t row = slice.begin; row < slice.end; row += slice.step) {
      const auto begin =
          bytes.begin() +
          static_cast<std::ptrdiff_t>((i * static_cast<uint64_t>(shape[axis]) + static_cast<uint64_t>(row)) * inner);
      out.insert(out.end(), begin, begin + static_cast<std::ptrdiff_t>(inner));
    }
  }
  return out;
}

/// One of the transforms that compute, over all elements of a weight.
void compute(const Transform& transform, std::vector<float>& values, size_t rows) {
  if (const auto* scale = std::get_if<ScaleRows>(&transform)) {
    const std::vector<float> factor = floats_of(*scale->factor);
    for (size_t i = 0; i < values.size(); ++i) values[i] *= factor.at(i * rows / values.size());
  } else if (const auto* add = std::get_if<AddWeight>(&transform)) {
    const std::vector<float> summand = floats_of(*add->summand);
    for (size_t i = 0; i < values.size(); ++i) values[i] += static_cast<float>(add->times) * summand.at(i);
  } else if (const auto* root = std::get_if<InverseRoot>(&transform)) {
    for (float& value : values) value = static_cast<float>(1.0 / std::sqrt(static_cast<double>(value) + root->epsilon));
  }
}

/// One transform over whole bytes, for those that have no streaming form.
std::vector<std::byte> apply(const Transform& transform, const std::vector<std::byte>& bytes, ir::DType& dtype,
                             std::vector<int64_t>& shape) {
  const size_t size = ir::size_of(dtype);
  if (const auto* reshape = std::get_if<ReshapeTo>(&transform)) {
    shape = reshape->shape;
    return bytes;
  }
  std::vector<std::byte> out;
  if (const auto* cast = std::get_if<CastTo>(&transform)) {
    const uint64_t count = bytes.size() / size;
    out.resize(count * ir::size_of(cast->dtype));
    convert_elements(dtype, bytes.data(), cast->dtype, out.data(), count);
    dtype = cast->dtype;
  } else if (const auto* slice = std::get_if<SliceAxis>(&transform)) {
    out = sliced(*slice, bytes, size, shape);
    shape[static_cast<size_t>(slice->axis)] = (slice->end - slice->begin + slice->step - 1) / slice->step;
  } else if (const auto* stack = std::get_if<StackWith>(&transform)) {
    out = bytes;
    for (const auto& other : stack->others) {
      const ir::Tensor tensor = materialize(*other);
      out.insert(out.end(), tensor.data.begin(), tensor.data.end());
    }
    shape.insert(shape.begin(), static_cast<int64_t>(1 + stack->others.size()));
  } else if (computes(transform)) {
    std::vector<float> values(bytes.size() / size);
    auto* floats = reinterpret_cast<std::byte*>(values.data());
    convert_elements(dtype, bytes.data(), ir::DType::f32, floats, values.size());
    compute(transform, values, shape.empty() ? 1 : static_cast<size_t>(shape[0]));
    out.resize(bytes.size());
    convert_elements(ir::DType::f32, floats, dtype, out.data(), values.size());
  } else {
    out.resize(bytes.size());
    const int64_t rows = shape.end()[-2], columns = shape.end()[-1];
    const size_t matrix = static_cast<size_t>(rows * columns) * size;
    for (size_t at = 0; at < bytes.size(); at += matrix)
      transpose_elements(size, {bytes.data() + at, rows, columns, columns}, out.data() + at);
    std::swap(shape.end()[-1], shape.end()[-2]);
  }
  return out;
}

}  // namespace

TileReader::TileReader(const Weight& weight)
    : stored_(weight.stored.get()), shape_(stored_->shape), strides_(stored_->strides), from_(stored_->dtype) {
  if (stored_->file == nullptr)
    throw Error(Failure::internal,
                fmt::format("{} has no bytes: it was asked for without a checkpoint", stored_->name));
  base_ = stored_->file->bytes().data() + stored_->offset;
  if (strides_.empty()) strides_ = row_major_strides(shape_);
  ir::DType to = from_;
  bool streams = true, order_is_final = false;
  for (const Transform& transform : weight.transforms) {
    if (const auto* cast = std::get_if<CastTo>(&transform)) {
      if (!can_convert(to, cast->dtype))
        convert_elements(to, nullptr, cast->dtype, nullptr, 0);  // throws with both names
      if (to != cast->dtype) casts_.push_back(cast->dtype);
      to = cast->dtype;
    } else if (const auto* reshape = std::get_if<ReshapeTo>(&transform)) {
      if (order_is_final) continue;
      if (is_contiguous(shape_, strides_)) {
        streams = streams && scale_.empty();  // its axis would be lost
        shape_ = reshape->shape;
        strides_ = row_major_strides(shape_);
      } else {
        order_is_final = true;  // the elements stay in the view's order, whatever their shape is called
      }
    } else if (order_is_final) {
      streams = false;
    } else if (const auto* slice = std::get_if<SliceAxis>(&transform)) {
      const auto axis = static_cast<size_t>(slice->axis);
      first_ += static_cast<uint64_t>(slice->begin * strides_[axis]);
      shape_[axis] = (slice->end - slice->begin + slice->step - 1) / slice->step;
      strides_[axis] *= slice->step;
      if (!scale_.empty() && axis == scaled_axis_) {
        streams = streams && slice->step == 1;
        scale_ = {scale_.begin() + slice->begin, scale_.begin() + slice->end};
      }
    } else if (const auto* scale = std::get_if<ScaleRows>(&transform)) {
      streams = streams && scale_.empty();
      scale_ = floats_of(*scale->factor);
      scaled_axis_ = 0;
      scaled_after_ = casts_.size();
    } else if (computes(transform) || std::holds_alternative<StackWith>(transform)) {
      streams = false;
      order_is_final = true;  // the rest is done to whole bytes
    } else {
      const size_t last = shape_.size() - 1;
      if (scaled_axis_ + 1 >= last) scaled_axis_ = 2 * last - 1 - scaled_axis_;
      std::swap(shape_.end()[-1], shape_.end()[-2]);
      std::swap(strides_.end()[-1], strides_.end()[-2]);
    }
  }
  if (!streams) {
    whole_ = materialize(Weight{weight.stored, {}}).data;
    shape_ = stored_->shape;
    for (const Transform& transform : weight.transforms) whole_ = apply(transform, whole_, from_, shape_);
    strides_ = row_major_strides(shape_);
    base_ = whole_.data();
    first_ = 0;
    casts_.clear();
    scale_.clear();
  }
  contiguous_ = is_contiguous(shape_, strides_);
  // What was made whole in memory is written whole: a reader for each piece of it would make it again.
  granularity_ =
      !streams
          ? std::max<uint64_t>(1, whole_.size())
          : ir::size_of(to) * (has_transposed_rows() ? std::max<uint64_t>(1, static_cast<uint64_t>(shape_.back())) : 1);
}

/// Whether the view's last two axes are a matrix that lies transposed.
bool TileReader::has_transposed_rows() const {
  return !contiguous_ && shape_.size() >= 2 && strides_.end()[-2] == 1 && strides_.end()[-1] > 1;
}

std::optional<uint64_t> TileReader::untouched() const {
  if (!whole_.empty() || !contiguous_ || !casts_.empty() || !scale_.empty()) return std::nullopt;
  return stored_->offset + first_ * ir::size_of(from_);
}

/// Elements [first, first + count) of a view that is not contiguous, one run along the last axis after the other; whole
/// rows of a transposed matrix go together.
void TileReader::gather(uint64_t first, uint64_t count, std::byte* out) const {
  const size_t size = ir::size_of(from_), last = shape_.size() - 1;
  std::vector<int64_t> index(shape_.size());
  for (size_t axis = shape_.size(); axis-- > 0; first /= static_cast<uint64_t>(shape_[axis]))
    index[axis] = static_cast<int64_t>(first % static_cast<uint64_t>(shape_[axis]));
  for (auto left = static_cast<int64_t>(count); left > 0;) {
    auto at = static_cast<int64_t>(first_);
    for (size_t axis = 0; axis <= last; ++axis) at += index[axis] * strides_[axis];
    const std::byte* source = base_ + at * static_cast<int64_t>(size);
    int64_t taken = std::min(left, shape_[last] - index[last]);
    size_t carry = last;
    if (has_transposed_rows() && taken == shape_[last]) {
      const int64_t rows = std::min(left / shape_[last], shape_[last - 1] - index[last - 1]);
      transpose_elements(size, {source, shape_[last], rows, strides_[last]}, out);
      taken = rows * shape_[last];
      index[last - 1] += rows;
      carry = last - 1;
    } else {
      if (strides_[last] == 1)
        std::memcpy(out, source, static_cast<size_t>(taken) * size);
      else
        collect_elements(size, source, strides_[last], out, taken);
      index[last] += taken;
    }
    for (; carry > 0 && index[carry] == shape_[carry]; --carry) {
      index[carry] = 0;
      ++index[carry - 1];
    }
    out += static_cast<size_t>(taken) * size;
    left -= taken;
  }
}

/// Multiplies elements from `first` on, which are of that type, by the factors of their rows.
void TileReader::scale(ir::DType dtype, uint64_t first, std::vector<std::byte>& elements) const {
  std::vector<float> values(elements.size() / ir::size_of(dtype));
  auto* floats = reinterpret_cast<std::byte*>(values.data());
  convert_elements(dtype, elements.data(), ir::DType::f32, floats, values.size());
  uint64_t run = 1;
  for (size_t axis = scaled_axis_ + 1; axis < shape_.size(); ++axis) run *= static_cast<uint64_t>(shape_[axis]);
  for (uint64_t i = 0; i < values.size(); ++i) values[i] *= scale_[(first + i) / run % scale_.size()];
  convert_elements(ir::DType::f32, floats, dtype, elements.data(), values.size());
}

void TileReader::read_scaled(uint64_t first, uint64_t count, std::span<std::byte> out) const {
  std::vector<std::byte> elements(count * ir::size_of(from_));
  if (contiguous_)
    std::memcpy(elements.data(), base_ + (first_ + first) * ir::size_of(from_), elements.size());
  else
    gather(first, count, elements.data());
  ir::DType dtype = from_;
  for (size_t i = 0; i <= casts_.size(); ++i) {
    if (i == scaled_after_) scale(dtype, first, elements);
    if (i == casts_.size()) break;
    std::vector<std::byte> next(count * ir::size_of(casts_[i]));
    convert_elements(dtype, elements.data(), casts_[i], next.data(), count);
    elements = std::move(next);
    dtype = casts_[i];
  }
  std::memcpy(out.data(), elements.data(), out.size());
}

void TileReader::read(uint64_t begin, std::span<std::byte> out) const {
  if (out.empty()) return;
  const size_t size = ir::size_of(casts_.empty() ? from_ : casts_.back());
  const uint64_t first = begin / size, count = out.size() / size;
  if (!scale_.empty()) return read_scaled(first, count, out);
  const std::byte* source = base_ + (first_ + first) * ir::size_of(from_);
  std::vector<std::byte> gathered;
  if (!contiguous_) {
    if (casts_.empty()) return gather(first, count, out.data());
    gathered.resize(count * ir::size_of(from_));
    gather(first, count, gathered.data());
    source = gathered.data();
  }
  cast(source, count, out.data());
}

/// The elements' way from their stored type to the last one.
void TileReader::cast(const std::byte* source, uint64_t count, std::byte* out) const {
  if (casts_.empty()) {
    std::memcpy(out, source, count * ir::size_of(from_));
    return;
  }
  ir::DType from = from_;
  std::vector<std::byte> between;
  for (size_t i = 0; i + 1 < casts_.size(); ++i) {
    std::vector<std::byte> next(count * ir::size_of(casts_[i]));
    convert_elements(from, source, casts_[i], next.data(), count);
    between = std::move(next);
    source = between.data();
    from = casts_[i];
  }
  convert_elements(from, source, casts_.back(), out, count);
}

std::optional<std::pair<uint64_t, uint64_t>> TileReader::transposed_matrix() const {
  if (!whole_.empty() || !scale_.empty() || shape_.size() != 2 || !has_transposed_rows()) return std::nullopt;
  return std::pair{static_cast<uint64_t>(shape_[0]), static_cast<uint64_t>(shape_[1])};
}

void TileReader::read_block(const Block& block, std::span<std::byte> out) const {
  const size_t size = ir::size_of(from_);
  const uint64_t first = first_ + block.row + block.column * static_cast<uint64_t>(strides_[1]);
  const Matrix matrix{base_ + first * size, static_cast<int64_t>(block.columns), static_cast<int64_t>(block.rows),
                      strides_[1]};
  if (casts_.empty()) return transpose_elements(size, matrix, out.data());
  std::vector<std::byte> gathered(block.rows * block.columns * size);
  transpose_elements(size, matrix, gathered.data());
  cast(gathered.data(), block.rows * block.columns, out.data());
}

std::pair<uint64_t, uint64_t> TileReader::stored_range() const {
  if (!whole_.empty()) return {stored_->offset, stored_->bytes};
  uint64_t elements = 1;
  for (size_t axis = 0; axis < shape_.size(); ++axis) {
    if (shape_[axis] == 0) return {stored_->offset, 0};
    elements += static_cast<uint64_t>((shape_[axis] - 1) * strides_[axis]);
  }
  const uint64_t size = ir::size_of(from_);
  return {stored_->offset + first_ * size, elements * size};
}

std::pair<uint64_t, uint64_t> TileReader::stored_columns(uint64_t column, uint64_t columns) const {
  const uint64_t size = ir::size_of(from_), step = static_cast<uint64_t>(strides_[1]);
  return {stored_->offset + (first_ + column * step) * size, columns * step * size};
}

}  // namespace onnxport
