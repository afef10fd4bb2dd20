// SPDX-License-Identifier: Apache-2.0
#include "core/passes/divide_layers.hpp"

#include <algorithm>
#include <optional>
#include <set>

namespace onnxport {
namespace {

using ir::Node;
using ir::ValueId;

constexpr int64_t most_times_narrower = 4;  // than the input: keys and values that serve four queries are as wide

class Division {
 public:
  Division(ir::Graph& graph, const std::vector<Patch>& patches)
      : g_(graph), patches_(patches), makers_(graph.values.size(), nullptr) {
    for (const auto& users : g_.users()) uses_.push_back(users.size());
    for (const ir::NamedValue& mark : g_.marks) ++uses_[mark.value];
    for (const Node& node : g_.nodes) {
      for (ValueId id : node.outputs) makers_[id] = &node;
    }
  }

  void run() {
    std::vector<Node> made;
    made.reserve(g_.nodes.size());
    for (const Node& node : g_.nodes) {
      if (const std::optional<Node> layer = divisible(node))
        divide(*layer, node, made);
      else
        made.push_back(node);
    }
    std::erase_if(made,
                  [this](const Node& node) { return node.outputs.size() == 1 && divided_.contains(node.outputs[0]); });
    g_.nodes = std::move(made);
  }

 private:
  bool is(const Node& node, const char* domain, const char* op) const {
    return node.domain == domain && node.op == op &&
           std::none_of(patches_.begin(), patches_.end(), [&](const Patch& patch) { return patch.claims(node); });
  }

  /// The layer that yields what the node splits, and nothing else, where it may be divided.
  std::optional<Node> divisible(const Node& split) const {
    if (!is(split, "", "Split") || uses_[split.input(0)] != 1) return std::nullopt;
    const Node* layer = makers_[split.input(0)];
    const auto rank = static_cast<int64_t>(g_[split.input(0)].type.shape.size());
    const int64_t axis = split.integer("axis", 0);
    if (layer == nullptr || !is(*layer, ir::composite_domain, "Linear") || (axis != -1 && axis != rank - 1))
      return std::nullopt;
    const ValueId weight = layer->input(1);
    if (layer->input(2) != ir::absent || g_[weight].origin != ir::Origin::weight || uses_[weight] != 1)
      return std::nullopt;
    // Pieces of a stack are not sliced by rows.
    if (!g_[weight].weight->pieces().empty()) return std::nullopt;
    const int64_t in = g_[weight].type.shape[1].size();
    const bool wide = std::all_of(split.outputs.begin(), split.outputs.end(),
                                  [&](ValueId part) { return width(part) * most_times_narrower >= in; });
    return wide ? std::optional(*layer) : std::nullopt;
  }

  int64_t width(ValueId part) const { return g_[part].type.shape.back().size(); }

  /// The parts take the place of the split.
  void divide(const Node& layer, const Node& split, std::vector<Node>& made) {
    const std::string name = g_[layer.input(1)].name;
    const Weight whole = *g_[layer.input(1)].weight;
    int64_t row = 0;
    divided_.insert(split.input(0));
    for (ValueId output : split.outputs) {
      const int64_t end = row + width(output);
      Node part = layer;
      part.inputs[1] = g_.add_weight(name, whole.then(SliceAxis{0, row, end}));
      part.outputs = {output};
      made.push_back(std::move(part));
      row = end;
    }
  }

  ir::Graph& g_;
  const std::vector<Patch>& patches_;
  std::vector<const Node*> makers_;
  std::vector<size_t> uses_;   // by value: nodes, outputs and marks
  std::set<ValueId> divided_;  // results of layers that were
};

}  // namespace

void divide_layers(ir::Graph& graph, const std::vector<Patch>& patches) {
  for (Node& node : graph.nodes) ir::rewrite_bodies(node, [&](ir::Graph& body) { divide_layers(body, patches); });
  Division(graph, patches).run();
}

}  // namespace onnxport
