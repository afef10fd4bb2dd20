// SPDX-License-Identifier: Apache-2.0
#include "registry/nearest.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "core/edit_distance.hpp"
#include "registry/manifest.hpp"

namespace onnxport {

std::vector<std::string> nearest(std::string_view word, const std::vector<std::string>& known, size_t limit) {
  const std::string wanted = normal_type(word);
  std::vector<std::pair<size_t, const std::string*>> near;
  for (const std::string& candidate : known) {
    const std::string normal = normal_type(candidate);
    size_t distance = edit_distance(wanted, normal);
    // A longer name of the same family is near, however long.
    const bool contained =
        wanted.size() >= 3 && (normal.find(wanted) != std::string::npos || wanted.find(normal) != std::string::npos);
    if (contained) distance = std::min<size_t>(distance, 2);
    if (distance <= std::max<size_t>(2, wanted.size() / 3)) near.emplace_back(distance, &candidate);
  }
  std::stable_sort(near.begin(), near.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<std::string> result;
  for (const auto& [distance, candidate] : near) {
    if (result.size() < limit) result.push_back(*candidate);
  }
  return result;
}

std::string guesses(std::string_view word, const std::vector<std::string>& known) {
  const std::vector<std::string> near = nearest(word, known);
  return near.empty() ? "" : fmt::format("; the nearest known: {}", fmt::join(near, ", "));
}

}  // namespace onnxport
