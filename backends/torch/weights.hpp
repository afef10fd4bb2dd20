// SPDX-License-Identifier: Apache-2.0
// The weights and constants of a graph as tensors.
#pragma once

#include <vector>

#include "backends/torch/evaluator.hpp"

namespace onnxport::reference {

/// Tensors are made when a node asks for them: over the mapped bytes of the checkpoint where nothing is to be done to
/// these, else over bytes of their own.
class Weights {
 public:
  /// Keeps the reference.
  explicit Weights(const ir::Graph& graph) : graph_(graph), made_(graph.values.size()) {}

  static bool holds(const ir::Value& value) {
    return value.origin == ir::Origin::constant || value.origin == ir::Origin::weight;
  }
  at::Tensor get(ir::ValueId id) const;
  /// Nobody needs the weight soon. The next get() makes it again.
  void give_back(ir::ValueId id) const;
  void give_back() const;

 private:
  const ir::Graph& graph_;
  mutable std::vector<at::Tensor> made_;  // by value; undefined where it is not made
};

/// A tensor over bytes that live as long as it. Nothing may write into it.
at::Tensor view_of(const std::byte* bytes, const std::vector<int64_t>& shape, ir::DType dtype);

}  // namespace onnxport::reference
