// SPDX-License-Identifier: Apache-2.0
// What a plugin gives across the ABI, looked at before it is used. Everything here throws std::invalid_argument with
// what was found and what is expected, for bodies of guarded().
#pragma once

#include <onnxport/abi.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// The size that a struct of the ABI has to have for `member` to be in it.
#define ONNXPORT_SIZE_THROUGH(type, member) (offsetof(type, member) + sizeof(type::member))

namespace onnxport::detail {

/// Throws std::invalid_argument.
[[noreturn]] void invalid(const std::string& what);

/// How much of something a plugin may give. Far more than any model has: who gives more has lost its way, and would
/// fill the memory or hold up the command.
struct Bound {
  const char* what;
  uint64_t most;
};
namespace bounds {
constexpr Bound name{"bytes in a name", 4096};
constexpr Bound text{"bytes in a text", uint64_t{1} << 24};
constexpr Bound axes{"axes", 64};
constexpr Bound axis_length{"as the length of an axis", uint64_t{1} << 26};
constexpr Bound inputs{"inputs of a part", 10'000};
constexpr Bound outputs{"outputs of a part", 10'000};
constexpr Bound parts{"parts", 100};
constexpr Bound facts{"facts", 10'000};
constexpr Bound operands{"inputs or outputs of an operator", 100'000};
constexpr Bound attributes{"attributes of an operator", 1'000};
constexpr Bound numbers{"numbers in an attribute", uint64_t{1} << 24};
constexpr Bound constant{"bytes in a constant", uint64_t{1} << 31};
}  // namespace bounds

/// Throws where there is more than that.
void check_bound(const Bound& bound, uint64_t found);

/// `count` of them at `data`, which is not null where there are any.
template <class Entry>
std::span<const Entry> list(const Entry* data, size_t count, const Bound& bound) {
  check_bound(bound, count);
  if (count > 0 && data == nullptr) invalid("a null pointer was given where there are " + std::string(bound.what));
  return {data, count};
}

/// A struct that reaches as far as `least` bytes, which is ONNXPORT_SIZE_THROUGH its last member of the version in
/// which it came to be; `what` is "a node".
template <class Struct>
const Struct& whole(const Struct* from, size_t least, const char* what) {
  if (from == nullptr) invalid(std::string("a null pointer was given as ") + what);
  if (from->struct_size < least) {
    invalid(std::string(what) + " has struct_size " + std::to_string(from->struct_size) + ", expected at least " +
            std::to_string(least));
  }
  return *from;
}

/// Any text.
std::string_view text(onnxport_string from);
/// What is called by it may be written into a file: UTF-8 without control characters. May be empty.
std::string_view optional_name_from(onnxport_string from);
/// The same, and not empty.
std::string_view name_from(onnxport_string from);
/// As much of it as may be there, for functions that cannot fail.
std::string_view clipped(onnxport_string from) noexcept;

/// A copy of what a tensor holds.
std::vector<std::byte> data_from(const onnxport_tensor& tensor);
/// The shape of a tensor, which has no negative length and can be counted.
std::vector<int64_t> shape_from(const int64_t* lengths, uint32_t rank);
/// How many elements there are. Throws where a length is negative or they cannot be counted.
uint64_t element_count(std::span<const int64_t> shape);

}  // namespace onnxport::detail
