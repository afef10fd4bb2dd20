// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "core/ir/graph.hpp"

namespace onnxport {

/// Computes what depends on constants alone, and what is known of a shape, in a lowered graph, in place; in bodies
/// likewise. A constant of more than `most_bytes` is only made of others that take as much.
void fold_constants(ir::Graph& graph, uint64_t most_bytes);

/// The same before lowering, and again with what is then known of shapes, until nothing more becomes known. Axes of
/// outputs that stay open keep their names.
void fold_lengths(ir::Graph& graph, uint64_t most_bytes);

}  // namespace onnxport
