// SPDX-License-Identifier: Apache-2.0
#include "core/definition/wanted_tensors.hpp"

namespace onnxport {

std::vector<TensorPlan> tensors_of(const OnnxConfig& config, ir::DType dtype, const std::vector<std::string>& outputs) {
  WeightSource weights;
  // A layout's parts may ask for more than the one graph: a cached step runs without its encoder.
  std::vector<std::string> graphs = config.parts();
  graphs.emplace_back();
  config.define_parts(weights, graphs, {.outputs = outputs});
  std::vector<TensorPlan> tensors;
  for (const auto& [name, shape] : weights.requested()) tensors.push_back({name, dtype, shape});
  return tensors;
}

}  // namespace onnxport
