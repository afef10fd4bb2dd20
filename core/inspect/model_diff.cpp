// SPDX-License-Identifier: Apache-2.0
// Graphs are compared by what each value is: a fingerprint of its node, of the node's attributes and of what it takes.
// Names of values and the order of nodes are not in it.
#include "core/inspect/model_diff.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "core/inspect/inspection.hpp"
#include "core/inspect/module_path.hpp"
#include "core/inspect/weight_diff.hpp"

namespace onnxport::inspect {
namespace {

using Fingerprint = size_t;

Fingerprint mixed(Fingerprint seed, Fingerprint value) {
  return seed ^ (value + 0x9e3779b97f4a7c15ULL + (seed << 6) + (seed >> 2));
}
Fingerprint mixed(Fingerprint seed, const std::string& text) {
  return mixed(seed, std::hash<std::string>{}(text));
}

using Values = std::map<std::string, Fingerprint>;

/// A node, by what it computes.
struct Seen {
  const pb::NodeProto* node;
  Fingerprint print;
  std::vector<Fingerprint> takes;
};

/// The fingerprints of a file's values. `shared` are the tensors that both files hold, with the name that both go by;
/// the others belong to one `side` alone.
class Prints {
 public:
  Prints(const pb::ModelProto& model, const std::map<std::string, std::string>& shared, const std::string& side)
      : shared_(shared), side_(side) {
    for (const auto& function : model.functions()) functions_[function.domain() + ":" + function.name()] = &function;
    values_ = of_graph(model.graph(), {}, true);
  }

  const std::vector<Seen>& nodes() const { return nodes_; }
  Fingerprint value(const std::string& name) const {
    const auto found = values_.find(name);
    return found == values_.end() ? 0 : found->second;
  }
  bool is_weight(Fingerprint print) const { return weights_.contains(print); }

 private:
  Fingerprint of_tensor(const std::string& name) const {
    const auto known = shared_.find(name);
    return known == shared_.end() ? mixed(mixed(1, side_), name) : mixed(0, known->second);
  }

  Values of_graph(const pb::GraphProto& graph, Values values, bool is_main) {
    size_t index = 0;
    for (const auto& input : graph.input()) {
      // A graph's inputs are known by their names, a body's by their places.
      values[input.name()] = mixed(2, is_main ? input.name() : std::to_string(index++));
    }
    for (const auto& tensor : graph.initializer()) weights_.insert(values[tensor.name()] = of_tensor(tensor.name()));
    add_nodes(graph.node(), values, is_main);
    return values;
  }

  void add_nodes(const google::protobuf::RepeatedPtrField<pb::NodeProto>& nodes, Values& values, bool is_main) {
    for (const auto& node : nodes) {
      Seen seen{&node, mixed(mixed(3, node.op_type()), node.domain() == "ai.onnx" ? "" : node.domain()), {}};
      for (const std::string& input : node.input()) {
        const auto known = values.find(input);
        seen.takes.push_back(known == values.end() ? 0 : known->second);
        seen.print = mixed(seen.print, seen.takes.back());
      }
      std::map<std::string, Fingerprint> attributes;
      for (const auto& attribute : node.attribute())
        attributes[attribute.name()] = of_attribute(node, attribute, values);
      for (const auto& [name, print] : attributes) seen.print = mixed(mixed(seen.print, name), print);
      const auto function = functions_.find(node.domain() + ":" + node.op_type());
      if (function != functions_.end()) seen.print = mixed(seen.print, of_function(*function->second));
      for (int i = 0; i < node.output_size(); ++i)
        values[node.output(i)] = mixed(seen.print, static_cast<Fingerprint>(i));
      if (is_main) nodes_.push_back(std::move(seen));
    }
  }

  Fingerprint of_attribute(const pb::NodeProto& node, const pb::AttributeProto& attribute, const Values& values) {
    if (attribute.has_g()) {
      const Values inner = of_graph(attribute.g(), values, false);
      Fingerprint print = 4;
      for (const auto& output : attribute.g().output()) print = mixed(print, inner.at(output.name()));
      return print;
    }
    if (attribute.has_t() && place_of(attribute.t())) return of_tensor(node.output(0));
    pb::AttributeProto plain = attribute;
    plain.clear_doc_string();
    if (plain.has_t()) plain.mutable_t()->clear_name();
    return std::hash<std::string>{}(plain.SerializeAsString());
  }

  Fingerprint of_function(const pb::FunctionProto& function) {
    Values values;
    for (int i = 0; i < function.input_size(); ++i) values[function.input(i)] = mixed(5, static_cast<Fingerprint>(i));
    add_nodes(function.node(), values, false);
    Fingerprint print = 6;
    for (const std::string& output : function.output()) print = mixed(print, values[output]);
    return print;
  }

  const std::map<std::string, std::string>& shared_;
  const std::string side_;
  std::map<std::string, const pb::FunctionProto*> functions_;
  std::vector<Seen> nodes_;
  Values values_;
  std::set<Fingerprint> weights_;
};

void add_changes(const std::map<std::string, std::string>& a, const std::map<std::string, std::string>& b,
                 std::vector<Change>& out) {
  for (const auto& [name, text] : a) {
    const auto other = b.find(name);
    if (other == b.end() || other->second != text) out.push_back({name, text, other == b.end() ? "" : other->second});
  }
  for (const auto& [name, text] : b) {
    if (!a.contains(name)) out.push_back({name, "", text});
  }
}

std::map<std::string, std::string> by_name(const std::vector<Port>& ports) {
  std::map<std::string, std::string> types;
  for (const Port& port : ports) types[port.name] = port.type;
  return types;
}

std::map<std::string, std::string> header_of(const pb::ModelProto& model) {
  std::map<std::string, std::string> header{{"producer", model.producer_name() + " " + model.producer_version()},
                                            {"IR version", std::to_string(model.ir_version())}};
  for (const auto& import : model.opset_import())
    header["opset " + (import.domain().empty() ? "ai.onnx" : import.domain())] = std::to_string(import.version());
  return header;
}

std::map<std::string, std::string> operators_of(const pb::GraphProto& graph) {
  std::map<std::string, uint64_t> counts;
  for (const auto& node : graph.node()) ++counts[node.op_type()];
  std::map<std::string, std::string> texts;
  for (const auto& [op, count] : counts) texts[op] = std::to_string(count);
  return texts;
}

std::map<std::string, std::string> metadata_of(const pb::ModelProto& model) {
  std::map<std::string, std::string> metadata;
  for (const auto& entry : model.metadata_props()) metadata[entry.key()] = entry.value();
  return metadata;
}

/// Nodes of one side that the other does not have, and where they begin to differ.
uint64_t part_from(const Prints& own, const Prints& other, bool in_a, std::vector<Parting>& partings) {
  std::multiset<Fingerprint> there;
  std::set<Fingerprint> values;
  for (const Seen& seen : other.nodes()) {
    there.insert(seen.print);
    for (int i = 0; i < seen.node->output_size(); ++i) values.insert(mixed(seen.print, static_cast<Fingerprint>(i)));
    values.insert(seen.takes.begin(), seen.takes.end());
  }
  uint64_t only = 0;
  for (const Seen& seen : own.nodes()) {
    if (const auto twin = there.find(seen.print); twin != there.end()) {
      there.erase(twin);
      continue;
    }
    ++only;
    // A weight that only one side has is what a node begins to differ by.
    const bool begins = std::all_of(seen.takes.begin(), seen.takes.end(),
                                    [&](Fingerprint taken) { return values.contains(taken) || own.is_weight(taken); });
    if (begins) partings.push_back({in_a, seen.node->op_type(), seen.node->name(), module_of(*seen.node)});
  }
  return only;
}

}  // namespace

bool ModelDiff::same_function() const {
  return inputs.empty() && outputs.empty() && changed_outputs.empty();
}

bool ModelDiff::same() const {
  return same_function() && header.empty() && metadata.empty() && weights.empty() && nodes_only_in_a == 0 &&
         nodes_only_in_b == 0;
}

ModelDiff diff_models(const OnnxFile& a, const OnnxFile& b) {
  ModelDiff diff;
  add_changes(header_of(a.model), header_of(b.model), diff.header);
  add_changes(by_name(inputs_of(a.model.graph())), by_name(inputs_of(b.model.graph())), diff.inputs);
  add_changes(by_name(outputs_of(a.model.graph())), by_name(outputs_of(b.model.graph())), diff.outputs);
  add_changes(operators_of(a.model.graph()), operators_of(b.model.graph()), diff.operators);
  add_changes(metadata_of(a.model), metadata_of(b.model), diff.metadata);

  WeightMatch match = match_weights(a, b);
  diff.weights = std::move(match.changes);
  diff.equal_weights = match.equal;
  std::map<std::string, std::string> names_in_a;  // those of the second that are the same go by these
  for (const auto& [in_b, in_a] : match.same_in_a) names_in_a[in_a] = in_a;
  const Prints of_a(a.model, names_in_a, "a"), of_b(b.model, match.same_in_a, "b");
  diff.nodes_only_in_a = part_from(of_a, of_b, true, diff.partings);
  diff.nodes_only_in_b = part_from(of_b, of_a, false, diff.partings);
  diff.equal_nodes = of_a.nodes().size() - diff.nodes_only_in_a;
  for (const auto& output : a.model.graph().output()) {
    if (of_b.value(output.name()) != 0 && of_a.value(output.name()) != of_b.value(output.name()))
      diff.changed_outputs.push_back(output.name());
  }
  return diff;
}

}  // namespace onnxport::inspect
