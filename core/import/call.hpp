// SPDX-License-Identifier: Apache-2.0
// One operation of a script, as the function that translates it sees it: its arguments, and what it builds with.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/backend/script_graph.hpp"
#include "core/import/item.hpp"

namespace onnxport::script {

/// The arguments by their places, as torch's schema has them, and the graph in the scope of the node. What an argument
/// is not, is an error that names the operator and its place.
class Call {
 public:
  Call(ir::Graph& graph, const ScriptNode& node, const Items& arguments)
      : graph_(graph), node_(node), arguments_(arguments) {}

  /// "aten::roll" -> "roll"
  std::string name() const;
  const ScriptNode& node() const { return node_; }
  /// Throws Error(usage): the operator, its place, and why it cannot be translated.
  [[noreturn]] void refuse(const std::string& why, const std::string& hint = {}) const;

  // --- arguments ---------------------------------------------------------------------------------------------------
  size_t count() const { return arguments_.size(); }
  /// None where there are not so many.
  const Item& at(size_t index) const;
  bool has(size_t index) const { return !at(index).is_none(); }
  /// A tensor of the graph; a number becomes one of no axes.
  ir::ValueId tensor(size_t index) const { return tensor_of(at(index)); }
  int64_t integer(size_t index) const;
  int64_t integer(size_t index, int64_t fallback) const { return has(index) ? integer(index) : fallback; }
  double number(size_t index) const;
  double number(size_t index, double fallback) const { return has(index) ? number(index) : fallback; }
  bool flag(size_t index) const;
  bool flag(size_t index, bool fallback) const { return has(index) ? flag(index) : fallback; }
  std::string text(size_t index) const;
  const Items& list(size_t index) const;
  /// Of known numbers; a single one stands for a list of it.
  std::vector<int64_t> integers(size_t index) const;
  /// The same, with a single number repeated.
  std::vector<int64_t> integers(size_t index, size_t count) const;
  /// Numbers that may be symbolic.
  std::vector<Integer> sizes(size_t index) const;
  Integer size(size_t index) const { return size_of(at(index)); }
  std::vector<ir::ValueId> tensors(size_t index) const;
  /// torch's number of an element type.
  ir::DType element_type(size_t index) const;

  // --- what is known of values ---------------------------------------------------------------------------------------
  ir::Graph& graph() const { return graph_; }
  const ir::Shape& shape(ir::ValueId value) const { return graph_[value].type.shape; }
  ir::DType dtype(ir::ValueId value) const { return graph_[value].type.dtype; }
  size_t rank(ir::ValueId value) const { return shape(value).size(); }
  /// An axis that may count from the end.
  size_t axis(int64_t axis, size_t rank) const;
  /// The same of a tensor's axis that an argument names.
  int64_t axis_of(ir::ValueId value, size_t index) const {
    return static_cast<int64_t>(axis(integer(index), rank(value)));
  }
  ir::ValueId tensor_of(const Item& item) const;
  Integer size_of(const Item& item) const;
  /// The one number in a tensor that is known here; nullopt where it is not.
  std::optional<double> known_number(const Item& item) const;

  // --- building ------------------------------------------------------------------------------------------------------
  ir::ValueId op(const std::string& name, std::vector<ir::ValueId> inputs, ir::Attributes attributes = {}) const;
  ir::ValueId composite(const std::string& name, std::vector<ir::ValueId> inputs, ir::Attributes attributes = {}) const;
  std::vector<ir::ValueId> ops(const std::string& domain, const std::string& name, std::vector<ir::ValueId> inputs,
                               ir::Attributes attributes, size_t outputs) const;
  ir::ValueId scalar(double value, ir::DType dtype) const;
  ir::ValueId integers_of(std::vector<int64_t> values) const;
  /// As it is where it has the type.
  ir::ValueId cast(ir::ValueId value, ir::DType dtype) const;
  /// In f32 where it holds no floats.
  ir::ValueId as_float(ir::ValueId value) const;
  ir::ValueId transpose(ir::ValueId value, std::vector<int64_t> order) const;
  ir::ValueId unsqueeze(ir::ValueId value, std::vector<int64_t> axes) const;
  ir::ValueId squeeze(ir::ValueId value, std::vector<int64_t> axes) const;
  /// Entries [begin, end) of an axis.
  ir::ValueId slice(ir::ValueId value, int64_t axis, int64_t begin, int64_t end) const;
  /// Sizes that are symbolic may stand in both; -1 takes the rest of a shape, and keeps an axis that is expanded.
  /// A size that stands where the tensor has a symbolic one is an error: it was written down while the module was made.
  ir::ValueId reshape(ir::ValueId value, const std::vector<Integer>& shape) const;
  ir::ValueId expand(ir::ValueId value, const std::vector<Integer>& shape) const;
  /// i64[n]
  ir::ValueId shape_tensor(const std::vector<Integer>& sizes) const;
  std::vector<Integer> sizes_of(ir::ValueId value) const;
  Integer size_of_axis(ir::ValueId value, size_t axis) const;

 private:
  void require_all_elements(ir::ValueId value, const std::vector<Integer>& shape) const;

  ir::Graph& graph_;
  const ScriptNode& node_;
  const Items& arguments_;
};

/// Makes the results of a node.
using Rule = Items (*)(Call&);

/// One operator that is known.
struct Row {
  std::string_view kind;  // "aten::linear"; what ends in "_" does the same in place, and has no row
  Rule rule;
};

/// A whole number as an i64 scalar of the graph.
ir::ValueId value_of(const Call& call, const Integer& number);

/// The element type in which torch computes with these together: tensors with axes count before those without, and
/// these before numbers, unless what comes later is of a higher kind (bool, whole, real).
ir::DType common_type(const Call& call, const Items& items);
/// All of them as tensors of that type.
std::vector<ir::ValueId> promoted(const Call& call, const Items& items);
/// The element type that torch gives this number.
ir::DType element_type_of(const Call& call, int64_t torch_number);
/// torch's number of an element type.
int64_t torch_number_of(ir::DType dtype);

}  // namespace onnxport::script
