// SPDX-License-Identifier: Apache-2.0
// The passes by which a definition becomes a graph that can be written, and which form of it takes which.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/ir/graph.hpp"
#include "core/passes/input_form.hpp"
#include "core/passes/kept_modules.hpp"
#include "core/passes/lower.hpp"
#include "core/passes/preallocate_cache.hpp"

namespace onnxport {

/// What decides how a definition becomes a graph of ONNX operators.
struct LoweringOptions {
  int64_t opset = 18;
  std::vector<Patch> patches;
  /// Weights keep the bytes that the checkpoint has: Linear takes Gemm(transB), which reads torch's layout as fast, and
  /// what is of another type than it is used in goes through a Cast, which runtimes fold when they load the model.
  bool weights_as_stored = false;
  ir::DType dtype = ir::DType::f32;  // or f16 or bf16: see core/passes/precision.hpp
  KeptModules keep_in_fp32;          // in 16 bits
  Target target = Target::onnx;
  InputForm inputs = {};
  std::string logits = {};                // the output that inputs.kept_logits is about; empty: the graph has none
  std::vector<GrowingState> states = {};  // those that inputs.max_sequence is about
};

/// Weights that a checkpoint holds under two names: the one that is gone, and the one that stands for it.
using TiedWeights = std::vector<std::pair<std::string, std::string>>;

/// The lowered graph: ONNX operators of one opset in canonical form, equal nodes merged, nodes without use removed,
/// every node and value named. Marks are kept where their value is. Throws Error(usage) where the opset cannot express
/// an operator. `tied` is told of weights that the checkpoint holds twice.
ir::Graph lower(ir::Graph graph, const LoweringOptions& options, TiedWeights* tied = nullptr);

/// Is told the name of a pass that has run, and what it made.
using PassObserver = std::function<void(std::string_view pass, const ir::Graph& graph)>;

/// For tests: who is told of every pass of every lowering from now on; yields who was before. Not while one runs.
PassObserver observe_passes(PassObserver observer);
/// An observer: Error(internal) that names the pass where it broke the graph (Graph::verify).
void verify_pass(std::string_view pass, const ir::Graph& graph);

}  // namespace onnxport
