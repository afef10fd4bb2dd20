// SPDX-License-Identifier: Apache-2.0
#include "core/checkpoint/finite.hpp"

#include <algorithm>
#include <cstring>

namespace onnxport {
namespace {

/// Whether the exponent of any of the elements is the largest, which only NaN and the infinities have. A block of fixed
/// length without a branch is what compilers make vector code of.
template <class Bits, Bits exponent>
bool any_not_finite(const Bits* elements, size_t count) {
  Bits any = 0;
  for (size_t i = 0; i < count; ++i) any |= static_cast<Bits>((elements[i] & exponent) == exponent);
  return any != 0;
}

template <class Bits, Bits exponent>
std::optional<uint64_t> find(std::span<const std::byte> bytes) {
  constexpr size_t block = 1024;
  Bits elements[block];
  const size_t count = bytes.size() / sizeof(Bits);
  for (size_t begin = 0; begin < count; begin += block) {
    const size_t length = std::min(block, count - begin);
    // The bytes of a file lie as they come, maybe not as the type wants it.
    std::memcpy(elements, bytes.data() + begin * sizeof(Bits), length * sizeof(Bits));
    const bool any = length == block ? any_not_finite<Bits, exponent>(elements, block)
                                     : any_not_finite<Bits, exponent>(elements, length);
    if (!any) continue;
    for (size_t i = 0; i < length; ++i) {
      if ((elements[i] & exponent) == exponent) return begin + i;
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<uint64_t> first_not_finite(ir::DType dtype, std::span<const std::byte> bytes) {
  switch (dtype) {
    case ir::DType::f32:
      return find<uint32_t, 0x7f800000U>(bytes);
    case ir::DType::f16:
      return find<uint16_t, 0x7c00U>(bytes);
    case ir::DType::bf16:
      return find<uint16_t, 0x7f80U>(bytes);
    case ir::DType::f64:
      return find<uint64_t, 0x7ff0000000000000U>(bytes);
    default:
      return std::nullopt;
  }
}

}  // namespace onnxport
