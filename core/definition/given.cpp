// SPDX-License-Identifier: Apache-2.0
#include "core/definition/given.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <stdexcept>

#include "core/printable.hpp"

namespace onnxport::detail {
namespace {

/// Elements of eight bytes, so that bytes can be counted as well.
constexpr uint64_t most_elements = uint64_t{1} << 59;

bool is_plain(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c <= 0x7e; });
}

}  // namespace

void invalid(const std::string& what) {
  throw std::invalid_argument(what);
}

void check_bound(const Bound& bound, uint64_t found) {
  if (found > bound.most) invalid(fmt::format("found {} {}, expected at most {}", found, bound.what, bound.most));
}

std::string_view text(onnxport_string from) {
  const auto bytes = list(from.data, from.size, bounds::text);
  return {bytes.data(), bytes.size()};
}

std::string_view optional_name_from(onnxport_string from) {
  const auto bytes = list(from.data, from.size, bounds::name);
  const std::string_view name(bytes.data(), bytes.size());
  if (!is_plain(name) && printable(name) != name) {
    invalid(fmt::format("the name '{}' holds control characters or is not UTF-8, expected one that can be printed",
                        printable(name)));
  }
  return name;
}

std::string_view name_from(onnxport_string from) {
  const std::string_view name = optional_name_from(from);
  if (name.empty()) invalid("found an empty name");
  return name;
}

std::string_view clipped(onnxport_string from) noexcept {
  if (from.data == nullptr) return {};
  return {from.data, std::min<size_t>(from.size, bounds::name.most)};
}

std::vector<std::byte> data_from(const onnxport_tensor& tensor) {
  const auto given = list(static_cast<const std::byte*>(tensor.data), tensor.bytes, bounds::constant);
  return {given.begin(), given.end()};
}

std::vector<int64_t> shape_from(const int64_t* lengths, uint32_t rank) {
  const auto given = list(lengths, rank, bounds::axes);
  element_count(given);
  return {given.begin(), given.end()};
}

uint64_t element_count(std::span<const int64_t> shape) {
  uint64_t count = 1;
  for (const int64_t length : shape) {
    if (length < 0 || __builtin_mul_overflow(count, static_cast<uint64_t>(length), &count) || count > most_elements)
      invalid(fmt::format("there is no tensor of the shape [{}]", fmt::join(shape, ", ")));
  }
  return count;
}

}  // namespace onnxport::detail
