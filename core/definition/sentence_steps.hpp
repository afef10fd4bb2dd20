// SPDX-License-Identifier: Apache-2.0
// What modules of sentence-transformers are written with.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "core/ir/graph.hpp"

namespace onnxport::sentence {

/// Nodes of one module, named after its folder: "1_Pooling".
struct Steps {
  ir::Graph& graph;
  std::string scope;

  using Axes = std::vector<int64_t>;

  ir::ValueId op(const char* name, std::vector<ir::ValueId> inputs, ir::Attributes attributes = {},
                 const char* domain = "") {
    return graph.add_node({domain, name, scope, std::move(inputs), {}, std::move(attributes), ""})[0];
  }
  ir::ValueId composite(const char* name, std::vector<ir::ValueId> inputs, ir::Attributes attributes = {}) {
    return op(name, std::move(inputs), std::move(attributes), ir::composite_domain);
  }
  ir::ValueId number(float value) { return graph.add_constant(ir::Tensor::f32_scalar(value)); }
  ir::ValueId integer(int64_t value) { return graph.add_constant(ir::Tensor::i64_scalar(value)); }
  ir::ValueId cast(ir::ValueId x, ir::DType to) { return op("Cast", {x}, {{"to", static_cast<int64_t>(to)}}); }
  ir::ValueId to_float(ir::ValueId x) { return cast(x, ir::DType::f32); }
  /// Over the tokens: f32[batch, sequence, n] -> f32[batch, n]
  ir::ValueId sum(ir::ValueId x) { return op("ReduceSum", {x}, {{"axes", Axes{1}}, {"keepdims", int64_t{0}}}); }
  ir::ValueId largest(ir::ValueId x) { return op("ReduceMax", {x}, {{"axes", Axes{1}}, {"keepdims", int64_t{0}}}); }
  /// [batch, sequence] -> [batch, sequence, 1]
  ir::ValueId column(ir::ValueId x) { return op("Unsqueeze", {x}, {{"axes", Axes{-1}}}); }
  /// 0, 1, …: i64[sequence], over the mask's second axis.
  ir::ValueId places(ir::ValueId mask) {
    return op("Range", {integer(0), composite("Size", {mask}, {{"axis", int64_t{1}}}), integer(1)});
  }
  /// Where each text begins behind padding on its left: mask: i64[batch, sequence] -> i64[batch, 1].
  ir::ValueId first(ir::ValueId mask) {
    return op("ArgMax", {cast(mask, ir::DType::i32)}, {{"axis", int64_t{1}}, {"keepdims", int64_t{1}}});
  }
};

}  // namespace onnxport::sentence
