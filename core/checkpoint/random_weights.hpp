// SPDX-License-Identifier: Apache-2.0
// Weights that nobody trained: the same on every machine and with every standard library.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "core/checkpoint/safetensors_writer.hpp"

namespace onnxport {

/// The forms of a draw. What was recorded with drawn weights holds only for the form that drew them, so that a form
/// never changes: what is to be drawn better is a new one.
inline constexpr int first_form = 1, newest_form = 3;

struct Draw {
  uint64_t seed = 0;
  int form = newest_form;
};

/// Values as in a trained model: norms near 1, matrices at such a scale that activations neither die nor explode, so
/// that a comparison of outputs means something. Form 1 looks at a tensor's last axis alone, which suits matrices; form
/// 2 also at what a kernel sums over, at stacks of matrices and at factors of channels, and form 3 at queries whose
/// scores are not scaled. What is drawn depends on seed, form and the tensor's name and shape alone. A tensor is drawn
/// piece by piece, from its beginning to its end.
class RandomWeights {
 public:
  RandomWeights(const Draw& draw, const TensorPlan& tensor);
  ~RandomWeights();
  RandomWeights(RandomWeights&&) noexcept;

  /// The next values, in the tensor's type.
  void fill(std::span<std::byte> piece);

 private:
  class Stream;
  std::unique_ptr<Stream> stream_;
};

}  // namespace onnxport
