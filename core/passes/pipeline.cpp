// SPDX-License-Identifier: Apache-2.0
#include "core/passes/pipeline.hpp"

#include <fmt/format.h>

#include "core/error.hpp"
#include "core/passes/divide_layers.hpp"
#include "core/passes/fix_axes.hpp"
#include "core/passes/fold.hpp"
#include "core/passes/fold_constants.hpp"
#include "core/passes/keep_logits.hpp"
#include "core/passes/narrow_ids.hpp"
#include "core/passes/norms_apart.hpp"
#include "core/passes/preallocate_cache.hpp"
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

/// A file may grow by so much for each node that is done at export; more where lengths are fixed, so that masks and
/// angles of all positions are.
constexpr uint64_t most_constant_bytes = uint64_t{1} << 16, most_fixed_bytes = uint64_t{1} << 20;

void preallocate(Work& work) {
  preallocate_cache(work.graph, work.options.states, work.options.inputs.max_sequence);
}
void fix(Work& work) {
  fix_axes(work.graph, work.options.inputs.fixed);
}
void keep(Work& work) {
  require_kept_logits(work.graph, work.options.logits);
}
void tie(Work& work) {
  work.tied = tie_equal_weights(work.graph);
}
void fold(Work& work) {
  fold_weights(work.graph, {.patches = work.options.patches, .weights_as_stored = work.options.weights_as_stored});
}
void divide(Work& work) {
  divide_layers(work.graph, work.options.patches);
}
void narrow(Work& work) {
  work.graph = to_precision(
      work.graph,
      {.dtype = work.options.dtype, .keep_in_fp32 = work.options.keep_in_fp32, .opset = work.options.opset});
}
void norms_apart(Work& work) {
  keep_norms_apart(work.graph);
}
void apply(Work& work) {
  work.graph = apply_rules(work.graph, {.opset = work.options.opset,
                                        .patches = work.options.patches,
                                        .weights_as_stored = work.options.weights_as_stored,
                                        .target = work.options.target});
}
uint64_t most_bytes(const Work& work) {
  return work.options.inputs.fixed.empty() ? most_constant_bytes : most_fixed_bytes;
}
void compute(Work& work) {
  fold_constants(work.graph, most_bytes(work));
}
void compute_lengths(Work& work) {
  fold_lengths(work.graph, most_bytes(work));
}
void take_int32(Work& work) {
  narrow_ids(work.graph);
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

using Options = LoweringOptions;

struct Pass {
  std::string_view name;
  void (*run)(Work&);
  /// Of which forms it is; of all where nothing is said.
  bool (*is_of)(const Options&) = nullptr;
};

bool has_buffers(const Options& options) {
  return options.inputs.max_sequence > 0 && !options.states.empty();
}
bool fixes_axes(const Options& options) {
  return !options.inputs.fixed.empty();
}
bool keeps_logits(const Options& options) {
  return options.inputs.kept_logits && !options.logits.empty();
}
bool has_int32(const Options& options) {
  return options.inputs.int32;
}
bool is_narrow(const Options& options) {
  return options.dtype != ir::DType::f32;
}
/// Weights that refer to the checkpoint are not compared: that means reading, and a model that holds neither of two has
/// no use for it.
bool writes_weights(const Options& options) {
  return !options.weights_as_stored;
}

/// Weights are folded in f32, before they are rounded.
constexpr Pass passes[] = {
    {"preallocate cache", preallocate, has_buffers},
    {"fix axes", fix, fixes_axes},
    {"fold lengths", compute_lengths, fixes_axes},  // so that weights are folded by them
    {"keep logits", keep, keeps_logits},
    {"tie equal weights", tie, writes_weights},
    {"fold weights", fold},
    {"divide layers", divide},
    {"narrow", narrow, is_narrow},
    {"keep norms apart", norms_apart, fixes_axes},
    {"apply rules", apply},
    {"fold constants", compute},
    {"narrow ids", take_int32, has_int32},
    {"merge equal nodes", merge},
    {"remove unused nodes", remove},
    {"name nodes", name},
};

PassObserver& observer() {
  static PassObserver observer;
  return observer;
}

}  // namespace

ir::Graph lower(ir::Graph graph, const LoweringOptions& options, TiedWeights* tied) {
  Work work{std::move(graph), options};
  for (const Pass& pass : passes) {
    if (pass.is_of != nullptr && !pass.is_of(options)) continue;
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
