// SPDX-License-Identifier: Apache-2.0
// Weights that nobody trained: the same on every machine and with every standard library.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "core/checkpoint/safetensors_writer.hpp"

namespace onnxport {

/// Values as in a trained model: norms near 1, matrices at such a scale that activations neither die nor explode, so
/// that a comparison of outputs means something. What is drawn depends on the seed and on the tensor's name and shape
/// alone. A tensor is drawn piece by piece, from its beginning to its end.
class RandomWeights {
 public:
  RandomWeights(uint64_t seed, const TensorPlan& tensor);
  ~RandomWeights();
  RandomWeights(RandomWeights&&) noexcept;

  /// The next values, in the tensor's type.
  void fill(std::span<std::byte> piece);

 private:
  class Stream;
  std::unique_ptr<Stream> stream_;
};

}  // namespace onnxport
