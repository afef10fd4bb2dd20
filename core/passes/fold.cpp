// SPDX-License-Identifier: Apache-2.0
// Folding: what depends on weights alone becomes a transform of a weight.
#include <algorithm>
#include <optional>

#include "core/passes/lower.hpp"

namespace onnxport {
namespace {

using ir::Node;
using ir::ValueId;

class Folding {
 public:
  Folding(ir::Graph& graph, const std::vector<Patch>& patches) : g_(graph), patches_(patches) {
    makers_.assign(g_.values.size(), nullptr);
    uses_.assign(g_.values.size(), 0);
    layouts_.assign(g_.values.size(), 0);
    for (Node& node : g_.nodes) {
      for (ValueId id : node.outputs) makers_[id] = &node;
      for (ValueId id : node.inputs) ++uses_[id];
      if (is_layout(node)) ++layouts_[node.input(0)];
    }
    for (const ir::NamedValue& output : g_.outputs) ++uses_[output.value];
  }

  void run() {
    for (Node& node : g_.nodes) {
      if (claimed(node)) continue;
      if (const auto weight = folded_weight(node)) {
        // The value becomes a weight itself; its node is left without outputs.
        ir::Value& value = g_[node.outputs[0]];
        value.origin = ir::Origin::weight;
        value.name = name_of(node);
        value.weight = std::make_shared<const Weight>(*weight);
        node.outputs.clear();
      } else if (is(node, ir::composite_domain, "BatchNorm")) {
        fold_batch_norm(node);
      } else if (is(node, "", "Mul")) {
        fold_scale(node);
      }
    }
    std::erase_if(g_.nodes, [](const Node& node) { return node.outputs.empty(); });
  }

 private:
  static bool is(const Node& node, const char* domain, const char* op) {
    return node.domain == domain && node.op == op;
  }
  static bool is_layout(const Node& node) {
    return node.domain.empty() && (node.op == "Reshape" || node.op == "Unsqueeze" || node.op == "Squeeze" ||
                                   node.op == "Transpose" || node.op == "Slice");
  }
  bool claimed(const Node& node) const {
    return std::any_of(patches_.begin(), patches_.end(),
                       [&](const Patch& patch) { return patch.domain == node.domain && patch.op == node.op; });
  }
  bool is_weight(ValueId id) const { return g_[id].origin == ir::Origin::weight; }
  const Weight& weight(ValueId id) const { return *g_[id].weight; }
  std::shared_ptr<const Weight> shared(Weight weight) const {
    return std::make_shared<const Weight>(std::move(weight));
  }

  /// The layer of that kind that yields `id` for this one user only, with nothing but weights beside its first input.
  const Node* layer_behind(ValueId id, const char* domain, const char* op) const {
    const Node* maker = makers_[id];
    if (maker == nullptr || !is(*maker, domain, op) || claimed(*maker) || uses_[id] != 1) return nullptr;
    for (size_t i = 1; i < maker->inputs.size(); ++i) {
      // A weight that has other users would be in the file twice.
      if (!is_weight(maker->inputs[i]) || uses_[maker->inputs[i]] != 1) return nullptr;
    }
    return maker;
  }

  /// Of a folded weight: the first input's, or what the names of a stack's pieces have in common:
  /// "experts.0.up.weight", "experts.1.up.weight" -> "experts.up.weight".
  std::string name_of(const Node& node) const {
    std::string name = g_[node.input(0)].name;
    if (!is(node, ir::composite_domain, "Stack")) return name;
    std::vector<std::string> common = parts_of(name);
    for (ValueId input : node.inputs) {
      const std::vector<std::string> other = parts_of(g_[input].name);
      if (other.size() != common.size()) return name;
      for (size_t i = 0; i < other.size(); ++i) {
        if (common[i] != other[i]) common[i].clear();
      }
    }
    name.clear();
    for (const std::string& part : common) name += (name.empty() || part.empty() ? "" : ".") + part;
    return name.empty() ? g_[node.input(0)].name : name;
  }

  static std::vector<std::string> parts_of(const std::string& name) {
    std::vector<std::string> parts(1);
    for (char letter : name) {
      if (letter == '.')
        parts.emplace_back();
      else
        parts.back() += letter;
    }
    return parts;
  }

  std::optional<Weight> folded_weight(const Node& node) const {
    if (is(node, ir::composite_domain, "Stack")) {
      std::vector<Weight> pieces;
      for (ValueId input : node.inputs) {
        if (!is_weight(input)) return std::nullopt;
        pieces.push_back(weight(input));
      }
      return stacked(pieces);
    }
    if (node.inputs.empty() || !is_weight(node.input(0))) return std::nullopt;
    if (is(node, "", "Add") && is_weight(node.input(1)) &&
        weight(node.input(0)).shape() == weight(node.input(1)).shape())
      return weight(node.input(0)).then(AddWeight{g_[node.input(1)].weight});
    // Where someone needs the weight as it is stored, another layout would be a second copy.
    if (!is_layout(node) || node.inputs.size() > 1 || layouts_[node.input(0)] != uses_[node.input(0)])
      return std::nullopt;
    return in_layout(node);
  }

  static bool swaps_last_two(std::vector<int64_t> perm) {
    if (perm.size() < 3) return false;
    std::swap(perm.end()[-1], perm.end()[-2]);
    return std::is_sorted(perm.begin(), perm.end());
  }

  /// Two groups of axes that change places are the transpose of a matrix; axes of length 1 stand anywhere.
  static std::optional<Weight> transposed(const Weight& from, const std::vector<int64_t>& perm) {
    const std::vector<int64_t> shape = from.shape();
    std::vector<int64_t> order, to;
    for (int64_t axis : perm) {
      to.push_back(shape[static_cast<size_t>(axis)]);
      if (to.back() != 1) order.push_back(axis);
    }
    const auto cut = std::is_sorted_until(order.begin(), order.end());
    if (cut == order.end()) return from.then(ReshapeTo{std::move(to)});
    if (swaps_last_two(perm)) return from.then(TransposeMatrix{});
    if (!std::is_sorted(cut, order.end()) || order.back() > order.front()) return std::nullopt;
    int64_t rows = 1, columns = 1;
    for (auto axis = order.begin(); axis != order.end(); ++axis)
      (axis < cut ? columns : rows) *= shape[static_cast<size_t>(*axis)];
    return from.then(ReshapeTo{{rows, columns}}).then(TransposeMatrix{}).then(ReshapeTo{std::move(to)});
  }

  std::optional<Weight> in_layout(const Node& node) const {
    const Weight& from = weight(node.input(0));
    if (node.op == "Transpose") return transposed(from, node.integers("perm"));
    std::vector<int64_t> shape;
    for (const ir::Dim& dim : g_[node.outputs[0]].type.shape) {
      if (!dim.is_static()) return std::nullopt;
      shape.push_back(dim.size());
    }
    if (node.op != "Slice") return from.then(ReshapeTo{std::move(shape)});
    const auto axes = node.integers("axes"), starts = node.integers("starts"), steps = node.integers("steps");
    Weight sliced = from;
    for (size_t i = 0; i < axes.size(); ++i) {
      const int64_t step = steps.empty() ? 1 : steps[i];
      if (step < 1) return std::nullopt;
      const int64_t axis = axes[i] < 0 ? axes[i] + static_cast<int64_t>(shape.size()) : axes[i];
      const int64_t size = from.shape()[static_cast<size_t>(axis)];
      const int64_t begin = std::clamp<int64_t>(starts[i] < 0 ? starts[i] + size : starts[i], 0, size);
      const int64_t count = shape[static_cast<size_t>(axis)];
      sliced = sliced.then(SliceAxis{axis, begin, begin + (count == 0 ? 0 : (count - 1) * step + 1), step});
    }
    return sliced;
  }

  ValueId add(std::string name, Weight weight) {
    const ValueId id = g_.add_weight(std::move(name), std::move(weight));
    makers_.resize(g_.values.size(), nullptr);
    layouts_.resize(g_.values.size(), 0);
    uses_.resize(g_.values.size(), 1);
    return id;
  }

  /// Makes `node` the layer with other weights; the layer itself is then without use.
  void become(Node& node, const Node& layer, std::vector<ValueId> inputs) {
    node.domain = layer.domain;
    node.op = layer.op;
    node.scope = layer.scope;
    node.attributes = layer.attributes;
    node.inputs = std::move(inputs);
  }

  /// With s = weight / √(variance + ε): the convolution by s · kernel, and (bias - mean) · s + shift.
  void fold_batch_norm(Node& node) {
    const Node* conv = layer_behind(node.input(0), "", "Conv");
    if (conv == nullptr) return;
    for (size_t i = 1; i < 5; ++i) {
      if (!is_weight(node.input(i))) return;
    }
    const Weight &kernel = weight(conv->input(1)), &gain = weight(node.input(1)), &shift = weight(node.input(2)),
                 &mean = weight(node.input(3)), &variance = weight(node.input(4));
    const auto scale = shared(variance.then(InverseRoot{node.real("epsilon", 1e-5)}).then(ScaleRows{shared(gain)}));
    Weight bias = shift.then(AddWeight{shared(mean.then(ScaleRows{scale})), -1});
    if (conv->input(2) != ir::absent)
      bias = bias.then(AddWeight{shared(weight(conv->input(2)).then(ScaleRows{scale}))});
    const std::vector<ValueId> inputs{conv->input(0),
                                      add(std::string(g_[conv->input(1)].name), kernel.then(ScaleRows{scale})),
                                      add(std::string(g_[node.input(2)].name), std::move(bias))};
    become(node, *conv, inputs);
  }

  /// A weight of the last axis's length times a linear layer: the layer's rows and bias times that.
  void fold_scale(Node& node) {
    const bool second = is_weight(node.input(1));
    const ValueId scale = node.input(second ? 1 : 0);
    if (!is_weight(scale) || weight(scale).shape().size() != 1) return;
    const Node* linear = layer_behind(node.input(second ? 0 : 1), ir::composite_domain, "Linear");
    if (linear == nullptr || !(g_[node.outputs[0]].type.shape.back() == ir::Dim(weight(scale).shape()[0]))) return;
    std::vector<ValueId> inputs{linear->input(0)};
    for (size_t i = 1; i < linear->inputs.size(); ++i)
      inputs.push_back(
          add(std::string(g_[linear->input(i)].name), weight(linear->input(i)).then(ScaleRows{shared(weight(scale))})));
    become(node, *linear, std::move(inputs));
  }

  ir::Graph& g_;
  const std::vector<Patch>& patches_;
  std::vector<const Node*> makers_;
  std::vector<int> uses_, layouts_;  // by value: all users, and those that only want another layout
};

}  // namespace

void fold_weights(ir::Graph& graph, const std::vector<Patch>& patches) {
  Folding(graph, patches).run();
}

}  // namespace onnxport
