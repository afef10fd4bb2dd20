// SPDX-License-Identifier: Apache-2.0
#include "core/passes/pipeline.hpp"

#include <fmt/format.h>

#include <span>

#include "core/error.hpp"
#include "core/passes/fold.hpp"
#include "core/passes/precision.hpp"
#include "core/passes/tidy.hpp"
#include "core/passes/tie.hpp"

namespace onnxport {
namespace {

/// A graph on its way through the passes.
struct Work {
  ir::Graph graph;
  const LoweringOptions& options;
  TiedWeights tied{};
};

void tie(Work& work) {
  work.tied = tie_equal_weights(work.graph);
}
void fold(Work& work) {
  fold_weights(work.graph, {.patches = work.options.patches, .weights_as_stored = work.options.weights_as_stored});
}
void narrow(Work& work) {
  work.graph = to_precision(
      work.graph,
      {.dtype = work.options.dtype, .keep_in_fp32 = work.options.keep_in_fp32, .opset = work.options.opset});
}
void apply(Work& work) {
  work.graph = apply_rules(work.graph, {.opset = work.options.opset,
                                        .patches = work.options.patches,
                                        .weights_as_stored = work.options.weights_as_stored,
                                        .target = work.options.target});
}
void merge(Work& work) {
  merge_equal_nodes(work.graph);
}
void remove(Work& work) {
  remove_unused_nodes(work.graph);
}
void name(Work& work) {
  name_nodes(work.graph);
}

struct Pass {
  std::string_view name;
  void (*run)(Work&);
};

constexpr Pass in_f32[] = {
    {"tie equal weights", tie},   {"fold weights", fold},          {"apply rules", apply},
    {"merge equal nodes", merge}, {"remove unused nodes", remove}, {"name nodes", name},
};

/// Weights are folded in f32, before they are rounded.
constexpr Pass in_16_bits[] = {
    {"tie equal weights", tie},   {"fold weights", fold},          {"narrow", narrow},   {"apply rules", apply},
    {"merge equal nodes", merge}, {"remove unused nodes", remove}, {"name nodes", name},
};

/// Weights that refer to the checkpoint are not compared: that means reading, and a model that holds neither of two has
/// no use for it.
constexpr Pass as_stored[] = {
    {"fold weights", fold},          {"apply rules", apply}, {"merge equal nodes", merge},
    {"remove unused nodes", remove}, {"name nodes", name},
};

constexpr Pass as_stored_in_16_bits[] = {
    {"fold weights", fold},          {"narrow", narrow},   {"apply rules", apply}, {"merge equal nodes", merge},
    {"remove unused nodes", remove}, {"name nodes", name},
};

std::span<const Pass> passes_of(const LoweringOptions& options) {
  const bool narrow = options.dtype != ir::DType::f32;
  if (options.weights_as_stored) return narrow ? std::span<const Pass>(as_stored_in_16_bits) : as_stored;
  return narrow ? std::span<const Pass>(in_16_bits) : in_f32;
}

PassObserver& observer() {
  static PassObserver observer;
  return observer;
}

}  // namespace

ir::Graph lower(ir::Graph graph, const LoweringOptions& options, TiedWeights* tied) {
  Work work{std::move(graph), options};
  for (const Pass& pass : passes_of(options)) {
    pass.run(work);
    if (observer()) observer()(pass.name, work.graph);
  }
  if (tied != nullptr) *tied = std::move(work.tied);
  return std::move(work.graph);
}

PassObserver observe_passes(PassObserver next) {
  return std::exchange(observer(), std::move(next));
}

void verify_pass(std::string_view pass, const ir::Graph& graph) {
  try {
    graph.verify();
  } catch (const Error& error) {
    throw Error(Failure::internal, fmt::format("the pass '{}' broke the graph: {}", pass, error.what()));
  }
}

}  // namespace onnxport
