// SPDX-License-Identifier: Apache-2.0
#include "core/validate/cuts.hpp"

#include <algorithm>
#include <set>

#include "core/ir/lengths.hpp"
#include "core/tensor/elements.hpp"

namespace onnxport {
namespace {

constexpr const char* mark_prefix = "value ";

/// Whether the two are as long where axes have the sizes that the file fixes.
bool is_as_long(const ir::Dim& defined, const ir::Dim& written, const ir::Lengths& fixed) {
  if (defined == written) return true;
  const auto length = ir::length_of(defined, fixed);
  return length && length == ir::length_of(written, fixed);
}

/// Whether the value of the file holds all that of the definition, at most in another type of element.
bool stands_for(const ir::TensorType& written, const ir::TensorType& defined, const ir::Lengths& fixed) {
  const bool is_narrow_id = written.dtype == ir::DType::i32 && defined.dtype == ir::DType::i64;
  if (!is_narrow_id && !can_convert(written.dtype, defined.dtype)) return false;
  return std::equal(defined.shape.begin(), defined.shape.end(), written.shape.begin(), written.shape.end(),
                    [&](const ir::Dim& a, const ir::Dim& b) { return is_as_long(a, b, fixed); });
}

/// How a graph's values pass from node to node.
class Flow {
 public:
  explicit Flow(const ir::Graph& graph)
      : made_(graph.values.size(), none), last_use_(graph.values.size(), 0), heavy_(graph.values.size()) {
    for (size_t id = 0; id < graph.values.size(); ++id) heavy_[id] = graph.values[id].origin == ir::Origin::weight;
    for (size_t i = 0; i < graph.nodes.size(); ++i) {
      const ir::Node& node = graph.nodes[i];
      bool is_heavy = false;
      for (ir::ValueId id : node.inputs) {
        last_use_[id] = i;
        is_heavy = is_heavy || heavy_[id];
      }
      for (ir::ValueId id : node.outputs) {
        made_[id] = i;
        heavy_[id] = is_heavy;
      }
    }
  }

  static constexpr size_t none = static_cast<size_t>(-1);
  /// The node that makes the value, and the last that takes it.
  size_t made(ir::ValueId id) const { return made_[id]; }
  size_t last_use(ir::ValueId id) const { return last_use_[id]; }
  bool passes_anything(ir::ValueId id) const {
    return id != ir::absent && made_[id] != none && last_use_[id] > made_[id];
  }
  /// Whether the value hangs on a weight.
  bool is_heavy(ir::ValueId id) const { return heavy_[id]; }

 private:
  std::vector<size_t> made_, last_use_;
  std::vector<bool> heavy_;
};

/// Bytes in f32 of the weights that a graph holds or its nodes in [first, last) take.
class WeightCounter {
 public:
  void add(const ir::Graph& graph, size_t first, size_t last) {
    for (size_t i = first; i < last; ++i) {
      for (ir::ValueId id : graph.nodes[i].inputs) add(graph[id]);
      for (const auto& [name, body] : graph.nodes[i].bodies) add(*body, 0, body->nodes.size());
    }
  }
  uint64_t bytes() const { return bytes_; }

 private:
  void add(const ir::Value& value) {
    if (value.origin != ir::Origin::weight || !value.weight || !counted_.insert(value.weight.get()).second) return;
    bytes_ += value.weight->bytes() / ir::size_of(value.weight->dtype()) * sizeof(float);
  }

  std::set<const Weight*> counted_;
  uint64_t bytes_ = 0;
};

uint64_t weights_of(const ir::Graph& graph, size_t first, size_t last) {
  WeightCounter counter;
  counter.add(graph, first, last);
  return counter.bytes();
}

Segment segment_of(const ir::Graph& graph, const Flow& flow, size_t first, size_t last) {
  Segment segment{.first = first, .last = last, .weights = weights_of(graph, first, last)};
  std::set<ir::ValueId> takes;
  for (size_t i = first; i < last; ++i) {
    const ir::Node& node = graph.nodes[i];
    for (ir::ValueId id : node.inputs) {
      if (id != ir::absent && flow.made(id) != Flow::none && flow.made(id) < first) takes.insert(id);
    }
    for (ir::ValueId id : node.outputs) {
      if (flow.passes_anything(id) && flow.last_use(id) >= last) segment.yields.push_back(id);
    }
  }
  segment.takes.assign(takes.begin(), takes.end());
  const bool is_last = last == graph.nodes.size();
  for (const ir::NamedValue& output : graph.outputs) {
    const size_t made = flow.made(output.value);
    if (made == Flow::none ? is_last : made >= first && made < last) segment.outputs.push_back(output);
  }
  segment.from = graph.nodes[first].scope;
  segment.to = graph.nodes[last - 1].scope;
  return segment;
}

}  // namespace

ir::Graph with_marks(ir::Graph definition) {
  definition.marks.clear();
  for (const ir::Node& node : definition.nodes) {
    for (ir::ValueId id : node.outputs) {
      if (id != ir::absent) definition.marks.push_back({carried_name(id), id});
    }
  }
  return definition;
}

TracedLowering traced(ir::Graph definition, ir::Graph lowered, const InputForm& form) {
  TracedLowering both{std::move(definition), std::move(lowered)};
  both.names.resize(both.definition.values.size());
  both.carries.resize(both.definition.values.size(), false);
  const ir::Lengths fixed(form.fixed.begin(), form.fixed.end());
  for (const ir::NamedValue& mark : both.lowered.marks) {
    const auto id = static_cast<ir::ValueId>(std::stoul(mark.name.substr(std::string(mark_prefix).size())));
    const ir::Value& value = both.lowered[mark.value];
    if (value.origin != ir::Origin::node) continue;
    both.names[id] = value.name;
    both.carries[id] = stands_for(value.type, both.definition[id].type, fixed);
  }
  return both;
}

TracedLowering trace_lowering(const OnnxConfig& config, const Definition& definition, const GraphForm& form) {
  // Lowering is deterministic and marks do not change it, so that values have the names of the file.
  ir::Graph marked = with_marks(definition.graph);
  ir::Graph lowered = lowered_graph(config, definition, marked, form);
  return traced(std::move(marked), std::move(lowered), form.inputs);
}

std::vector<size_t> cuts_of(const TracedLowering& both) {
  const ir::Graph& graph = both.definition;
  const Flow flow(graph);
  const size_t nodes = graph.nodes.size();
  // By place: how many results pass it that hang on weights, and how many that only the definition has.
  std::vector<int> heavy(nodes + 1, 0), unknown(nodes + 1, 0);
  for (ir::ValueId id = 0; id < graph.values.size(); ++id) {
    if (!flow.passes_anything(id) || !flow.is_heavy(id)) continue;
    for (size_t place = flow.made(id) + 1; place <= flow.last_use(id); ++place) {
      ++heavy[place];
      if (both.carried(id).empty()) ++unknown[place];
    }
  }
  std::vector<size_t> cuts;
  for (size_t begin = 1; begin < nodes;) {
    size_t end = begin;
    while (end < nodes && heavy[end] == heavy[begin]) ++end;
    const bool falls = begin == 1 || heavy[begin - 1] == 0 || heavy[begin - 1] > heavy[begin];
    const bool rises = end == nodes || heavy[end] > heavy[begin];
    if (heavy[begin] > 0 && falls && rises) {
      for (size_t place = begin; place < end; ++place) {
        if (unknown[place] == 0) cuts.push_back(place);
      }
    }
    begin = end;
  }
  // What holds no weights needs no segment of its own.
  std::vector<size_t> useful;
  size_t next = nodes;
  for (auto cut = cuts.rbegin(); cut != cuts.rend(); ++cut) {
    if (weights_of(graph, *cut, next) == 0) continue;
    useful.insert(useful.begin(), *cut);
    next = *cut;
  }
  return useful;
}

std::vector<Segment> segments_of(const ir::Graph& definition, const std::vector<size_t>& cuts, uint64_t most_weights) {
  const Flow flow(definition);
  std::vector<size_t> ends = cuts;
  ends.push_back(definition.nodes.size());
  std::vector<Segment> segments;
  size_t first = 0;
  for (size_t i = 0; i < ends.size(); ++i) {
    const bool is_last = i + 1 == ends.size();
    if (!is_last && weights_of(definition, first, ends[i + 1]) <= most_weights) continue;
    segments.push_back(segment_of(definition, flow, first, ends[i]));
    first = ends[i];
  }
  return segments;
}

std::string carried_name(ir::ValueId value) {
  return mark_prefix + std::to_string(value);
}

ir::Graph graph_of(const ir::Graph& definition, const Segment& segment) {
  ir::Graph graph = definition;
  graph.nodes.assign(definition.nodes.begin() + static_cast<std::ptrdiff_t>(segment.first),
                     definition.nodes.begin() + static_cast<std::ptrdiff_t>(segment.last));
  std::set<ir::ValueId> used;
  for (const ir::Node& node : graph.nodes) used.insert(node.inputs.begin(), node.inputs.end());
  for (const ir::NamedValue& output : segment.outputs) used.insert(output.value);
  std::erase_if(graph.inputs, [&](const ir::NamedValue& input) { return !used.contains(input.value); });
  for (ir::ValueId id : segment.takes) {
    graph[id].origin = ir::Origin::input;
    graph.inputs.push_back({carried_name(id), id});
  }
  graph.outputs = segment.outputs;
  for (ir::ValueId id : segment.yields) graph.outputs.push_back({carried_name(id), id});
  return with_marks(std::move(graph));
}

}  // namespace onnxport
