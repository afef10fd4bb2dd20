// SPDX-License-Identifier: Apache-2.0
#include "core/passes/preallocate_cache.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <utility>

#include "core/error.hpp"
#include "core/ir/infer_again.hpp"

namespace onnxport {
namespace {

using ir::Dim;
using ir::ValueId;
using Ints = std::vector<int64_t>;

/// Adds what stands before and behind the nodes of the model.
class Buffers {
 public:
  Buffers(ir::Graph& graph, int64_t places) : g_(graph), places_(places) {}

  void keep(const GrowingState& state) {
    const ValueId past = named(g_.inputs, state.past), present = named(g_.outputs, state.present);
    const auto axis = static_cast<int64_t>(state.axis);
    ir::Shape buffer = g_[present].type.shape;
    buffer.at(state.axis) = g_[past].type.shape.at(state.axis);
    if (buffer != g_[past].type.shape)
      throw Error(Failure::usage,
                  fmt::format("--max-sequence: the cache '{}' is given as {} and put out as {}, so that no buffer can "
                              "be both",
                              state.past, ir::to_string(g_[past].type), ir::to_string(g_[present].type)),
                  "leave it out");
    g_[past].type.shape[state.axis] = Dim(places_);
    call_total(state);
    const ValueId total = length(state.total), filled = difference(total, length(state.step));
    by_.emplace(past, part(past, axis, integer(0), filled));
    behind_.push_back({present, past, axis, filled, total});
  }

  /// The model's nodes take what is filled of each buffer; what they add to it is written behind that, which moves
  /// nothing else where the same memory is given and taken.
  void finish(std::vector<ir::Node> model) {
    for (ir::Node& node : model) {
      for (ValueId& input : node.inputs) {
        if (const auto found = by_.find(input); found != by_.end()) input = found->second;
      }
    }
    g_.nodes.insert(g_.nodes.end(), std::make_move_iterator(model.begin()), std::make_move_iterator(model.end()));
    for (const Behind& b : behind_) {
      const ValueId fresh = part(b.present, b.axis, b.filled, b.total);
      const ValueId whole = g_.add_node({"", "ScatterND", "", {b.buffer, places_of(fresh, b), fresh}, {}, {}, ""})[0];
      for (ir::NamedValue& output : g_.outputs) {
        if (output.value == b.present) output.value = whole;
      }
    }
  }

 private:
  struct Behind {
    ValueId present, buffer;
    int64_t axis;
    ValueId filled, total;
  };

  /// i64[rows of `fresh`, axis + 1]: where each of them, along the axis, goes in the buffer.
  ValueId places_of(ValueId fresh, const Behind& b) {
    const ir::Shape rows(g_[fresh].type.shape.begin(), g_[fresh].type.shape.begin() + b.axis + 1);
    ValueId& known = places_of_[{ir::to_string(rows), b.filled}];
    if (known != ir::absent) return known;
    const auto node = [this](const char* op, std::vector<ValueId> inputs, ir::Attributes attributes) {
      return g_.add_node({"", op, "", std::move(inputs), {}, std::move(attributes), ""})[0];
    };
    const auto number = [&](ValueId of_one) { return node("Squeeze", {of_one}, {{"axes", Ints{0}}}); };
    const auto lengths = [&](int64_t begin, int64_t end) {
      return node("Shape", {fresh}, {{"start", begin}, {"end", end}});
    };
    const ValueId one = number(integer(1)),
                  grid = node("Concat", {lengths(0, b.axis + 1), integer(1)}, {{"axis", int64_t{0}}});
    std::vector<ValueId> along;
    for (int64_t axis = 0; axis <= b.axis; ++axis) {
      const ValueId range = axis == b.axis
                                ? node("Range", {number(b.filled), number(b.total), one}, {})
                                : node("Range", {number(integer(0)), number(lengths(axis, axis + 1)), one}, {});
      Ints shape(static_cast<size_t>(b.axis) + 2, 1);
      shape[static_cast<size_t>(axis)] = -1;
      along.push_back(node("Expand", {node("Reshape", {range}, {{"shape", shape}}), grid}, {}));
    }
    return known = node("Concat", along, {{"axis", b.axis + 1}});
  }

  /// No axis is as long as the past any more, so that what is as long as past and step has a name of its own.
  void call_total(const GrowingState& state) {
    const Dim total = g_[named(g_.inputs, state.total.input)].type.shape.at(state.total.axis);
    const Dim step = g_[named(g_.inputs, state.step.input)].type.shape.at(state.step.axis);
    for (const ir::NamedValue& input : g_.inputs) {
      for (Dim& dim : g_[input.value].type.shape) {
        if (!total.is_static() && dim == total) dim = Dim::symbol("total_" + step.to_string());
      }
    }
  }

  static ValueId named(const std::vector<ir::NamedValue>& values, const std::string& name) {
    const auto found =
        std::find_if(values.begin(), values.end(), [&](const ir::NamedValue& value) { return value.name == name; });
    return found == values.end() ? ir::absent : found->value;
  }

  /// All of these are i64[1].
  ValueId integer(int64_t value) { return g_.add_constant(ir::Tensor::of<int64_t>(ir::DType::i64, {1}, {value})); }

  ValueId length(const InputAxis& of) {
    ValueId& known = lengths_[{of.input, of.axis}];
    const auto axis = static_cast<int64_t>(of.axis);
    if (known == ir::absent)
      known =
          g_.add_node({"", "Shape", "", {named(g_.inputs, of.input)}, {}, {{"start", axis}, {"end", axis + 1}}, ""})[0];
    return known;
  }

  ValueId difference(ValueId total, ValueId step) {
    ValueId& known = differences_[{total, step}];
    if (known == ir::absent) known = g_.add_node({"", "Sub", "", {total, step}, {}, {}, ""})[0];
    return known;
  }

  ValueId part(ValueId buffer, int64_t axis, ValueId begin, ValueId end) {
    return g_.add_node({"", "Slice", "", {buffer, begin, end}, {}, {{"axes", Ints{axis}}}, ""})[0];
  }

  ir::Graph& g_;
  const int64_t places_;
  std::map<std::pair<std::string, size_t>, ValueId> lengths_;
  std::map<std::pair<ValueId, ValueId>, ValueId> differences_;
  std::map<std::pair<std::string, ValueId>, ValueId> places_of_;
  std::map<ValueId, ValueId> by_;
  std::vector<Behind> behind_;
};

}  // namespace

void preallocate_cache(ir::Graph& graph, const std::vector<GrowingState>& states, int64_t places) {
  std::vector<ir::Node> model = std::exchange(graph.nodes, {});
  // Outputs that are none of the buffers keep what their axes are called.
  std::map<std::string, ir::TensorType> called;
  for (const ir::NamedValue& output : graph.outputs) called[output.name] = graph[output.value].type;
  Buffers buffers(graph, places);
  for (const GrowingState& state : states) {
    buffers.keep(state);
    called.erase(state.present);
  }
  buffers.finish(std::move(model));
  ir::infer_again(graph);
  for (const ir::NamedValue& output : graph.outputs) {
    if (const auto type = called.find(output.name); type != called.end()) graph[output.value].type = type->second;
  }
}

}  // namespace onnxport
