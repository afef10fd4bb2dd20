// SPDX-License-Identifier: Apache-2.0
// Normalisations of channels.
#include "backends/torch/evaluator.hpp"

namespace onnxport::reference {
namespace {

using at::Tensor;

double epsilon_of(const Call& c) {
  return c.real("epsilon", 1e-5);
}

Results batch_norm(const Call& c) {
  return {at::batch_norm(c.in(0), c.in(1), c.in(2), c.in(3), c.in(4), false, 0.0, epsilon_of(c), false)};
}

Results group_norm(const Call& c) {
  return {at::group_norm(c.in(0), c.integer("groups", 1), c.in(1), c.in(2), epsilon_of(c), false)};
}

Results instance_norm(const Call& c) {
  const auto optional = [&](size_t index) { return c.has(index) ? c.in(index) : Tensor(); };
  return {at::instance_norm(c.in(0), optional(1), optional(2), {}, {}, true, 0.0, epsilon_of(c), false)};
}

}  // namespace

const Table& channel_norm_composite_table() {
  static const Table table{{"BatchNorm", batch_norm}, {"GroupNorm", group_norm}, {"InstanceNorm", instance_norm}};
  return table;
}

}  // namespace onnxport::reference
