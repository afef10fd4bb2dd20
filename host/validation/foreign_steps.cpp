// SPDX-License-Identifier: Apache-2.0
#include "host/validation/foreign_steps.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "core/error.hpp"
#include "core/validate/cuts.hpp"
#include "core/validate/light_model.hpp"
#include "core/validate/taken_branches.hpp"
#include "host/validation/module_steps.hpp"

namespace onnxport {
namespace {

namespace pb = inspect::pb;

Tensors run_model(const ForeignRun& run, const ModelImage& image, const std::vector<std::string>& names) {
  const std::unique_ptr<Runnable> onnx = load_backend("onnxruntime").load_image(image);
  return run.behind_names(run.definition, *onnx)->run(run.inputs, names);
}

/// The values on which the graph's choices hang.
std::set<std::string> conditions_of(const pb::GraphProto& graph) {
  std::set<std::string> conditions;
  for (const auto& node : graph.node()) {
    if (node.op_type() == "If" && node.input_size() > 0) conditions.insert(node.input(0));
  }
  return conditions;
}

/// Which of them hold in this run.
std::map<std::string, bool> truths_of(const ForeignRun& run, const inspect::OnnxFile& file, pb::ModelProto model) {
  std::map<std::string, std::string> asked;  // by condition; one that is an input can be no output
  std::vector<std::string> names;
  for (const std::string& condition : conditions_of(model.graph())) {
    names.push_back(fmt::format("condition {}", names.size()));
    asked.emplace(condition, names.back());
    pb::NodeProto& node = *model.mutable_graph()->add_node();
    node.set_op_type("Identity");
    node.add_input(condition);
    node.add_output(names.back());
    model.mutable_graph()->add_output()->set_name(names.back());
  }
  const Tensors values = run_model(run, image_of(file, std::move(model)), names);
  std::map<std::string, bool> truths;
  for (const auto& [condition, name] : asked) truths.emplace(condition, values.at(name).as<uint8_t>()[0] != 0);
  return truths;
}

/// The file's model as this run goes through it: an If is the branch that it takes, whose results are then seen from
/// outside. Those of a Loop's or a Scan's steps are not.
pb::ModelProto as_taken(const ForeignRun& run, const inspect::OnnxFile& file) {
  constexpr int deepest = 16;  // that choices stand within each other
  pb::ModelProto model = file.model;
  for (int depth = 0; depth < deepest && !conditions_of(model.graph()).empty(); ++depth) {
    const std::map<std::string, bool> truths = truths_of(run, file, model);
    take_branches(*model.mutable_graph(), [&](const std::string& condition) { return truths.at(condition); });
  }
  return model;
}

/// The results of all nodes that are tensors.
Tensors all_results(const ForeignRun& run) {
  const inspect::OnnxFile file = inspect::read_onnx_file(run.file);
  pb::ModelProto model = as_taken(run, file);
  std::set<std::string> declared;
  std::vector<std::string> names;
  for (const auto& output : model.graph().output()) declared.insert(output.name());
  const int nodes = model.graph().node_size();
  for (int i = 0; i < nodes; ++i) {
    const pb::NodeProto& node = model.graph().node(i);
    if (node.op_type().starts_with("Sequence") || node.op_type().starts_with("SplitToSequence")) continue;
    for (const std::string& name : node.output()) {
      if (name.empty()) continue;
      names.push_back(name);
      if (declared.insert(name).second) model.mutable_graph()->add_output()->set_name(name);
    }
  }
  return run_model(run, image_of(file, std::move(model)), names);
}

/// How far apart two tensors are, of as many elements in the same order; infinity where one holds what is no number.
double distance(std::span<const float> expected, std::span<const float> actual) {
  double largest = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    const double off = std::abs(static_cast<double>(expected[i]) - static_cast<double>(actual[i]));
    if (!(off <= std::numeric_limits<double>::max())) return std::numeric_limits<double>::infinity();
    largest = std::max(largest, off);
  }
  return largest;
}

bool is_same(std::span<const float> expected, std::span<const float> actual, const Tolerance& tolerance) {
  double largest = 0;
  for (const float value : expected) largest = std::max(largest, std::abs(static_cast<double>(value)));
  for (size_t i = 0; i < expected.size(); ++i) {
    const double want = expected[i], off = std::abs(want - static_cast<double>(actual[i]));
    if (!(off <= tolerance.absolute + tolerance.relative * std::abs(want) + tolerance.of_largest * largest))
      return false;
  }
  return true;
}

/// The file's values of f32, by their number of elements.
class FileValues {
 public:
  explicit FileValues(const Tensors& values) {
    for (const auto& [name, tensor] : values) {
      if (tensor.dtype == ir::DType::f32 && tensor.element_count() > 0)
        by_size_[tensor.element_count()].push_back(&*values.find(name));
    }
  }
  /// The name of the one that is this; null where none is.
  const std::string* find(const ir::Tensor& wanted, const Tolerance& tolerance) const {
    for (const Named* value : like(wanted)) {
      if (is_same(wanted.as<float>(), value->second.as<float>(), tolerance)) return &value->first;
    }
    return nullptr;
  }
  /// "the nearest, /encoder/Add_output_0, is off by 0.3"
  std::string nearest(const ir::Tensor& wanted) const {
    const Named* best = nullptr;
    double least = std::numeric_limits<double>::infinity();
    for (const Named* value : like(wanted)) {
      const double off = distance(wanted.as<float>(), value->second.as<float>());
      if (off >= least) continue;
      least = off;
      best = value;
    }
    return best == nullptr ? "no value of the file has as many numbers"
                           : fmt::format("the nearest value of the file, {}, is off by {:.3g}", best->first, least);
  }

 private:
  using Named = Tensors::value_type;
  const std::vector<const Named*>& like(const ir::Tensor& wanted) const {
    static const std::vector<const Named*> none;
    const auto found = by_size_.find(wanted.element_count());
    return found == by_size_.end() ? none : found->second;
  }

  std::map<int64_t, std::vector<const Named*>> by_size_;
};

/// For each node whether anything of `found` hangs on its results.
std::vector<bool> leads_to_found(const ir::Graph& graph, const std::set<size_t>& found) {
  std::vector<std::vector<size_t>> takers(graph.values.size());
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    for (ir::ValueId input : graph.nodes[i].inputs) {
      if (input != ir::absent) takers[input].push_back(i);
    }
  }
  std::vector<bool> leads(graph.nodes.size(), false);
  for (size_t i = graph.nodes.size(); i-- > 0;) {
    for (ir::ValueId output : graph.nodes[i].outputs) {
      if (output == ir::absent) continue;
      for (size_t taker : takers[output]) leads[i] = leads[i] || leads[taker] || found.contains(taker);
    }
  }
  return leads;
}

}  // namespace

std::string first_departure(const ForeignRun& run) {
  const ir::Graph definition = with_marks(run.definition.graph);
  const std::vector<NamedStep> steps = module_ends(definition);
  const Tensors expected =
      load_backend("reference").load_graph(definition)->run(run.inputs, marks_of(definition, steps));
  Tensors values;
  try {
    values = all_results(run);
  } catch (const Error& error) {
    return fmt::format("not looked for: with all its values as outputs the file does not run: {}", error.what());
  }
  const FileValues of_file(values);
  std::set<size_t> found;
  std::map<size_t, std::string> names;
  for (const NamedStep& step : steps) {
    const ir::Tensor& wanted = expected.at(step.name);
    if (wanted.dtype != ir::DType::f32) continue;
    const std::string* name = of_file.find(wanted, run.tolerance);
    if (name == nullptr) continue;
    found.insert(step.node);
    names.emplace(step.node, *name);
  }
  if (found.empty())
    return "cannot be told: no value of the file is what a module of the definition yields, by which the two could be "
           "laid beside each other";
  const std::vector<bool> leads = leads_to_found(definition, found);
  const NamedStep* before = nullptr;
  for (const NamedStep& step : steps) {
    const ir::Tensor& wanted = expected.at(step.name);
    if (wanted.dtype != ir::DType::f32) continue;
    if (found.contains(step.node)) before = &step;
    if (found.contains(step.node) || leads[step.node]) continue;
    const ir::Node& node = definition.nodes[step.node];
    std::string text = fmt::format("{} ({}) [{}] is nowhere in the file; {}", node.scope, node.op,
                                   fmt::join(wanted.shape, ", "), of_file.nearest(wanted));
    if (before != nullptr)
      text +=
          fmt::format("; {} before it is the file's {}", definition.nodes[before->node].scope, names.at(before->node));
    return text;
  }
  return "cannot be told: what each module of the definition yields is in the file, so that it is done behind them";
}

}  // namespace onnxport
