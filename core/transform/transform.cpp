// SPDX-License-Identifier: Apache-2.0
#include "core/transform/transform.hpp"

#include "core/transform/half.hpp"
#include "core/transform/ids.hpp"

namespace onnxport {

Transformed transform(ModelParts& model, const Transformation& wanted) {
  Transformed done;
  done.nodes_before = model.model.graph().node_size();
  if (!wanted.fixed.empty()) done.open = fix_axes(model, wanted.fixed);
  if (wanted.fp16) to_half(model);
  if (wanted.int32) done.narrow_ids = narrow_ids(model);
  done.nodes = model.model.graph().node_size();
  return done;
}

}  // namespace onnxport
