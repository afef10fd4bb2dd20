// SPDX-License-Identifier: Apache-2.0
// The reference: evaluates a graph as it was defined with ATen, composites included. It shares nothing with lowering,
// since it is the judge of it.
#pragma once

#include <ATen/ATen.h>

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/ir/graph.hpp"

namespace onnxport::reference {

using Results = std::vector<at::Tensor>;

/// A body of a node, ready to be run.
class Body {
 public:
  virtual ~Body() = default;
  /// Takes what the body's graph does, in its order.
  virtual Results run(const std::vector<at::Tensor>& inputs) const = 0;
  /// What an output is, stacked, where the body never ran: a tensor of its type without entries.
  virtual at::Tensor never_run(size_t output) const = 0;
  /// It will not be run soon: its weights go, which it keeps from one run to the next.
  virtual void give_back() const = 0;
};
using Bodies = std::map<std::string, std::unique_ptr<const Body>>;

/// What the evaluation of one node sees.
struct Call {
  const ir::Node& node;
  const std::vector<at::Tensor>& inputs;  // undefined where absent
  const Bodies& bodies;

  const at::Tensor& in(size_t index) const { return inputs.at(index); }
  bool has(size_t index) const { return index < inputs.size() && inputs[index].defined(); }
  int64_t integer(const std::string& key, int64_t fallback) const { return node.integer(key, fallback); }
  double real(const std::string& key, double fallback) const { return node.real(key, fallback); }
  std::string text(const std::string& key, const std::string& fallback) const { return node.text(key, fallback); }
  std::vector<int64_t> integers(const std::string& key) const { return node.integers(key); }
};

using Evaluate = Results (*)(const Call&);
using Table = std::map<std::string_view, Evaluate>;

/// ONNX's operators in canonical form, by name.
const Table& operator_table();
/// The composites, by name.
const Table& composite_table();
/// Those that run graphs.
const Table& control_table();
/// Those of both kinds that choose among entries.
const Table& selection_operator_table();
const Table& selection_composite_table();
/// Those of both kinds that slide a window.
const Table& window_operator_table();
const Table& window_composite_table();
/// Those of both kinds that sample between pixels, or pad.
const Table& resampling_operator_table();
const Table& resampling_composite_table();
/// Normalisations of channels, and recurrent layers.
const Table& channel_norm_composite_table();
const Table& sequence_composite_table();

/// 16-bit floats as 32-bit ones, which hold them exactly: ATen computes little with the former, and the judge should
/// round less than the judged. Everything that enters an evaluation goes through this.
at::Tensor widened(const at::Tensor& tensor);

/// The entries of an integer tensor.
std::vector<int64_t> numbers(const at::Tensor& tensor);

at::ScalarType scalar_type(ir::DType dtype);
ir::DType dtype_of(at::ScalarType type);

}  // namespace onnxport::reference
