// SPDX-License-Identifier: Apache-2.0
// What the graph knows of each operator: its inputs, attributes and the types of its results.
#pragma once

#include <functional>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "core/ir/graph.hpp"

namespace onnxport::ir {

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

/// The kinds of attributes, in the order of Attribute's alternatives.
enum class AttributeKind { integer, real, text, integers, reals };
/// "int", "float", "text", "ints", "floats"
std::string_view name_of(AttributeKind kind);

struct AttributeSpec {
  std::string_view name;
  AttributeKind kind;
};

/// One row of the operator table.
struct Operator {
  std::string_view domain, name;
  size_t min_inputs, max_inputs, max_outputs;
  void (*infer)(Inference&);
  std::vector<AttributeSpec> attributes = {};  // all that there are; which of them must be given, `infer` knows
};

/// The row, or null where the operator is not known.
const Operator* find_operator(std::string_view domain, std::string_view name);
/// All rows, by domain and name.
const std::vector<Operator>& operators();

/// Holds a node's attributes against its operator's; ints become floats where floats are meant. Throws
/// std::invalid_argument for an attribute that the operator does not have, naming the nearest that it has, and for one
/// of another kind.
void check_attributes(const Operator& op, Attributes& attributes);

// The rows by area, each in a file of its name.
const std::vector<Operator>& elementwise_operators();
const std::vector<Operator>& layout_operators();
const std::vector<Operator>& reduction_operators();
const std::vector<Operator>& linear_operators();
const std::vector<Operator>& attention_operators();
/// Those that slide a window: convolutions, pools.
const std::vector<Operator>& window_operators();
/// Those that sample between pixels.
const std::vector<Operator>& resampling_operators();
const std::vector<Operator>& padding_operators();
const std::vector<Operator>& channel_norm_operators();
/// Recurrent layers.
const std::vector<Operator>& sequence_operators();
/// Those that run graphs: If, Loop, Scan.
const std::vector<Operator>& control_operators();
/// Those that choose among entries: TopK, scattering, a mixture of experts.
const std::vector<Operator>& selection_operators();

/// The numpy rule over symbolic dims. Throws std::invalid_argument where two dims cannot be equal.
Shape broadcast(const Shape& a, const Shape& b);

}  // namespace onnxport::ir
