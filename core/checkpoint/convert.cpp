// SPDX-License-Identifier: Apache-2.0
#include "core/checkpoint/convert.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/checkpoint/arithmetic.hpp"
#include "core/error.hpp"

namespace onnxport {
namespace {

constexpr uint64_t piece_bytes = uint64_t{1} << 20;  // of what is made whole in memory, at a time
constexpr uint64_t cheap_bytes = uint64_t{1} << 16;  // what may be made again for each piece of a weight

uint64_t count_of(const std::vector<int64_t>& shape) {
  uint64_t count = 1;
  for (int64_t size : shape) count *= static_cast<uint64_t>(size);
  return count;
}

bool moves_elements(const Transform& transform) {
  return std::holds_alternative<TransposeMatrix>(transform) || std::holds_alternative<PermuteAxes>(transform) ||
         std::holds_alternative<ReshapeTo>(transform) || std::holds_alternative<SliceAxis>(transform) ||
         std::holds_alternative<ExpandTo>(transform);
}

/// A type's largest number, and what to do where a tensor has larger ones.
struct Range {
  ir::DType dtype;
  Failure failure;
  const char *name, *largest, *next_step;
};
constexpr Range ranges[] = {
    {ir::DType::f16, Failure::usage, "fp16", "65504",
     "choose --dtype bf16, which has the range of fp32, or leave --dtype out"},
    {ir::DType::bf16, Failure::usage, "bf16", "3.39e38", "leave --dtype out"},
    {ir::DType::f32, Failure::checkpoint, "fp32", "3.403e38",
     "graphs compute in fp32; save the checkpoint in fp32, and look where these numbers come from"},
};

[[noreturn]] void refuse_beyond(ir::DType dtype, const std::string& tensor) {
  const Range* range =
      std::find_if(std::begin(ranges), std::end(ranges), [&](const Range& row) { return row.dtype == dtype; });
  if (range == std::end(ranges)) throw Error(Failure::internal, "a type without a range");
  throw Error(range->failure,
              fmt::format("the tensor '{}' holds numbers beyond {}, the largest that {} has", tensor, range->largest,
                          range->name),
              range->next_step);
}

}  // namespace

TileReader::TileReader(const Weight& weight)
    : stored_(weight.stored.get()),
      shape_(stored_->shape),
      strides_(stored_->strides),
      from_(stored_->dtype),
      to_(stored_->dtype) {
  const ir::Tensor* made = stored_->recipe != nullptr ? &stored_->recipe->tensor() : stored_->constant.get();
  if (stored_->file == nullptr && made == nullptr)
    throw Error(Failure::internal,
                fmt::format("{} has no bytes: it was asked for without a checkpoint", stored_->name));
  const std::byte* bytes = made != nullptr ? made->data.data() : stored_->file->bytes().data();
  base_ = bytes + stored_->offset;
  if (strides_.empty()) strides_ = row_major_strides(shape_);
  for (const Transform& transform : weight.transforms) take(transform);
  open_others();
  look();
  const uint64_t size = ir::size_of(to_);
  // What was made whole in memory is written whole: a reader for each piece of it would make it again.
  if (made_whole_)
    granularity_ = std::max<uint64_t>(1, size * count_of(shape_));
  else
    granularity_ = size * (has_transposed_rows() ? std::max<uint64_t>(1, static_cast<uint64_t>(shape_.back())) : 1);
}

void TileReader::take(const Transform& transform) {
  if (moves_elements(transform)) return take_layout(transform);
  if (const auto* stack = std::get_if<StackWith>(&transform)) {
    settle();
    for (const auto& other : stack->others) {
      const ir::Tensor tensor = materialize(*other);
      whole_.insert(whole_.end(), tensor.data.begin(), tensor.data.end());
    }
    made_whole_ = made_whole_ || whole_.size() > cheap_bytes;
    base_ = whole_.data();
    shape_.insert(shape_.begin(), static_cast<int64_t>(1 + stack->others.size()));
    strides_ = row_major_strides(shape_);
    return;
  }
  Step step{transform};
  if (const auto* cast = std::get_if<CastTo>(&transform)) {
    if (!can_convert(to_, cast->dtype)) convert_elements(to_, nullptr, cast->dtype, nullptr, 0);  // throws with both
    if (to_ == cast->dtype) return;
    to_ = cast->dtype;
  } else if (const auto* combine = std::get_if<CombineWith>(&transform)) {
    step.other = *combine->other;
  }
  steps_.push_back(std::move(step));
}

/// Moves the view, and what its elements are combined with along with it.
void TileReader::take_layout(const Transform& transform) {
  const auto* reshape = std::get_if<ReshapeTo>(&transform);
  const auto* expand = std::get_if<ExpandTo>(&transform);
  // What a reshaped view has no strides for, and what would be computed once for each repetition.
  if ((called_ && reshape == nullptr) || (expand != nullptr && !steps_.empty())) settle();
  for (Step& step : steps_) {
    if (step.other) step.other = step.other->then(transform);
  }
  if (reshape != nullptr) {
    if (is_contiguous(shape_, strides_) && !called_) {
      shape_ = reshape->shape;
      strides_ = row_major_strides(shape_);
    } else {
      called_ = reshape->shape;  // the elements stay in the view's order, whatever their shape is called
    }
  } else if (const auto* slice = std::get_if<SliceAxis>(&transform)) {
    const auto axis = static_cast<size_t>(slice->axis);
    first_ += static_cast<uint64_t>(slice->begin * strides_[axis]);
    shape_[axis] = (slice->end - slice->begin + slice->step - 1) / slice->step;
    strides_[axis] *= slice->step;
  } else if (const auto* permute = std::get_if<PermuteAxes>(&transform)) {
    const std::vector<int64_t> shape = shape_, strides = strides_;
    for (size_t axis = 0; axis < shape.size(); ++axis) {
      const auto from = static_cast<size_t>(permute->order[axis]);
      shape_[axis] = shape[from];
      strides_[axis] = strides[from];
    }
  } else if (expand != nullptr) {
    const size_t fresh = expand->shape.size() - shape_.size();
    strides_.insert(strides_.begin(), fresh, 0);
    for (size_t axis = 0; axis < shape_.size(); ++axis) {
      if (shape_[axis] != expand->shape[axis + fresh]) strides_[axis + fresh] = 0;
    }
    shape_ = expand->shape;
  } else {
    std::swap(shape_.end()[-1], shape_.end()[-2]);
    std::swap(strides_.end()[-1], strides_.end()[-2]);
  }
}

/// Makes what there is so far whole in memory, for transforms that have no streaming form behind it.
void TileReader::settle() {
  open_others();
  look();
  std::vector<std::byte> whole(count_of(shape_) * ir::size_of(to_));
  for (uint64_t begin = 0; begin < whole.size(); begin += piece_bytes)
    read(begin, std::span(whole).subspan(begin, std::min<uint64_t>(piece_bytes, whole.size() - begin)));
  whole_ = std::move(whole);
  made_whole_ = made_whole_ || whole_.size() > cheap_bytes;
  base_ = whole_.data();
  first_ = 0;
  if (called_) shape_ = *std::exchange(called_, std::nullopt);
  strides_ = row_major_strides(shape_);
  from_ = to_;
  steps_.clear();
}

void TileReader::open_others() {
  for (Step& step : steps_) {
    if (!step.other) continue;
    step.reader = std::make_shared<const TileReader>(*step.other);
    made_whole_ = made_whole_ || step.reader->made_whole_;
  }
}

/// Whether the view's last two axes are a matrix that lies transposed.
bool TileReader::has_transposed_rows() const {
  return !contiguous_ && shape_.size() >= 2 && strides_.end()[-2] == 1 && strides_.end()[-1] > 1;
}

/// Whether no step needs another weight, whose elements would have to be in the same order.
bool TileReader::computes_alone() const {
  return std::none_of(steps_.begin(), steps_.end(), [](const Step& step) { return step.other.has_value(); });
}

std::optional<uint64_t> TileReader::untouched() const {
  if (stored_->file == nullptr || !whole_.empty() || !contiguous_ || !steps_.empty()) return std::nullopt;
  return stored_->offset + first_ * ir::size_of(from_);
}

/// Notes how the view lies. Axes that one step leads through are one run: a row that is repeated over a kernel's axes
/// is repeated once and not for each of them.
void TileReader::look() {
  contiguous_ = is_contiguous(shape_, strides_);
  runs_ = {};
  for (size_t axis = shape_.size(); axis-- > 0;) {
    if (shape_[axis] == 1) continue;
    if (!runs_.shape.empty() && strides_[axis] == runs_.strides.back() * runs_.shape.back()) {
      runs_.shape.back() *= shape_[axis];
    } else {
      runs_.shape.push_back(shape_[axis]);
      runs_.strides.push_back(strides_[axis]);
    }
  }
  if (runs_.shape.empty()) runs_ = {{1}, {1}};
  std::reverse(runs_.shape.begin(), runs_.shape.end());
  std::reverse(runs_.strides.begin(), runs_.strides.end());
}

/// Elements [first, first + count) of a view that is not contiguous, one run along the last axis after the other; whole
/// rows of a transposed matrix go together.
void TileReader::gather(uint64_t first, uint64_t count, std::byte* out) const {
  const size_t size = ir::size_of(from_), last = runs_.shape.size() - 1;
  const bool transposed = last >= 1 && runs_.strides[last - 1] == 1 && runs_.strides[last] > 1;
  std::vector<int64_t> index(runs_.shape.size());
  for (size_t axis = runs_.shape.size(); axis-- > 0; first /= static_cast<uint64_t>(runs_.shape[axis]))
    index[axis] = static_cast<int64_t>(first % static_cast<uint64_t>(runs_.shape[axis]));
  for (auto left = static_cast<int64_t>(count); left > 0;) {
    auto at = static_cast<int64_t>(first_);
    for (size_t axis = 0; axis <= last; ++axis) at += index[axis] * runs_.strides[axis];
    const std::byte* source = base_ + at * static_cast<int64_t>(size);
    int64_t taken = std::min(left, runs_.shape[last] - index[last]);
    size_t carry = last;
    if (transposed && taken == runs_.shape[last]) {
      const int64_t rows = std::min(left / runs_.shape[last], runs_.shape[last - 1] - index[last - 1]);
      transpose_elements(size, {source, runs_.shape[last], rows, runs_.strides[last]}, out);
      taken = rows * runs_.shape[last];
      index[last - 1] += rows;
      carry = last - 1;
    } else {
      if (runs_.strides[last] == 1)
        std::memcpy(out, source, static_cast<size_t>(taken) * size);
      else
        collect_elements(size, source, runs_.strides[last], out, taken);
      index[last] += taken;
    }
    for (; carry > 0 && index[carry] == runs_.shape[carry]; --carry) {
      index[carry] = 0;
      ++index[carry - 1];
    }
    out += static_cast<size_t>(taken) * size;
    left -= taken;
  }
}

void TileReader::read(uint64_t begin, std::span<std::byte> out) const {
  if (out.empty()) return;
  const size_t size = ir::size_of(to_);
  const uint64_t first = begin / size, count = out.size() / size;
  if (contiguous_) return run_steps(base_ + (first_ + first) * ir::size_of(from_), first, count, out.data());
  if (steps_.empty()) return gather(first, count, out.data());
  std::vector<std::byte> gathered(count * ir::size_of(from_));
  gather(first, count, gathered.data());
  run_steps(gathered.data(), first, count, out.data());
}

/// The elements' way from what the view has to the final ones; `first` is the first one's place.
void TileReader::run_steps(const std::byte* source, uint64_t first, uint64_t count, std::byte* out) const {
  ir::DType dtype = from_;
  std::vector<std::byte> held;  // where `source` is not what was given
  for (size_t i = 0; i < steps_.size(); ++i) {
    const Step& step = steps_[i];
    const size_t size = ir::size_of(dtype);
    if (const auto* cast = std::get_if<CastTo>(&step.transform)) {
      const bool last = i + 1 == steps_.size();
      std::vector<std::byte> next(last ? 0 : count * ir::size_of(cast->dtype));
      std::byte* const target = last ? out : next.data();
      convert_elements(dtype, source, cast->dtype, target, count);
      if (become_infinite({dtype, source, count}, cast->dtype, target)) refuse_beyond(cast->dtype, stored_->name);
      if (last) return;
      held = std::move(next);
      dtype = cast->dtype;
    } else {
      if (held.empty()) held.assign(source, source + count * size);
      if (const auto* combine = std::get_if<CombineWith>(&step.transform)) {
        std::vector<std::byte> other(count * size);
        step.reader->read(first * size, other);
        combine_elements(dtype, {combine->how, combine->reversed}, held.data(), other.data(), count);
      } else {
        apply_to_elements(dtype, step.transform, held.data(), count);
      }
    }
    source = held.data();
  }
  std::memcpy(out, source, count * ir::size_of(dtype));
}

std::optional<std::pair<uint64_t, uint64_t>> TileReader::transposed_matrix() const {
  if (!whole_.empty() || !computes_alone() || shape_.size() != 2 || !has_transposed_rows()) return std::nullopt;
  return std::pair{static_cast<uint64_t>(shape_[0]), static_cast<uint64_t>(shape_[1])};
}

void TileReader::read_block(const Block& block, std::span<std::byte> out) const {
  const size_t size = ir::size_of(from_);
  const uint64_t first = first_ + block.row + block.column * static_cast<uint64_t>(strides_[1]);
  const Matrix matrix{base_ + first * size, static_cast<int64_t>(block.columns), static_cast<int64_t>(block.rows),
                      strides_[1]};
  if (steps_.empty()) return transpose_elements(size, matrix, out.data());
  std::vector<std::byte> gathered(block.rows * block.columns * size);
  transpose_elements(size, matrix, gathered.data());
  run_steps(gathered.data(), 0, block.rows * block.columns, out.data());
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
