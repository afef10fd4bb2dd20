// SPDX-License-Identifier: Apache-2.0
// Normalisations of channels, f[batch, channels, ...]: by the statistics of the training, of each channel, of groups.
#include "core/ir/inference.hpp"

namespace onnxport::ir {
namespace {

/// Every input behind the first is f[channels].
void require_channels(const Inference& x) {
  if (!is_floating(dtype_of(x))) refuse("takes a floating-point tensor");
  if (x.shape(0).size() < 2) refuse("its input has no axis of channels");
  for (size_t i = 1; i < x.node.inputs.size(); ++i) {
    if (!x.has(i)) continue;
    require_rank(x, i, 1);
    require_same(x.shape(i)[0], x.shape(0)[1], "the channels");
  }
}

void infer_batch_norm(Inference& x) {
  require_channels(x);
  infer_same(x);
}

void infer_instance_norm(Inference& x) {
  require_channels(x);
  if (x.shape(0).size() < 3) refuse("its input has nothing behind its channels");
  if (!x.shape(0)[1].is_static()) refuse("the number of its channels must be known");
  infer_same(x);
}

void infer_group_norm(Inference& x) {
  require_channels(x);
  const int64_t groups = x.node.integer("groups", 0), channels = x.shape(1)[0].maybe_size().value_or(0);
  if (groups < 1 || channels % groups != 0)
    refuse(fmt::format("{} channels do not divide into {} groups", x.shape(1)[0].to_string(), groups));
  infer_same(x);
}

}  // namespace

const std::vector<Operator>& channel_norm_operators() {
  using enum AttributeKind;
  static const std::vector<Operator> rows{
      {"", "BatchNormalization", 5, 5, 1, infer_batch_norm, {{"epsilon", real}}},
      {"", "InstanceNormalization", 3, 3, 1, infer_instance_norm, {{"epsilon", real}}},
      {composite_domain, "BatchNorm", 5, 5, 1, infer_batch_norm, {{"epsilon", real}}},
      {composite_domain, "GroupNorm", 3, 3, 1, infer_group_norm, {{"groups", integer}, {"epsilon", real}}},
      {composite_domain, "InstanceNorm", 1, 3, 1, infer_instance_norm, {{"epsilon", real}}},
  };
  return rows;
}

}  // namespace onnxport::ir
