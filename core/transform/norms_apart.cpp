// SPDX-License-Identifier: Apache-2.0
#include "core/transform/norms_apart.hpp"

#include <map>
#include <set>
#include <vector>

namespace onnxport {
namespace {

/// Of every value the nodes that read it, by operator; what a graph within a node reads, or the model yields, as "".
using Readers = std::map<std::string, std::multiset<std::string>>;

void add_readers(const pb::GraphProto& graph, bool is_main, Readers& readers) {
  for (const pb::NodeProto& node : graph.node()) {
    const bool is_first = node.op_type() != "LayerNormalization" || node.input_size() == 0;
    for (int i = 0; i < node.input_size(); ++i)
      readers[node.input(i)].insert(is_main && (is_first || i == 0) ? node.op_type() : "");
    for (const pb::AttributeProto& attribute : node.attribute()) {
      if (attribute.has_g()) add_readers(attribute.g(), false, readers);
      for (const pb::GraphProto& within : attribute.graphs()) add_readers(within, false, readers);
    }
  }
  for (const pb::ValueInfoProto& output : graph.output()) readers[output.name()].insert("");
}

bool is_normed_alone(const std::multiset<std::string>& readers) {
  using Operators = std::multiset<std::string>;
  // Before opset 17 the mean is taken off, once for the numerator and in some files once more for the variance.
  return readers == Operators{"LayerNormalization"} || readers == Operators{"ReduceMean", "Sub"} ||
         readers == Operators{"ReduceMean", "Sub", "Sub"};
}

}  // namespace

void keep_norms_apart(ModelParts& model, const ValueTypes& types) {
  pb::GraphProto& graph = *model.model.mutable_graph();
  Readers readers;
  add_readers(graph, true, readers);
  const auto lengths = [&](const std::string& name) -> std::optional<std::vector<int64_t>> {
    const auto found = types.find(name);
    return found == types.end() ? std::nullopt : lengths_of(found->second);
  };
  for (pb::NodeProto& node : *graph.mutable_node()) {
    if (node.op_type() != "Add" || !(node.domain().empty() || node.domain() == "ai.onnx")) continue;
    const auto sum = lengths(node.output(0));
    if (sum && is_normed_alone(readers[node.output(0)]) && lengths(node.input(0)) == sum &&
        lengths(node.input(1)) == sum)
      node.set_op_type("Sum");
  }
}

}  // namespace onnxport
