// SPDX-License-Identifier: Apache-2.0
#include "core/tensor/elements.hpp"

#include <fmt/format.h>

#if defined(__x86_64__)
#include <emmintrin.h>
#endif

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "core/error.hpp"

namespace onnxport {
namespace {

// --------------------------------------------------------------------------------------------------- conversion

struct Half {
  uint16_t bits;
};
struct Brain {
  uint16_t bits;
};

/// Eight bits: four of exponent and three of fraction without infinities, or five and two as a half has them.
struct Finite8 {
  uint8_t bits;
};
struct Half8 {
  uint8_t bits;
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
float widen(Half8 eight) {
  return widen(Half{static_cast<uint16_t>(eight.bits << 8)});
}
float widen(Finite8 eight) {
  const uint32_t sign = static_cast<uint32_t>(eight.bits & 0x80u) << 24, exponent = (eight.bits >> 3) & 0xfu,
                 fraction = eight.bits & 7u;
  if (exponent == 15 && fraction == 7) return std::bit_cast<float>(sign | 0x7fc00000u);
  if (exponent != 0) return std::bit_cast<float>(sign | ((exponent + 120) << 23) | (fraction << 20));
  const float magnitude = std::ldexp(static_cast<float>(fraction), -9);
  return sign != 0 ? -magnitude : magnitude;
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

bool is_float8(ir::DType dtype) {
  return dtype == ir::DType::f8e4m3fn || dtype == ir::DType::f8e5m2;
}
bool is_convertible_float(ir::DType dtype) {
  return dtype == ir::DType::f32 || dtype == ir::DType::f16 || dtype == ir::DType::bf16 || dtype == ir::DType::f64;
}

// --------------------------------------------------------------------------------------------------- moving

/// An element at any address: files do not align their tensors.
template <class T>
T load(const std::byte* source) {
  T value;
  std::memcpy(&value, source, sizeof value);
  return value;
}

// How many rows and columns of the source are turned round at once, and how: rows become columns. Strides in elements.
template <class T>
struct Scalar {
  using Element = T;
  static constexpr int64_t rows = 4, columns = 4;
  static void turn(const std::byte* source, int64_t source_stride, T* target, int64_t target_stride) {
    constexpr auto size = static_cast<int64_t>(sizeof(T));
    for (int64_t c = 0; c < columns; ++c) {
      for (int64_t r = 0; r < rows; ++r)
        target[c * target_stride + r] = load<T>(source + (r * source_stride + c) * size);
    }
  }
};

#if defined(__x86_64__)
// The elements that checkpoints have, which compilers do not vectorise by themselves.
struct Sse32 {
  using Element = uint32_t;
  static constexpr int64_t rows = 4, columns = 4;
  static void turn(const std::byte* source, int64_t source_stride, uint32_t* target, int64_t target_stride) {
    const auto row = [&](int64_t r) {
      return _mm_loadu_ps(reinterpret_cast<const float*>(source + r * source_stride * 4));
    };
    __m128 a = row(0), b = row(1), c = row(2), d = row(3);
    _MM_TRANSPOSE4_PS(a, b, c, d);
    const __m128 turned[] = {a, b, c, d};
    for (int64_t r = 0; r < 4; ++r) _mm_storeu_ps(reinterpret_cast<float*>(target + r * target_stride), turned[r]);
  }
};

struct Sse16 {
  using Element = uint16_t;
  static constexpr int64_t rows = 8, columns = 8;
  static void turn(const std::byte* source, int64_t source_stride, uint16_t* target, int64_t target_stride) {
    __m128i a[8], b[8];
    for (int64_t r = 0; r < 8; ++r)
      a[r] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(source + r * source_stride * 2));
    // Pairs of rows, one column in each 32 bits.
    for (int64_t r = 0; r < 4; ++r) {
      b[r] = _mm_unpacklo_epi16(a[2 * r], a[2 * r + 1]);
      b[r + 4] = _mm_unpackhi_epi16(a[2 * r], a[2 * r + 1]);
    }
    // Fours of rows, one column in each 64 bits: first columns 4h and 4h + 1, then the two behind them.
    for (int64_t h = 0; h < 2; ++h) {
      a[4 * h] = _mm_unpacklo_epi32(b[4 * h], b[4 * h + 1]);
      a[4 * h + 1] = _mm_unpackhi_epi32(b[4 * h], b[4 * h + 1]);
      a[4 * h + 2] = _mm_unpacklo_epi32(b[4 * h + 2], b[4 * h + 3]);
      a[4 * h + 3] = _mm_unpackhi_epi32(b[4 * h + 2], b[4 * h + 3]);
    }
    for (int64_t h = 0; h < 2; ++h) {
      for (int64_t c = 0; c < 2; ++c) {
        const __m128i left = a[4 * h + c], right = a[4 * h + c + 2];
        uint16_t* column = target + (4 * h + 2 * c) * target_stride;
        _mm_storeu_si128(reinterpret_cast<__m128i*>(column), _mm_unpacklo_epi64(left, right));
        _mm_storeu_si128(reinterpret_cast<__m128i*>(column + target_stride), _mm_unpackhi_epi64(left, right));
      }
    }
  }
};
#endif

/// target[c][r] = source[r][c], in blocks of a cache line each way, one row of blocks after the other: every line of
/// both sides is touched once, and the source is read in long runs.
template <class Kernel, class T = typename Kernel::Element>
void turn_columns(const Matrix& matrix, T* target) {
  constexpr int64_t size = static_cast<int64_t>(sizeof(T)), line = 64 / size;
  const int64_t rows = matrix.rows;
  const auto element = [&](int64_t r, int64_t c) { return matrix.source + (r * matrix.stride + c) * size; };
  for (int64_t r0 = 0; r0 < rows; r0 += line) {
    const int64_t r1 = std::min(r0 + line, rows), full = r0 + (r1 - r0) / Kernel::rows * Kernel::rows;
    for (int64_t c = 0; c < matrix.columns;) {
      const bool whole = c + Kernel::columns <= matrix.columns;
      for (int64_t r = r0; whole && r < full; r += Kernel::rows)
        Kernel::turn(element(r, c), matrix.stride, target + c * rows + r, rows);
      for (const int64_t end = whole ? c + Kernel::columns : c + 1; c < end; ++c) {
        for (int64_t r = whole ? full : r0; r < r1; ++r) target[c * rows + r] = load<T>(element(r, c));
      }
    }
  }
}

template <class T>
void transpose_columns(const Matrix& matrix, T* target) {
  turn_columns<Scalar<T>>(matrix, target);
}
#if defined(__x86_64__)
template <>
void transpose_columns<uint16_t>(const Matrix& matrix, uint16_t* target) {
  turn_columns<Sse16>(matrix, target);
}
template <>
void transpose_columns<uint32_t>(const Matrix& matrix, uint32_t* target) {
  turn_columns<Sse32>(matrix, target);
}
#endif

/// Elements `stride` apart become neighbours.
template <class T>
void collect(const std::byte* source, int64_t stride, T* target, int64_t count) {
  constexpr auto size = static_cast<int64_t>(sizeof(T));
  for (int64_t i = 0; i < count; ++i) target[i] = load<T>(source + i * stride * size);
}

/// Calls `action` with a number of the element's size.
template <class Action>
void with_element(size_t size, Action action) {
  switch (size) {
    case 1:
      return action(uint8_t{});
    case 2:
      return action(uint16_t{});
    case 4:
      return action(uint32_t{});
    default:
      return action(uint64_t{});
  }
}

/// A half with all of these is an infinity, or no number.
constexpr uint16_t half_exponent = 0x7C00;
constexpr uint64_t halves_at_once = 4;

/// Whether any of four neighbours is: all four are compared in one word, as every weight in f16 passes here.
bool holds_special(const std::byte* halves) {
  constexpr uint64_t each = 0x0001'0001'0001'0001, exponents = each * half_exponent, tops = each * 0x8000;
  uint64_t word = 0;
  std::memcpy(&word, halves, sizeof word);
  const uint64_t lacking = (word & exponents) ^ exponents;  // 0 where all are set
  return ((lacking - each) & ~lacking & tops) != 0;         // the top bit of a 0 borrows
}

}  // namespace

bool can_convert(ir::DType from, ir::DType to) {
  return from == to || ((is_convertible_float(from) || is_float8(from)) && is_convertible_float(to));
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
    case ir::DType::f8e4m3fn:
      return convert_from<Finite8>(to, source, target, count);
    case ir::DType::f8e5m2:
      return convert_from<Half8>(to, source, target, count);
    default:
      return convert_from<double>(to, source, target, count);
  }
}

bool leave_f16(ir::DType from, const std::byte* source, const std::byte* halves, uint64_t count) {
  for (uint64_t i = 0; i < count;) {
    if (count - i >= halves_at_once && !holds_special(halves + i * sizeof(Half))) {
      i += halves_at_once;
      continue;
    }
    Half half{};
    std::memcpy(&half, halves + i * sizeof half, sizeof half);
    if ((half.bits & half_exponent) == half_exponent) {
      double exact = 0;
      convert_elements(from, source + i * ir::size_of(from), ir::DType::f64, reinterpret_cast<std::byte*>(&exact), 1);
      if (std::isfinite(exact)) return true;
    }
    ++i;
  }
  return false;
}

namespace {

/// Whether a finite number became an infinity, by the bits of the target's exponent.
template <class Bits>
bool leave_range(Bits exponent, const Elements& source, const std::byte* target) {
  const auto is_special = [&](uint64_t i) {
    Bits bits{};
    std::memcpy(&bits, target + i * sizeof bits, sizeof bits);
    return (bits & exponent) == exponent;
  };
  for (uint64_t i = 0; i < source.count; ++i) {
    if (!is_special(i)) continue;
    double exact = 0;
    convert_elements(source.dtype, source.data + i * ir::size_of(source.dtype), ir::DType::f64,
                     reinterpret_cast<std::byte*>(&exact), 1);
    if (std::isfinite(exact)) return true;
  }
  return false;
}

}  // namespace

bool become_infinite(const Elements& source, ir::DType to, const std::byte* target) {
  if (to == ir::DType::f16) return leave_f16(source.dtype, source.data, target, source.count);
  const bool narrows = ir::size_of(source.dtype) > ir::size_of(to);
  if (to == ir::DType::bf16 && narrows) return leave_range<uint16_t>(0x7F80, source, target);
  if (to == ir::DType::f32 && narrows) return leave_range<uint32_t>(0x7F800000, source, target);
  return false;
}

void transpose_elements(size_t size, const Matrix& matrix, std::byte* target) {
  with_element(size, [&]<class T>(T) { transpose_columns(matrix, reinterpret_cast<T*>(target)); });
}

void collect_elements(size_t size, const std::byte* source, int64_t stride, std::byte* target, int64_t count) {
  with_element(size, [&]<class T>(T) { collect(source, stride, reinterpret_cast<T*>(target), count); });
}

}  // namespace onnxport
