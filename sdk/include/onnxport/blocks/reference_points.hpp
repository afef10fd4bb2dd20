// SPDX-License-Identifier: Apache-2.0
// Places in images, as shares of their height and width, and boxes.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <onnxport/operations.hpp>

namespace onnxport::sdk {

/// What has this sigmoid; shares of less than ε are taken as ε, on both sides: f[...] -> the same.
/// Source: inverse_sigmoid, transformers 4.57 (modeling_deformable_detr.py).
inline Value inverse_sigmoid(const Operand& share, double epsilon = 1e-5) {
  Graph& g = share.graph();
  const auto above = [&](const Value& x) { return g.op("Clip", {x}, {{"min", epsilon}, {"max", 1.0}}); };
  return log(above(share) / above(1.0 - share));
}
/// The same with shares taken as lying within ε and 1 - ε. Source: torch.special.logit.
inline Value logit(const Operand& share, double epsilon = 1e-5) {
  const Value within = share.graph().op("Clip", {share}, {{"min", epsilon}, {"max", 1.0 - epsilon}});
  return log(within / (1.0 - within));
}

}  // namespace onnxport::sdk
