// SPDX-License-Identifier: Apache-2.0
// All that is known of an operator, in one row: what it takes and yields, how it is lowered, what of it stays in f32,
// and its line in docs/operators.md. The rows stand in core/operators, in a file for each area. How it is evaluated,
// the reference knows for itself (backends/torch).
#pragma once

#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/ir/graph.hpp"
#include "core/ir/target.hpp"

namespace onnxport::ir {

class Builder;

/// What a mask adds to the score of a key that does not count: the float beside the lowest. ONNX Runtime's Attention
/// takes the lowest one itself as a key that does not exist, and yields zeros where a query has no other; what the
/// operator means, and torch does, is then the mean of the values.
inline constexpr double masked_score = std::numeric_limits<float>::lowest() + 0x1p104;

/// The inputs of the composite Attention by their places. Its results are the mixed values, the present keys and values
/// where `present` is 1, and its probabilities where one more is asked for.
struct AttentionInput {
  enum : size_t { q, k, v, bias, mask, past_key, past_value, cosines, sines, sinks };
};

/// What inference sees of a node: its input values and where to put the results.
struct Inference {
  const Graph& graph;
  const Node& node;
  std::vector<Value>& results;  // as many as the node has outputs; types and contents to be filled in

  const Value& in(size_t index) const { return graph[node.inputs.at(index)]; }
  bool has(size_t index) const { return node.input(index) != absent; }
  const Shape& shape(size_t index) const { return in(index).type.shape; }
};

/// Stands for opsets without end, and for inputs or outputs without a number.
inline constexpr int64_t every_opset = std::numeric_limits<int64_t>::max();
inline constexpr size_t any_number = 1 << 16;

struct Count {
  size_t least = 1, most = least;
};

/// The kinds of attributes, in the order of Attribute's alternatives.
enum class AttributeKind { integer, real, text, integers, reals };
/// "int", "float", "text", "ints", "floats"
std::string_view name_of(AttributeKind kind);

/// The input that an attribute is in a file from an opset on.
struct Operand {
  size_t input = 0;
  int64_t since = every_opset;
  bool list = false;  // a single number stands as a tensor of one axis
};

struct AttributeSpec {
  std::string_view name;
  AttributeKind kind;
  /// For the documentation: what it is where it is not given, or what its numbers mean. "1e-5", "the sizes".
  std::string_view note = {};
  Operand operand = {};
};

/// Builds what stands for a node in the lowered graph, and yields its results.
using Rule = std::vector<ValueId> (*)(Builder&);

/// A rule for some opsets and targets.
struct Lowering {
  Rule rule = nullptr;
  int64_t below = every_opset;        // the first opset that it is not for
  std::optional<Target> target = {};  // only for this one
};

/// What 16 bits do to an operator (--dtype). What is not said stays as the graph has it: computed in 16 bits where
/// something that it takes is.
struct Precision {
  /// Computed in f32 in the opsets below this one: in every one because it loses too much, or up to the one that has an
  /// operator which sums in f32 by itself.
  int64_t wide_below = 0;
  /// Computed in f32 in the opsets below this one where the 16 bits are bf16: the first whose operator takes these. 0
  /// stands for all that take them.
  int64_t wide_in_bf16_below = 0;
  /// Inputs that are f32 whatever the others are.
  std::vector<size_t> wide_inputs = {};
  /// Those among them that decide something: what makes them is computed in f32, back to the product it begins with.
  std::vector<size_t> deciding_inputs = {};
  /// Whether such a making begins with it.
  bool product = false;
  /// When a result in f32 may hold numbers that 16 bits have not: where an input does, or whatever they are.
  enum class Beyond { as_inputs, always, never } beyond = Beyond::as_inputs;
  /// Which constants that 16 bits do not have are numbers of a formula, and no mask's, where they meet what a model
  /// computes of its weights: then the node is computed in f32. A mask is a table where it is added.
  enum class Numbers { none, single, any } numbers = Numbers::none;
  /// Below this opset its lowering computes steps in the type that may leave its range where no result does: products
  /// of queries and keys, powers.
  int64_t opens_below = 0;
};

/// A node all of whose inputs are weights, or constants, which come as weights.
struct Folding {
  const Node& node;
  const std::vector<Weight>& inputs;
  const std::vector<int64_t>& shape;  // of its result
};

/// A node all of whose inputs are constants, and whose results have fixed shapes.
struct Known {
  const Node& node;
  const std::vector<const Tensor*>& inputs;  // null where absent
  const std::vector<TensorType>& results;

  bool has(size_t index) const { return index < inputs.size() && inputs[index] != nullptr; }
  const Tensor& in(size_t index) const { return *inputs.at(index); }
  DType dtype(size_t result = 0) const { return results.at(result).dtype; }
  std::vector<int64_t> shape(size_t result = 0) const;
};
/// What a node yields; nullopt where that cannot be told exactly, as of integers that no double holds.
using Evaluated = std::optional<std::vector<Tensor>>;

/// How an operator is done at export where all that it takes is known then.
struct Fold {
  /// The weight that its result is, or none where no transform says the same.
  std::optional<Weight> (*rule)(const Folding&) = nullptr;
  /// Whether the result's elements are those of its first input, moved: another layout of the same tensor.
  bool layout = false;
  /// What it yields, number by number, where there is no such weight.
  Evaluated (*evaluate)(const Known&) = nullptr;
};

/// What the node yields by its row. nullopt where that has neither a rule nor an evaluation that says.
Evaluated evaluate(const Known& known);

/// A line of docs/operators.md. Neighbouring rows with the same line, and the same attributes, share one.
struct Documentation {
  /// "x: f[..., in], weight: f[out, in], [bias: f[out]]"
  std::string_view inputs = {};
  std::string_view notes = {};
  /// Of an operator that no definition uses: the composite of which lowering makes it.
  std::string_view made_from = {};
};

/// One row of the table.
struct Operator {
  std::string_view domain = {};
  std::string_view name = {};
  Count inputs = {};
  size_t max_outputs = 1;
  void (*infer)(Inference&) = nullptr;
  std::vector<AttributeSpec> attributes = {};  // all that there are; which of them must be given, `infer` knows
  std::vector<Lowering> lowering = {};         // the first that applies; where none does, the node stays as it is
  Fold fold = {};
  Precision precision = {};
  Documentation documentation = {};
};

/// All rows, area by area.
const std::vector<Operator>& operators();
/// The row, or null where the operator is not known.
const Operator* find_operator(std::string_view domain, std::string_view name);

/// The rule that applies, or null where the operator stays as it is, or is not known.
Rule find_rule(const Node& node, int64_t opset, Target target);
Rule rule_of(const Operator& op, int64_t opset, Target target);

/// Holds a node's attributes against its operator's; ints become floats where floats are meant. Throws
/// std::invalid_argument for an attribute that the operator does not have, naming the nearest that it has, and for one
/// of another kind.
void check_attributes(const Operator& op, Attributes& attributes);

/// The numpy rule over symbolic dims. Throws std::invalid_argument where two dims cannot be equal.
Shape broadcast(const Shape& a, const Shape& b);

}  // namespace onnxport::ir
