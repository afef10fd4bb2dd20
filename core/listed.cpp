// SPDX-License-Identifier: Apache-2.0
#include "core/listed.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <span>

namespace onnxport {

std::string listed(const std::vector<std::string>& names, size_t most) {
  const std::span<const std::string> first(names.data(), std::min(most, names.size()));
  const std::string text = fmt::format("{}", fmt::join(first, ", "));
  return names.size() > most ? fmt::format("{} and {} more", text, names.size() - most) : text;
}

}  // namespace onnxport
