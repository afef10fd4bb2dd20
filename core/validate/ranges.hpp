// SPDX-License-Identifier: Apache-2.0
// Whether what a definition computes fits into the range of 16 bits, told by what it computes in f32. A runtime may
// hide that it does not: ONNX Runtime computes much of f16 in f32 on a CPU, and a GPU does not.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/backend/backend.hpp"
#include "core/passes/lower.hpp"
#include "core/passes/precision.hpp"

namespace onnxport {

/// How far the numbers go that a module takes or makes in the type.
struct ModuleRange {
  std::string module, op;
  double largest = 0;

  /// "encoder.block.0.layer.1 (Add)"
  std::string name() const { return module.empty() ? op : module + " (" + op + ")"; }
};

/// A definition, and how it becomes a graph of 16 bits.
struct NarrowForm {
  const ir::Graph& definition;
  PrecisionOptions precision;
  std::vector<Patch> patches{};
  bool weights_as_stored = false;
};

/// The magnitudes in a definition that is to be written in a form of 16 bits. A mask's lowest number, which is meant to
/// be brought into the range, and what is added to it do not count.
class Ranges {
 public:
  /// Throws as Backend::load_graph().
  explicit Ranges(NarrowForm form);

  /// Runs the definition by the reference. Every call widens what is known.
  void look_at(const Tensors& inputs);
  /// The modules, in order, in which something is beyond the limit where these are kept in f32 beside those of the
  /// form.
  std::vector<ModuleRange> beyond(double limit, const KeptModules& kept = {}) const;

 private:
  void watch_values();
  std::vector<bool> brought_into_range(const ir::Graph& graph) const;

  ir::Graph definition_;  // with its weights folded, as it is when it becomes one of 16 bits
  PrecisionOptions form_;
  ir::Graph watched_;  // in f32, with the steps of what computes some in the type
  /// What the marks of that stand for: a value of the definition, or a step inside a module.
  std::map<std::string, ir::ValueId> marked_values_;
  std::map<std::string, std::string> marked_steps_;
  std::unique_ptr<Runnable> reference_;
  std::map<ir::ValueId, double> values_;
  std::map<std::string, double> steps_;
};

/// Adds to `kept` what has to stay in f32 for nothing to be beyond the limit in any graph of an export, which share
/// their weights. Yields the modules that were added.
std::vector<ModuleRange> keep_in_range(const std::vector<const Ranges*>& graphs, double limit, KeptModules& kept);

}  // namespace onnxport
