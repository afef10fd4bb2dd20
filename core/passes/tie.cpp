// SPDX-License-Identifier: Apache-2.0
#include "core/passes/tie.hpp"

#include <algorithm>
#include <cstring>
#include <map>
#include <set>

namespace onnxport {
namespace {

using ir::ValueId;

/// Whether the bytes of two weights are those of one tensor. Transforms are compared by what they make: the candidates
/// have none, or a cast of the same kind.
bool equal_bytes(const Weight& a, const Weight& b) {
  if (a.stored->file == nullptr || b.stored->file == nullptr || a.stored->bytes != b.stored->bytes) return false;
  constexpr uint64_t step = uint64_t{4} << 20;
  for (uint64_t at = 0; at < a.stored->bytes; at += step) {
    const uint64_t bytes = std::min(step, a.stored->bytes - at);
    const uint64_t left = a.stored->offset + at, right = b.stored->offset + at;
    const bool equal =
        std::memcmp(a.stored->file->bytes().data() + left, b.stored->file->bytes().data() + right, bytes) == 0;
    a.stored->file->forget(left, bytes);
    b.stored->file->forget(right, bytes);
    if (!equal) return false;
  }
  return true;
}

/// Weights as wholes that lie as they are called: no slice, no transpose, no view of a shared storage.
bool is_plain_matrix(const Weight& weight) {
  for (const Transform& transform : weight.transforms) {
    if (!std::holds_alternative<CastTo>(transform)) return false;
  }
  uint64_t bytes = ir::size_of(weight.stored->dtype);
  for (int64_t size : weight.stored->shape) bytes *= static_cast<uint64_t>(size);
  return weight.stored->shape.size() == 2 && weight.stored->strides.empty() && bytes == weight.stored->bytes;
}

bool may_be_tied(const Weight& a, const Weight& b) {
  return a.stored->dtype == b.stored->dtype && a.stored->shape == b.stored->shape && a.dtype() == b.dtype() &&
         is_plain_matrix(a) && is_plain_matrix(b);
}

}  // namespace

std::vector<std::pair<std::string, std::string>> tie_equal_weights(ir::Graph& graph) {
  std::set<ValueId> tables, used;
  for (const ir::Node& node : graph.nodes) {
    for (ValueId input : node.inputs) {
      if (graph[input].origin == ir::Origin::weight) used.insert(input);
    }
    const bool looks_up = node.op == "Embedding" || node.op == "Gather";
    if (!looks_up) continue;
    for (ValueId input : node.inputs) {
      if (graph[input].origin == ir::Origin::weight && graph[input].type.shape.size() == 2) tables.insert(input);
    }
  }
  std::map<ValueId, ValueId> stands_for;
  std::vector<std::pair<std::string, std::string>> tied;
  for (ValueId table : tables) {
    if (stands_for.contains(table)) continue;
    for (ValueId other : used) {
      if (other == table || stands_for.contains(other)) continue;
      const Weight &a = *graph[table].weight, &b = *graph[other].weight;
      if (a.same_as(b) || !may_be_tied(a, b) || !equal_bytes(a, b)) continue;
      stands_for.emplace(other, table);
      tied.emplace_back(graph[other].name, graph[table].name);
    }
  }
  graph.replace(stands_for);
  return tied;
}

}  // namespace onnxport
