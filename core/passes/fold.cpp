// SPDX-License-Identifier: Apache-2.0
#include "core/passes/fold.hpp"

#include <algorithm>
#include <optional>

#include "core/checkpoint/arithmetic.hpp"
#include "core/passes/recipe.hpp"

namespace onnxport {
namespace {

using ir::Node;
using ir::ValueId;

constexpr uint64_t small_bytes = uint64_t{1} << 16;  // of a weight that may stand in a file twice
constexpr uint64_t most_folded_bytes = uint64_t{1} << 20;

/// Whether the elements stay where the checkpoint has them, so that a file can refer to them.
bool lies_as_stored(const Weight& weight) {
  return std::all_of(weight.transforms.begin(), weight.transforms.end(), [](const Transform& transform) {
    const auto* slice = std::get_if<SliceAxis>(&transform);
    return (slice != nullptr && slice->axis == 0 && slice->step == 1) || std::holds_alternative<CastTo>(transform) ||
           std::holds_alternative<ReshapeTo>(transform);
  });
}

bool is_constant_tensor(const Weight& weight) {
  return weight.stored->constant != nullptr;
}

class Folding {
 public:
  Folding(ir::Graph& graph, const FoldOptions& options) : g_(graph), options_(options) {
    makers_.assign(g_.values.size(), nullptr);
    done_.assign(g_.values.size(), 0);
    layouts_.assign(g_.values.size(), 0);
    for (const auto& users : g_.users()) uses_.push_back(static_cast<int>(users.size()));
    for (const ir::Value& value : g_.values) {
      results_.emplace_back();
      if (value.origin == ir::Origin::weight) results_.back() = *value.weight;
      if (value.origin == ir::Origin::constant) results_.back() = constant_weight(value.constant);
    }
    for (Node& node : g_.nodes) {
      for (ValueId id : node.outputs) makers_[id] = &node;
      const ir::Fold fold = fold_of(node);
      if ((fold.rule == nullptr && fold.evaluate == nullptr) || node.outputs.size() != 1) continue;
      const std::optional<Weight> result = result_of(node, fold);
      if (!result) continue;
      results_[node.outputs[0]] = result;
      for (ValueId id : node.inputs) ++(fold.layout ? layouts_ : done_)[id];
    }
  }

  void run() {
    for (Node& node : g_.nodes) {
      ir::rewrite_bodies(node, [this](ir::Graph& body) { fold_weights(body, options_); });
      if (is_claimed(node) || fold_node(node) || options_.weights_as_stored) continue;
      if (is(node, ir::composite_domain, "BatchNorm"))
        fold_batch_norm(node);
      else if (is(node, "", "Mul"))
        fold_scale(node);
    }
    std::erase_if(g_.nodes, [](const Node& node) { return node.outputs.empty(); });
  }

 private:
  static bool is(const Node& node, const char* domain, const char* op) {
    return node.domain == domain && node.op == op;
  }
  bool is_claimed(const Node& node) const {
    return std::any_of(options_.patches.begin(), options_.patches.end(),
                       [&](const Patch& patch) { return patch.claims(node); });
  }
  bool is_weight(ValueId id) const { return g_[id].origin == ir::Origin::weight; }
  bool is_constant(ValueId id) const { return g_[id].origin == ir::Origin::constant; }
  const Weight& weight(ValueId id) const { return *g_[id].weight; }

  ir::Fold fold_of(const Node& node) const {
    const ir::Operator* op = ir::find_operator(node.domain, node.op);
    return op == nullptr || node.inputs.empty() || is_claimed(node) ? ir::Fold{} : op->fold;
  }

  // ------------------------------------------------------------------------------- nodes of known inputs alone

  /// What a node makes of weights and constants, whether or not it will stand in the file.
  std::optional<Weight> result_of(const Node& node, const ir::Fold& fold) const {
    std::vector<Weight> inputs;
    for (ValueId id : node.inputs) {
      if (!results_[id]) return std::nullopt;
      inputs.push_back(*results_[id]);
    }
    std::vector<int64_t> shape;
    for (const ir::Dim& dim : g_[node.outputs[0]].type.shape) {
      if (!dim.is_static()) return std::nullopt;
      shape.push_back(dim.size());
    }
    if (fold.rule != nullptr) {
      if (std::optional<Weight> by_rule = fold.rule({node, inputs, shape})) return by_rule;
    }
    return fold.evaluate == nullptr ? std::nullopt : computed(node, inputs);
  }

  /// What no transform says: computed now of constants, and of weights when it is written, where it is small.
  std::optional<Weight> computed(const Node& node, const std::vector<Weight>& inputs) const {
    const ir::TensorType& type = g_[node.outputs[0]].type;
    uint64_t bytes = ir::size_of(type.dtype);
    for (const ir::Dim& dim : type.shape) bytes *= static_cast<uint64_t>(dim.size());
    if (bytes > small_bytes) return std::nullopt;
    return std::all_of(inputs.begin(), inputs.end(), is_constant_tensor) ? evaluated(node, inputs, type)
                                                                         : with_recipe(node, inputs, type);
  }

  /// The node's result becomes a weight or a constant itself, and the node is left without outputs.
  bool fold_node(Node& node) {
    if (node.outputs.size() != 1 || !results_[node.outputs[0]]) return false;
    const auto all_inputs = [&](auto holds) { return std::all_of(node.inputs.begin(), node.inputs.end(), holds); };
    if (!all_inputs([this](ValueId id) { return is_weight(id) || is_constant(id); })) return false;
    const Weight& result = *results_[node.outputs[0]];
    ir::Value& value = g_[node.outputs[0]];
    if (all_inputs([this](ValueId id) { return is_constant(id); })) {
      if (result.bytes() > most_folded_bytes) return false;
      value.origin = ir::Origin::constant;
      value.constant = std::make_shared<const ir::Tensor>(materialize(result));
    } else {
      if (!may_replace(node, result)) return false;
      value.origin = ir::Origin::weight;
      value.weight = std::make_shared<const Weight>(result);
      value.name = name_of(node);
    }
    node.outputs.clear();
    return true;
  }

  /// Whether the result may stand in the file: where someone needs a weight as it is stored, another layout of it, or
  /// anything that is made of it and not small, would be a second copy.
  bool may_replace(const Node& node, const Weight& result) const {
    // A file names tensors of the checkpoint. One that was only computed with has no bytes there.
    const auto is_computed_with = [](const Weight& piece) { return piece.stored->constant != nullptr; };
    const std::vector<Weight> pieces = result.pieces();
    const bool stack = !pieces.empty();
    if (is_computed_with(result) || std::any_of(pieces.begin(), pieces.end(), is_computed_with)) return false;
    if (options_.weights_as_stored && !stack && !lies_as_stored(result)) return false;
    const bool layout = fold_of(node).layout;
    if (layout && layouts_[node.input(0)] + done_[node.input(0)] != uses_[node.input(0)]) return false;
    if (layout || stack || result.bytes() <= small_bytes) return true;
    return std::all_of(node.inputs.begin(), node.inputs.end(), [&](ValueId id) {
      return !is_weight(id) || weight(id).same_as(result) || weight(id).bytes() <= small_bytes ||
             layouts_[id] + done_[id] == uses_[id];
    });
  }

  /// Of a folded weight: that of the tensor whose bytes it has, or what the names of a stack's pieces have in common:
  /// "experts.0.up.weight", "experts.1.up.weight" -> "experts.up.weight".
  std::string name_of(const Node& node) const {
    std::string name = name_of_weight(node);
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
    return name.empty() ? name_of_weight(node) : name;
  }

  /// The name of the input whose tensor the result is made of.
  std::string name_of_weight(const Node& node) const {
    const StoredTensor* base = g_[node.outputs[0]].weight->stored.get();
    for (ValueId input : node.inputs) {
      if (is_weight(input) && weight(input).stored.get() == base) return g_[input].name;
    }
    return base->name;
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

  // -------------------------------------------------------------------------- nodes behind a layer of weights

  /// The layer of that kind that yields `id` for this one user only, with nothing but weights beside its first input.
  const Node* layer_behind(ValueId id, const char* domain, const char* op) const {
    const Node* maker = makers_[id];
    if (maker == nullptr || !is(*maker, domain, op) || is_claimed(*maker) || uses_[id] != 1) return nullptr;
    for (size_t i = 1; i < maker->inputs.size(); ++i) {
      // A weight that has other users would be in the file twice.
      if (!is_weight(maker->inputs[i]) || uses_[maker->inputs[i]] != 1) return nullptr;
    }
    return maker;
  }

  ValueId add(std::string name, Weight weight) {
    const ValueId id = g_.add_weight(std::move(name), std::move(weight));
    makers_.resize(g_.values.size(), nullptr);
    for (std::vector<int>* counts : {&layouts_, &done_}) counts->resize(g_.values.size(), 0);
    uses_.resize(g_.values.size(), 1);
    results_.resize(g_.values.size());
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
    const Weight scale = scaled_rows(variance.then(InverseRoot{node.real("epsilon", 1e-5)}), gain);
    Weight bias = combined(Arithmetic::subtract, shift, scaled_rows(mean, scale));
    if (conv->input(2) != ir::absent)
      bias = combined(Arithmetic::add, bias, scaled_rows(weight(conv->input(2)), scale));
    const std::vector<ValueId> inputs{conv->input(0),
                                      add(std::string(g_[conv->input(1)].name), scaled_rows(kernel, scale)),
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
          add(std::string(g_[linear->input(i)].name), scaled_rows(weight(linear->input(i)), weight(scale))));
    become(node, *linear, std::move(inputs));
  }

  ir::Graph& g_;
  const FoldOptions& options_;
  std::vector<const Node*> makers_;
  std::vector<std::optional<Weight>> results_;  // by value: what it is where that is known at export
  /// By value: all users; those that want another layout of it and nothing else; those that are done at export.
  std::vector<int> uses_, layouts_, done_;
};

}  // namespace

void fold_weights(ir::Graph& graph, const FoldOptions& options) {
  Folding(graph, options).run();
}

}  // namespace onnxport
