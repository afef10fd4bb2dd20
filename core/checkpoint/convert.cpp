// SPDX-License-Identifier: Apache-2.0
#include "core/checkpoint/convert.hpp"

#include <fmt/format.h>

#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

#include <bit>
#include <cmath>
#include <cstring>

#include "core/error.hpp"

namespace onnxport {
namespace {

// ------------------------------------------------------------------------------------- element conversion

struct Half {
  uint16_t bits;
};
struct Brain {
  uint16_t bits;
};

float widen(Half half) {
  const uint32_t sign = static_cast<uint32_t>(half.bits & 0x8000u) << 16, exponent = (half.bits >> 10) & 0x1fu,
                 fraction = half.bits & 0x3ffu;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000u | (fraction << 13));
  if (exponent != 0) return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (fraction << 13));
  const float magnitude = std::ldexp(static_cast<float>(fraction), -24);  // subnormal: exact in f32
  return sign != 0 ? -magnitude : magnitude;
}
float widen(Brain brain) {
  return std::bit_cast<float>(static_cast<uint32_t>(brain.bits) << 16);
}
float widen(float value) {
  return value;
}

template <class T>
T narrow(float value);
template <>
float narrow<float>(float value) {
  return value;
}
template <>
Brain narrow<Brain>(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  if (std::isnan(value)) return {static_cast<uint16_t>((bits >> 16) | 0x40u)};
  return {static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16)};
}
template <>
Half narrow<Half>(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const auto sign = static_cast<uint16_t>((bits >> 16) & 0x8000u);
  if (std::isnan(value)) return {static_cast<uint16_t>(sign | 0x7e00u)};
  const float magnitude = std::fabs(value);
  if (magnitude >= 65520.0f) return {static_cast<uint16_t>(sign | 0x7c00u)};
  if (magnitude < 6.103515625e-05f) {
    // Below the smallest normal number: a multiple of 2^-24, rounded by nearbyint to even.
    return {static_cast<uint16_t>(sign | static_cast<uint16_t>(std::nearbyint(std::ldexp(magnitude, 24))))};
  }
  const uint32_t rounded = (bits & 0x7fffffffu) + 0xfffu + ((bits >> 13) & 1u);
  return {static_cast<uint16_t>(sign | ((rounded >> 13) - (112u << 10)))};
}

template <class From, class To>
void convert(const std::byte* source, std::byte* target, uint64_t count) {
  for (uint64_t i = 0; i < count; ++i) {
    From from;
    std::memcpy(&from, source + i * sizeof(From), sizeof(From));
    To to;
    if constexpr (std::is_same_v<From, double> && std::is_same_v<To, double>)
      to = from;
    else if constexpr (std::is_same_v<From, double>)
      to = narrow<To>(static_cast<float>(from));
    else if constexpr (std::is_same_v<To, double>)
      to = widen(from);
    else
      to = narrow<To>(widen(from));
    std::memcpy(target + i * sizeof(To), &to, sizeof(To));
  }
}

template <class From>
void convert_from(ir::DType to, const std::byte* source, std::byte* target, uint64_t count) {
  switch (to) {
    case ir::DType::f32:
      return convert<From, float>(source, target, count);
    case ir::DType::f16:
      return convert<From, Half>(source, target, count);
    case ir::DType::bf16:
      return convert<From, Brain>(source, target, count);
    default:
      return convert<From, double>(source, target, count);
  }
}

bool is_convertible_float(ir::DType dtype) {
  return dtype == ir::DType::f32 || dtype == ir::DType::f16 || dtype == ir::DType::bf16 || dtype == ir::DType::f64;
}

// --------------------------------------------------------------------------------------------- transposing

/// A block of `side` × `side` elements: rows of the source become columns of the target.
template <class T, int64_t side>
void transpose_block(const T* source, int64_t source_stride, T* target, int64_t target_stride) {
  for (int64_t c = 0; c < side; ++c) {
    for (int64_t r = 0; r < side; ++r) target[c * target_stride + r] = source[r * source_stride + c];
  }
}

#if defined(__SSE2__)
/// The same for the four-byte elements that most checkpoints have, which compilers do not vectorise by themselves.
template <>
void transpose_block<uint32_t, 4>(const uint32_t* source, int64_t source_stride, uint32_t* target,
                                  int64_t target_stride) {
  const auto row = [&](int64_t r) { return _mm_loadu_ps(reinterpret_cast<const float*>(source + r * source_stride)); };
  __m128 a = row(0), b = row(1), c = row(2), d = row(3);
  _MM_TRANSPOSE4_PS(a, b, c, d);
  const __m128 rows[] = {a, b, c, d};
  for (int64_t r = 0; r < 4; ++r) _mm_storeu_ps(reinterpret_cast<float*>(target + r * target_stride), rows[r]);
}
#endif

/// target[c][r] = source[r][c] for columns [begin, end). A strip of columns of one cache line goes down all rows, so
/// that every line of the source is read once.
template <class T>
void transpose_columns(const T* source, T* target, int64_t rows, int64_t columns, int64_t begin, int64_t end) {
  constexpr int64_t side = 4, strip = 64 / static_cast<int64_t>(sizeof(T));
  for (int64_t c0 = begin; c0 < end; c0 += strip) {
    const int64_t c1 = std::min(c0 + strip, end);
    int64_t r = 0;
    for (; r + side <= rows; r += side) {
      int64_t c = c0;
      for (; c + side <= c1; c += side)
        transpose_block<T, side>(source + r * columns + c, columns, target + (c - begin) * rows + r, rows);
      for (; c < c1; ++c) {
        for (int64_t i = r; i < r + side; ++i) target[(c - begin) * rows + i] = source[i * columns + c];
      }
    }
    for (; r < rows; ++r) {
      for (int64_t c = c0; c < c1; ++c) target[(c - begin) * rows + r] = source[r * columns + c];
    }
  }
}

void transpose_elements(size_t size, const std::byte* source, std::byte* target, int64_t rows, int64_t columns,
                        int64_t begin, int64_t end) {
  const auto as = [&]<class T>(T) {
    transpose_columns(reinterpret_cast<const T*>(source), reinterpret_cast<T*>(target), rows, columns, begin, end);
  };
  switch (size) {
    case 1:
      return as(uint8_t{});
    case 2:
      return as(uint16_t{});
    case 4:
      return as(uint32_t{});
    default:
      return as(uint64_t{});
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
    const auto axis = static_cast<size_t>(slice->axis);
    uint64_t outer = 1, inner = size;
    for (size_t i = 0; i < axis; ++i) outer *= static_cast<uint64_t>(shape[i]);
    for (size_t i = axis + 1; i < shape.size(); ++i) inner *= static_cast<uint64_t>(shape[i]);
    const uint64_t run = static_cast<uint64_t>(slice->end - slice->begin) * inner;
    for (uint64_t i = 0; i < outer; ++i) {
      const auto begin =
          bytes.begin() + static_cast<std::ptrdiff_t>(
                              (i * static_cast<uint64_t>(shape[axis]) + static_cast<uint64_t>(slice->begin)) * inner);
      out.insert(out.end(), begin, begin + static_cast<std::ptrdiff_t>(run));
    }
    shape[axis] = slice->end - slice->begin;
  } else {
    out.resize(bytes.size());
    transpose_elements(size, bytes.data(), out.data(), shape[0], shape[1], 0, shape[1]);
    std::swap(shape[0], shape[1]);
  }
  return out;
}

}  // namespace

bool can_convert(ir::DType from, ir::DType to) {
  return from == to || (is_convertible_float(from) && is_convertible_float(to));
}

void convert_elements(ir::DType from, const std::byte* source, ir::DType to, std::byte* target, uint64_t count) {
  if (from == to) {
    if (count > 0) std::memcpy(target, source, count * ir::size_of(from));
    return;
  }
  if (!can_convert(from, to)) {
    throw Error(Failure::checkpoint, fmt::format("{} cannot be converted to {}", ir::name_of(from), ir::name_of(to)),
                "convert the checkpoint to f32, f16 or bf16 first");
  }
  switch (from) {
    case ir::DType::f32:
      return convert_from<float>(to, source, target, count);
    case ir::DType::f16:
      return convert_from<Half>(to, source, target, count);
    case ir::DType::bf16:
      return convert_from<Brain>(to, source, target, count);
    default:
      return convert_from<double>(to, source, target, count);
  }
}

TileReader::TileReader(const Weight& weight)
    : stored_(weight.stored.get()), from_(stored_->dtype), to_(stored_->dtype) {
  if (stored_->file == nullptr)
    throw Error(Failure::internal,
                fmt::format("{} has no bytes: it was asked for without a checkpoint", stored_->name));
  bytes_ = stored_->file->bytes().subspan(stored_->offset, stored_->bytes);
  std::vector<int64_t> shape = stored_->shape;
  bool streams = true;
  for (const Transform& transform : weight.transforms) {
    if (const auto* cast = std::get_if<CastTo>(&transform)) {
      streams = streams && to_ == from_;
      if (!can_convert(to_, cast->dtype))
        convert_elements(to_, nullptr, cast->dtype, nullptr, 0);  // throws with both names
      to_ = cast->dtype;
    } else if (const auto* reshape = std::get_if<ReshapeTo>(&transform)) {
      streams = streams && !transposed_;
      shape = reshape->shape;
    } else if (const auto* slice = std::get_if<SliceAxis>(&transform)) {
      streams = streams && !transposed_ && slice->axis == 0;
      if (!streams) continue;
      uint64_t row = 1;
      for (size_t i = 1; i < shape.size(); ++i) row *= static_cast<uint64_t>(shape[i]);
      first_ += static_cast<uint64_t>(slice->begin) * row;
      shape[0] = slice->end - slice->begin;
    } else {
      streams = streams && !transposed_ && shape.size() == 2;
      if (!streams) continue;
      rows_ = shape[0];
      columns_ = shape[1];
      std::swap(shape[0], shape[1]);
      transposed_ = true;
    }
  }
  if (!streams) {
    ir::DType dtype = stored_->dtype;
    shape = stored_->shape;
    whole_.assign(bytes_.begin(), bytes_.end());
    for (const Transform& transform : weight.transforms) whole_ = apply(transform, whole_, dtype, shape);
    bytes_ = whole_;
    from_ = to_ = dtype;
    first_ = 0;
    transposed_ = false;
  }
  // What was made whole in memory is written whole: a reader for each piece of it would make it again.
  granularity_ = !streams ? std::max<uint64_t>(1, whole_.size())
                          : ir::size_of(to_) * (transposed_ ? static_cast<uint64_t>(rows_) : 1);
}

std::optional<uint64_t> TileReader::untouched() const {
  if (!whole_.empty() || transposed_ || from_ != to_) return std::nullopt;
  return stored_->offset + first_ * ir::size_of(from_);
}

void TileReader::read(uint64_t begin, std::span<std::byte> out) const {
  if (out.empty()) return;
  const uint64_t first = begin / ir::size_of(to_), count = out.size() / ir::size_of(to_);
  const std::byte* base = bytes_.data() + first_ * ir::size_of(from_);
  if (!transposed_) {
    convert_elements(from_, base + first * ir::size_of(from_), to_, out.data(), count);
    return;
  }
  const auto row = static_cast<int64_t>(first) / rows_, end = row + static_cast<int64_t>(count) / rows_;
  if (from_ == to_) {
    transpose_elements(ir::size_of(from_), base, out.data(), rows_, columns_, row, end);
    return;
  }
  std::vector<std::byte> turned(count * ir::size_of(from_));
  transpose_elements(ir::size_of(from_), base, turned.data(), rows_, columns_, row, end);
  convert_elements(from_, turned.data(), to_, out.data(), count);
}

}  // namespace onnxport
