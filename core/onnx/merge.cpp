// SPDX-License-Identifier: Apache-2.0
#include "core/onnx/merge.hpp"

#include <fmt/format.h>

#include <map>
#include <set>

#include "core/error.hpp"

namespace onnxport {
namespace {

/// Renames what the nodes of a graph read and write.
void rename(pb::GraphProto& graph, const std::map<std::string, std::string>& names) {
  const auto renamed = [&](std::string& name) {
    const auto found = names.find(name);
    if (found != names.end()) name = found->second;
  };
  for (pb::NodeProto& node : *graph.mutable_node()) {
    for (std::string& input : *node.mutable_input()) renamed(input);
    for (std::string& output : *node.mutable_output()) renamed(output);
  }
  for (pb::ValueInfoProto& output : *graph.mutable_output()) renamed(*output.mutable_name());
}

/// Everything that a branch's nodes make gets the branch's name in front, so that no name stands twice in the file.
void prefix_made(pb::GraphProto& graph, const std::string& branch) {
  std::map<std::string, std::string> names;
  for (pb::NodeProto& node : *graph.mutable_node()) {
    node.set_name("/" + branch + node.name());
    for (const std::string& output : node.output()) {
      if (!output.empty()) names[output] = (output.starts_with('/') ? "/" + branch : branch + "/") + output;
    }
  }
  rename(graph, names);
}

class Merger {
 public:
  Merger(ModelParts first, ModelParts cached, const std::vector<StateSpec>& states)
      : first_(std::move(first)), cached_(std::move(cached)), states_(states) {}

  ModelParts run() {
    ModelParts merged;
    merged.model = first_.model;
    merged.model.clear_graph();
    graph_ = merged.model.mutable_graph();
    graph_->set_name(first_.model.graph().name() + "_merged");
    add_outputs_that_only_the_first_has();
    take_inputs(first_);
    take_inputs(cached_);
    pb::ValueInfoProto& choice = *graph_->add_input();
    choice.set_name(branch_input);
    choice.mutable_type()->mutable_tensor_type()->set_elem_type(pb::TensorProto_DataType_BOOL);
    choice.mutable_type()->mutable_tensor_type()->mutable_shape()->add_dim()->set_dim_value(1);
    take_initializers(first_);
    take_initializers(cached_);
    // The cached step's declared axes tell both lengths apart.
    for (const pb::ValueInfoProto& output : cached_.model.graph().output()) *graph_->add_output() = output;

    pb::NodeProto& choose = *graph_->add_node();
    choose.set_name("/If");
    choose.set_op_type("If");
    choose.add_input(branch_input);
    for (const pb::ValueInfoProto& output : graph_->output()) choose.add_output(output.name());
    add_branch(choose, "then_branch", cached_);
    add_branch(choose, "else_branch", first_);
    merged.weights = std::move(weights_);
    return merged;
  }

 private:
  /// Puts the cached graph's outputs in the order of the first one's; those that it lacks are what it was given.
  void add_outputs_that_only_the_first_has() {
    pb::GraphProto& cached = *cached_.model.mutable_graph();
    std::map<std::string, pb::ValueInfoProto> made;
    for (const pb::ValueInfoProto& output : cached.output()) made.emplace(output.name(), output);
    cached.clear_output();
    for (const pb::ValueInfoProto& wanted : first_.model.graph().output()) {
      const auto found = made.find(wanted.name());
      if (found != made.end()) {
        *cached.add_output() = found->second;
        continue;
      }
      const std::string given = input_of_state(wanted.name());
      const pb::ValueInfoProto* input = nullptr;
      for (const pb::ValueInfoProto& one : cached.input()) {
        if (one.name() == given) input = &one;
      }
      if (input == nullptr) {
        throw Error(
            Failure::plugin,
            fmt::format("the cached step does not put out '{}', and has no state of that name to keep", wanted.name()),
            "export with --layout split");
      }
      pb::NodeProto& pass = *cached.add_node();
      pass.set_op_type("Identity");
      pass.set_name("/" + wanted.name() + "/Identity");
      pass.add_input(given);
      pass.add_output(wanted.name());
      pb::ValueInfoProto& output = *cached.add_output();
      output = *input;
      output.set_name(wanted.name());
    }
  }

  /// Empty where the output is no state.
  std::string input_of_state(const std::string& output) const {
    for (const StateSpec& state : states_) {
      if (state.present == output) return state.past;
    }
    return {};
  }

  void take_inputs(const ModelParts& parts) {
    for (const pb::ValueInfoProto& input : parts.model.graph().input()) {
      const auto [known, fresh] = inputs_.emplace(input.name(), input.SerializeAsString());
      if (fresh) {
        *graph_->add_input() = input;
      } else if (known->second != input.SerializeAsString()) {
        throw Error(Failure::plugin,
                    fmt::format("the input '{}' has one type in the first step and another in the "
                                "cached one",
                                input.name()),
                    "export with --layout split");
      }
    }
  }

  /// Constants and weights move out of the branches, equal ones once.
  void take_initializers(ModelParts& parts) {
    pb::GraphProto& graph = *parts.model.mutable_graph();
    std::map<std::string, std::string> renamed;
    for (const pb::TensorProto& constant : graph.initializer()) {
      pb::TensorProto nameless = constant;
      nameless.clear_name();
      const auto [known, fresh] = constants_.emplace(nameless.SerializeAsString(), constant.name());
      if (fresh) {
        pb::TensorProto& taken = *graph_->add_initializer();
        taken = constant;
        taken.set_name(unique(constant.name()));
        known->second = taken.name();
      }
      renamed[constant.name()] = known->second;
    }
    for (StreamedInitializer& weight : parts.weights) {
      const std::string before = weight.header.name();
      renamed[before] = place_of(weight);
    }
    graph.clear_initializer();
    rename(graph, renamed);
  }

  std::string place_of(StreamedInitializer& weight) {
    for (const StreamedInitializer& known : weights_) {
      if (known.weight->same_as(*weight.weight)) return known.header.name();
    }
    weight.header.set_name(unique(weight.header.name()));
    weights_.push_back(weight);
    return weight.header.name();
  }

  std::string unique(const std::string& wanted) {
    std::string name = wanted;
    for (int i = 1; !taken_.insert(name).second; ++i) name = fmt::format("{}_{}", wanted, i);
    return name;
  }

  static void add_branch(pb::NodeProto& choose, const std::string& attribute, ModelParts& parts) {
    pb::GraphProto branch = parts.model.graph();
    branch.clear_input();
    prefix_made(branch, attribute);
    pb::AttributeProto& to = *choose.add_attribute();
    to.set_name(attribute);
    to.set_type(pb::AttributeProto_AttributeType_GRAPH);
    *to.mutable_g() = std::move(branch);
  }

  ModelParts first_, cached_;
  const std::vector<StateSpec>& states_;
  pb::GraphProto* graph_ = nullptr;
  std::map<std::string, std::string> inputs_;     // name -> type
  std::map<std::string, std::string> constants_;  // contents -> name
  std::vector<StreamedInitializer> weights_;
  std::set<std::string> taken_;
};

}  // namespace

ModelParts merge_branches(ModelParts first, ModelParts cached, const std::vector<StateSpec>& states) {
  return Merger(std::move(first), std::move(cached), states).run();
}

}  // namespace onnxport
