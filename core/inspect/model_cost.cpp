// SPDX-License-Identifier: Apache-2.0
#include "core/inspect/model_cost.hpp"

#include <algorithm>
#include <functional>
#include <set>

#include "core/inspect/module_path.hpp"
#include "core/inspect/operator_cost.hpp"

namespace onnxport::inspect {
namespace {

const pb::GraphProto* body_of(const pb::NodeProto& node, const std::string& name) {
  for (const auto& attribute : node.attribute()) {
    if (attribute.name() == name && attribute.has_g()) return &attribute.g();
  }
  return nullptr;
}

class Walk {
 public:
  explicit Walk(const SizedModel& model) : model_(model) {}

  ModelCost run() {
    const pb::GraphProto& graph = model_.model.graph();
    const ValueTypes types(graph);
    count(graph, types, 1, cost_);
    const Held held = hold(graph, types);
    cost_.activations = held.most;
    cost_.activations_at = held.where;
    return std::move(cost_);
  }

 private:
  struct Held {
    uint64_t most = 0;
    std::string where{};
  };

  /// How often a body runs for each run of its node.
  int64_t trips(const pb::NodeProto& node, const ValueTypes& types) {
    if (node.op_type() == "Loop" && node.input_size() > 0) {
      const auto known = model_.integers.find(node.input(0));
      if (known != model_.integers.end() && known->second.size() == 1) return known->second[0];
    }
    if (node.op_type() == "Scan") {
      const SizedNode sized = sized_node(node, types);
      const auto scanned = static_cast<size_t>(sized.integer("num_scan_inputs", 0));
      const std::vector<int64_t> axes = sized.integers("scan_input_axes");
      if (scanned > 0 && scanned <= sized.inputs.size()) {
        const auto& first = sized.inputs[sized.inputs.size() - scanned];
        int64_t axis = axes.empty() ? 0 : axes[0];
        if (first && axis < 0) axis += static_cast<int64_t>(first->size());
        if (first && axis >= 0 && axis < static_cast<int64_t>(first->size()))
          return (*first)[static_cast<size_t>(axis)];
      }
    }
    ++cost_.endless_loops;
    return 1;
  }

  void count_bodies(const pb::NodeProto& node, const ValueTypes& types, int64_t times, ModelCost& cost) {
    if (node.op_type() == "If") {
      // One branch runs; which, only the run tells: the dearer one counts.
      ModelCost dearest;
      for (const char* name : {"then_branch", "else_branch"}) {
        ModelCost branch;
        if (const auto* body = body_of(node, name)) count(*body, ValueTypes(*body, &types), times, branch);
        if (branch.operations >= dearest.operations) dearest = std::move(branch);
      }
      cost.operations += dearest.operations;
      for (const auto& [op, operations] : dearest.by_operator) cost.by_operator[op] += operations;
      for (const auto& [module, operations] : dearest.by_module) cost.by_module[module] += operations;
      for (const auto& [op, nodes] : dearest.unsized) cost.unsized[op] += nodes;
      for (const auto& [op, nodes] : dearest.unlisted) cost.unlisted[op] += nodes;
      return;
    }
    if (const auto* body = body_of(node, "body"))
      count(*body, ValueTypes(*body, &types), times * trips(node, types), cost);
  }

  void count(const pb::GraphProto& graph, const ValueTypes& types, int64_t times, ModelCost& cost) {
    for (const auto& node : graph.node()) {
      count_bodies(node, types, times, cost);
      const OperatorCost* row = find_cost(node.op_type());
      if (row == nullptr) {
        ++cost.unlisted[node.op_type()];
        continue;
      }
      if (row->operations == nullptr) continue;
      const auto operations = row->operations(sized_node(node, types));
      if (!operations) {
        ++cost.unsized[node.op_type()];
        continue;
      }
      if (*operations == 0) continue;
      const int64_t all = *operations * times;
      cost.operations += all;
      cost.by_operator[node.op_type()] += all;
      cost.by_module[module_of(node)] += all;
    }
  }

  /// The most that results take together when nodes run in order and each result is given up after its last use.
  Held hold(const pb::GraphProto& graph, const ValueTypes& types) {
    const std::map<std::string, std::string> sources = views(graph);
    const auto source = [&](const std::string& name) {
      const auto found = sources.find(name);
      return found == sources.end() ? name : found->second;
    };
    std::map<std::string, int> last_use;
    for (int i = 0; i < graph.node_size(); ++i) use(graph.node(i), i, source, last_use);
    for (const auto& output : graph.output()) last_use[source(output.name())] = graph.node_size();

    std::set<std::string> weights;
    for (const auto& tensor : graph.initializer()) weights.insert(tensor.name());
    std::map<std::string, uint64_t> alive;
    uint64_t held = 0;
    for (const auto& input : graph.input()) {
      if (!weights.contains(input.name())) held += types.bytes(input.name()).value_or(0);
    }
    Held found{held, ""};
    for (int i = 0; i < graph.node_size(); ++i) {
      const pb::NodeProto& node = graph.node(i);
      for (const std::string& output : node.output()) {
        if (source(output) != output || node.op_type() == "Constant") continue;
        held += alive[output] = types.bytes(output).value_or(0);
      }
      const uint64_t now = held + passing(node, types);
      if (now > found.most) found = {now, node.name().empty() ? node.op_type() : node.name()};
      for (auto value = alive.begin(); value != alive.end();) {
        const auto last = last_use.find(value->first);
        const bool is_over = last == last_use.end() || last->second <= i;
        if (is_over) held -= value->second;
        value = is_over ? alive.erase(value) : std::next(value);
      }
    }
    return found;
  }

  static void use(const pb::NodeProto& node, int at, const std::function<std::string(const std::string&)>& source,
                  std::map<std::string, int>& last_use) {
    for (const std::string& input : node.input()) last_use[source(input)] = at;
    for (const auto& attribute : node.attribute()) {
      if (!attribute.has_g()) continue;
      for (const auto& inner : attribute.g().node()) use(inner, at, source, last_use);
      for (const auto& output : attribute.g().output()) last_use[source(output.name())] = at;
    }
  }

  /// Results that lie where another value does.
  static std::map<std::string, std::string> views(const pb::GraphProto& graph) {
    std::map<std::string, std::string> sources;
    for (const auto& node : graph.node()) {
      const OperatorCost* row = find_cost(node.op_type());
      if (row == nullptr || !row->is_view || node.input_size() == 0 || node.output_size() != 1) continue;
      const auto further = sources.find(node.input(0));
      sources[node.output(0)] = further == sources.end() ? node.input(0) : further->second;
    }
    return sources;
  }

  /// What is held while the node runs: an operator's own results on the way, a body's values.
  uint64_t passing(const pb::NodeProto& node, const ValueTypes& types) {
    const OperatorCost* row = find_cost(node.op_type());
    uint64_t most = 0;
    if (row != nullptr && row->scratch != nullptr)
      most = static_cast<uint64_t>(std::max<int64_t>(0, row->scratch(sized_node(node, types)).value_or(0)));
    for (const auto& attribute : node.attribute()) {
      if (attribute.has_g()) most = std::max(most, hold(attribute.g(), ValueTypes(attribute.g(), &types)).most);
    }
    return most;
  }

  const SizedModel& model_;
  ModelCost cost_;
};

}  // namespace

ModelCost cost_of(const SizedModel& model) {
  return Walk(model).run();
}

}  // namespace onnxport::inspect
