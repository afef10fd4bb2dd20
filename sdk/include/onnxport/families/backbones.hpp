// SPDX-License-Identifier: Apache-2.0
// All families that other models see images through.
#pragma once

#include <onnxport/backbone.hpp>
#include <onnxport/families/dinov2.hpp>

namespace onnxport::family {

inline constexpr KnownBackbone backbones[] = {
    {"dinov2", dinov2_backbone},
    {"dinov2_with_registers", dinov2_backbone},
};

}  // namespace onnxport::family
