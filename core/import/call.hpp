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

using ir::Dim;
using ir::DType;
using ir::ValueId;
using Ints = std::vector<int64_t>;

/// Where a node stands, for messages: "'encoder.layer.0' (modeling.py:27)".
std::string place_of(const ScriptNode& node);

/// The arguments by their places, as torch's schema has them, and the graph in the scope of the node. What an argument
/// is not, is an error that names the operator and its place.
class Call {
 public:
  Call(ir::Graph& graph, const ScriptNode& node, const Items& arguments)
      : graph_(graph), node_(node), arguments_(arguments) {}

  /// "aten::roll" -> "roll"
  std::string name() const;
  /// The same of what it does to a copy, where it changes its argument: "aten::add_" -> "add"
  std::string base_name() const;
  const ScriptNode& node() const { return node_; }
  /// Throws Error(usage): the operator, its place, and why it cannot be translated.
  [[noreturn]] void refuse(const std::string& why, const std::string& hint = {}) const;

  // --- arguments ---------------------------------------------------------------------------------------------------
  size_t count() const { return arguments_.size(); }
  /// None where there are not so many.
  const Item& at(size_t index) const;
  bool has(size_t index) const { return !at(index).is_none(); }
  /// A tensor of the graph; a number becomes one of no axes.
  ValueId tensor(size_t index) const { return tensor_of(at(index)); }
  int64_t integer(size_t index) const;
  int64_t integer(size_t index, int64_t fallback) const { return has(index) ? integer(index) : fallback; }
  double number(size_t index) const;
  double number(size_t index, double fallback) const { return has(index) ? number(index) : fallback; }
  bool flag(size_t index) const;
  bool flag(size_t index, bool fallback) const { return has(index) ? flag(index) : fallback; }
  std::string text(size_t index) const;
  const Items& list(size_t index) const;
  /// Of known numbers; a single one stands for a list of it.
  Ints integers(size_t index) const;
  /// The same, with a single number repeated.
  Ints integers(size_t index, size_t count) const;
  /// Numbers that may be symbolic.
  std::vector<Integer> sizes(size_t index) const;
  Integer size(size_t index) const { return size_of(at(index)); }
  std::vector<ValueId> tensors(size_t index) const;
  /// torch's number of an element type.
  DType element_type(size_t index) const;

  // --- what is known of values ---------------------------------------------------------------------------------------
  ir::Graph& graph() const { return graph_; }
  const ir::Shape& shape(ValueId value) const { return graph_[value].type.shape; }
  DType dtype(ValueId value) const { return graph_[value].type.dtype; }
  size_t rank(ValueId value) const { return shape(value).size(); }
  /// An axis that may count from the end.
  size_t axis(int64_t axis, size_t rank) const;
  /// The same of a tensor's axis that an argument names.
  int64_t axis_of(ValueId value, size_t index) const { return static_cast<int64_t>(axis(integer(index), rank(value))); }
  ValueId tensor_of(const Item& item) const;
  Integer size_of(const Item& item) const;
  /// The one number in a tensor that is known here; nullopt where it is not.
  std::optional<double> known_number(const Item& item) const;

  // --- building ------------------------------------------------------------------------------------------------------
  ValueId op(const std::string& name, std::vector<ValueId> inputs, ir::Attributes attributes = {}) const;
  ValueId composite(const std::string& name, std::vector<ValueId> inputs, ir::Attributes attributes = {}) const;
  std::vector<ValueId> ops(const std::string& domain, const std::string& name, std::vector<ValueId> inputs,
                           ir::Attributes attributes, size_t outputs) const;
  ValueId scalar(double value, DType dtype) const;
  ValueId integers_of(Ints values) const;
  /// As it is where it has the type.
  ValueId cast(ValueId value, DType dtype) const;
  /// In f32 where it holds no floats.
  ValueId as_float(ValueId value) const;
  ValueId transpose(ValueId value, Ints order) const;
  /// The last two axes swapped.
  ValueId turned(ValueId value) const;
  ValueId unsqueeze(ValueId value, Ints axes) const;
  ValueId squeeze(ValueId value, Ints axes) const;
  /// Entries [begin, end) of an axis.
  ValueId slice(ValueId value, int64_t axis, int64_t begin, int64_t end) const;
  /// Sizes that are symbolic may stand in both; -1 takes the rest of a shape, and keeps an axis that is expanded.
  /// A size that stands where the tensor has a symbolic one is an error: it was written down while the module was made.
  ValueId reshape(ValueId value, const std::vector<Integer>& shape) const;
  ValueId expand(ValueId value, const std::vector<Integer>& shape) const;
  /// i64[n]
  ValueId shape_tensor(const std::vector<Integer>& sizes) const;
  std::vector<Integer> sizes_of(ValueId value) const;
  Integer size_of_axis(ValueId value, size_t axis) const;

 private:
  void require_all_elements(ValueId value, const std::vector<Integer>& shape) const;

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

/// The rule of what hands its first argument on.
Items as_it_is(Call& call);

/// A whole number as an i64 scalar of the graph.
ValueId value_of(const Call& call, const Integer& number);

/// The element type in which torch computes with these together: tensors with axes count before those without, and
/// these before numbers, unless what comes later is of a higher kind (bool, whole, real).
DType common_type(const Call& call, const Items& items);
/// All of them as tensors of that type.
std::vector<ValueId> promoted(const Call& call, const Items& items);
/// The element type that torch gives this number.
DType element_type_of(const Call& call, int64_t torch_number);
/// torch's number of an element type.
int64_t torch_number_of(DType dtype);

}  // namespace onnxport::script
