// SPDX-License-Identifier: Apache-2.0
// How unlike two words are, for messages that guess what was meant.
#pragma once

#include <algorithm>
#include <numeric>
#include <string_view>
#include <vector>

namespace onnxport {

/// How many letters must be put in, left out or replaced to make `b` of `a`.
inline size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row.back();
}

/// The one of the known words that a word is likely to mean; empty where none is near.
template <class Words>
std::string_view nearest_word(std::string_view word, const Words& known) {
  std::string_view near;
  size_t least = std::max<size_t>(2, word.size() / 3) + 1;
  for (const auto& candidate : known) {
    const size_t distance = edit_distance(word, candidate);
    if (distance >= least) continue;
    least = distance;
    near = candidate;
  }
  return near;
}

}  // namespace onnxport
