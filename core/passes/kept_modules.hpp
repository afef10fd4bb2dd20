// SPDX-License-Identifier: Apache-2.0
// Which modules of a graph in 16 bits stay in f32.
#pragma once

#include <string>
#include <vector>

namespace onnxport {

struct KeptModules {
  /// By a part of their path, with all that is below them: "wo" holds "encoder.block.0.layer.1.DenseReluDense.wo".
  std::vector<std::string> parts{};
  /// By their whole path, without what is below them: a layer's sums, and not its products.
  std::vector<std::string> alone{};

  bool empty() const { return parts.empty() && alone.empty(); }
  /// Whether what is computed at this path stays in f32.
  bool holds(const std::string& path) const;
  /// Adds those of the other that are not there yet; false where there is none.
  bool add(const KeptModules& other);
};

/// In words as options and metadata have them: a part as it is, and a path by itself behind "=".
std::vector<std::string> words_of(const KeptModules& kept);
KeptModules kept_modules_of(const std::vector<std::string>& words);

}  // namespace onnxport
