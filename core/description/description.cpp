// SPDX-License-Identifier: Apache-2.0
#include "core/description/description.hpp"

namespace onnxport {
namespace {

bool is_integer(const InputSpec& spec) {
  return !ir::is_floating(spec.type.dtype);
}

bool holds_indices(const InputSpec& spec) {
  const bool is_index = spec.role == ONNXPORT_ROLE_OTHER && spec.limit > 0;
  return is_integer(spec) && (spec.role == ONNXPORT_ROLE_IDS || is_index);
}

}  // namespace

void settle_roles(Description& description) {
  for (InputSpec& spec : description.inputs) {
    if (spec.role != ONNXPORT_ROLE_OTHER || spec.fill || spec.limit > 0 || !is_integer(spec)) continue;
    for (const InputSpec& other : description.inputs) {
      if (&other == &spec || !holds_indices(other) || !(other.type.shape == spec.type.shape)) continue;
      spec.role = ONNXPORT_ROLE_MASK;
      spec.of = other.name;
      break;
    }
  }
}

}  // namespace onnxport
