// SPDX-License-Identifier: Apache-2.0
#include "core/passes/keep_logits.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>
#include <string_view>

#include "core/error.hpp"
#include "core/ir/infer_again.hpp"
#include "core/ir/operators.hpp"
#include "core/passes/input_form.hpp"

namespace onnxport {
namespace {

using ir::Node;
using ir::ValueId;

constexpr int64_t token_axis = 1;

/// Walks from the output to the hidden states, through what makes each token's row of one row alone.
class Head {
 public:
  Head(ir::Graph& graph, ValueId logits) : g_(graph), uses_(graph.users()), at_(logits) {
    makers_.assign(g_.values.size(), nullptr);
    fixed_.assign(g_.values.size(), false);
    for (ValueId id = 1; id < g_.values.size(); ++id)
      fixed_[id] = g_[id].origin == ir::Origin::weight || g_[id].origin == ir::Origin::constant;
    for (const Node& node : g_.nodes) {
      const bool fixed = std::all_of(node.inputs.begin(), node.inputs.end(),
                                     [this](ValueId id) { return id == ir::absent || fixed_[id]; });
      for (ValueId id : node.outputs) {
        makers_[id] = &node;
        fixed_[id] = fixed;
      }
    }
  }

  /// The value of which only the last rows are needed; nullopt where no product lies on the way.
  std::optional<ValueId> find() {
    bool has_product = false;
    while (const Node* node = makers_[at_]) {
      const std::optional<size_t> input = row_input(*node);
      if (!input || uses_[at_].size() != 1) break;
      has_product = has_product || is_product(*node);
      path_.insert(node);
      at_ = node->inputs[*input];
    }
    return has_product ? std::optional(at_) : std::nullopt;
  }

  bool is_on_path(const Node& node) const { return path_.contains(&node); }

 private:
  static bool is_product(const Node& node) {
    return (node.domain == ir::composite_domain && node.op == "Linear") || node.op == "MatMul";
  }

  bool is_of_tokens(ValueId id) const {
    const ir::Shape& shape = g_[id].type.shape;
    return shape.size() == 3 && shape[token_axis] == g_[at_].type.shape[token_axis];
  }

  /// The one input whose rows become the rows of the result, where all others are the same for every row.
  std::optional<size_t> row_input(const Node& node) const {
    static const std::set<std::string_view> composites{"Linear", "LayerNorm", "RMSNorm", "Gelu", "Silu"};
    static const std::set<std::string_view> operators{"MatMul",  "Add",  "Sub", "Mul",  "Div",      "Tanh",
                                                      "Sigmoid", "Relu", "Erf", "Cast", "Softplus", "Clip"};
    const bool is_known = node.domain == ir::composite_domain ? composites.contains(node.op)
                                                              : node.domain.empty() && operators.contains(node.op);
    if (!is_known || node.outputs.size() != 1 || !is_of_tokens(node.outputs[0])) return std::nullopt;
    std::optional<size_t> rows;
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const ValueId id = node.inputs[i];
      if (id == ir::absent) continue;
      if (fixed_[id] && has_no_rows(node, g_[id])) continue;
      if (rows || !is_of_tokens(id)) return std::nullopt;
      rows = i;
    }
    return rows;
  }

  /// Whether a weight has nothing that belongs to a row: matrices of products, and what is repeated for all rows.
  static bool has_no_rows(const Node& node, const ir::Value& value) {
    const ir::Shape& shape = value.type.shape;
    if (is_product(node)) return shape.size() <= 2;
    return shape.size() < 2 || shape.end()[-2] == ir::Dim(1);
  }

  ir::Graph& g_;
  const std::vector<std::vector<size_t>> uses_;
  std::vector<const Node*> makers_;
  std::vector<bool> fixed_;  // by value: made of weights and constants alone
  std::set<const Node*> path_;
  ValueId at_;
};

}  // namespace

bool keep_logits(ir::Graph& graph, const std::string& output) {
  const auto named = std::find_if(graph.outputs.begin(), graph.outputs.end(),
                                  [&](const ir::NamedValue& value) { return value.name == output; });
  if (named == graph.outputs.end() || graph[named->value].type.shape.size() != 3) return false;
  Head head(graph, named->value);
  const std::optional<ValueId> hidden = head.find();
  if (!hidden) return false;

  std::vector<bool> on_path;
  for (const Node& node : graph.nodes) on_path.push_back(head.is_on_path(node));
  const auto first = static_cast<size_t>(std::find(on_path.begin(), on_path.end(), true) - on_path.begin());
  const ValueId count = graph.add_input(kept_logits_input, {ir::DType::i64, {}});
  const std::string scope = graph.nodes[first].scope;
  std::vector<Node> behind(std::make_move_iterator(graph.nodes.begin() + static_cast<std::ptrdiff_t>(first)),
                           std::make_move_iterator(graph.nodes.end()));
  graph.nodes.resize(first);
  const ValueId last = graph.add_node({ir::composite_domain,
                                       "KeepLast",
                                       scope,
                                       {*hidden, count},
                                       {},
                                       {{"axis", token_axis}, {"length", std::string("num_logits")}},
                                       ""})[0];
  for (size_t i = 0; i < behind.size(); ++i) {
    if (on_path[first + i]) std::replace(behind[i].inputs.begin(), behind[i].inputs.end(), *hidden, last);
    graph.nodes.push_back(std::move(behind[i]));
  }
  // What follows has fewer rows; all others are as they were, and keep the names that their axes were given.
  std::vector<ir::TensorType> before;
  for (const ir::NamedValue& value : graph.outputs) before.push_back(graph[value.value].type);
  ir::infer_again(graph);
  for (size_t i = 0; i < before.size(); ++i) {
    if (graph.outputs[i].name != output) graph[graph.outputs[i].value].type = before[i];
  }
  return true;
}

void require_kept_logits(ir::Graph& graph, const std::string& output) {
  if (keep_logits(graph, output)) return;
  throw Error(Failure::usage,
              fmt::format("the output '{}' of '{}' is not made of hidden states token by token, so that there is no "
                          "number of tokens to choose",
                          output, graph.name),
              "leave out --num-logits-to-keep");
}

}  // namespace onnxport
