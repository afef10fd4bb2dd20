// SPDX-License-Identifier: Apache-2.0
#include "core/validate/validate.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "core/error.hpp"
#include "core/export.hpp"
#include "core/onnx/model_file.hpp"
#include "core/onnx/model_proto.hpp"
#include "core/passes/lower.hpp"

namespace onnxport {
namespace {

/// A folder that is removed with all it holds.
class ScratchFolder {
 public:
  ScratchFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "onnxport-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw Error(Failure::output, "no temporary folder could be made under " + pattern);
    path_ = pattern;
  }
  ~ScratchFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// The module path of the node that makes a value.
std::string scope_of(const ir::Graph& graph, ir::ValueId id) {
  for (const ir::Node& node : graph.nodes) {
    if (std::find(node.outputs.begin(), node.outputs.end(), id) != node.outputs.end()) {
      return node.scope.empty() ? node.op : node.scope + " (" + node.op + ")";
    }
  }
  return graph[id].name;
}

}  // namespace

bool ValidationReport::passes() const {
  return !runs.empty() && std::all_of(runs.begin(), runs.end(), [](const ValidationRun& run) { return run.passes; });
}

double ValidationReport::largest_difference() const {
  double largest = 0;
  for (const ValidationRun& run : runs) {
    for (const Difference& difference : run.differences) largest = std::max(largest, difference.max_abs);
  }
  return largest;
}

ValidationReport validate_model_outputs(Runnable* reference, Runnable& onnx, const std::vector<ValidationInputs>& inputs, double atol,
                                        const std::function<void(const ValidationRun&)>& each) {
  ValidationReport report;
  for (const ValidationInputs& set : inputs) {
    if (!set.expected && reference == nullptr) throw Error(Failure::internal, "neither recorded outputs nor a reference to compare with");
    const Tensors expected = set.expected ? *set.expected : reference->run(set.inputs);
    ValidationRun run;
    run.label = set.label;
    run.differences = compare(expected, onnx.run(set.inputs), atol);
    run.passes = std::all_of(run.differences.begin(), run.differences.end(), [](const Difference& d) { return d.passes; });
    if (each) each(run);
    report.runs.push_back(std::move(run));
  }
  return report;
}

ValidationInputs read_case(const std::filesystem::path& file) {
  ValidationInputs set;
  set.label = file.filename().string();
  set.expected.emplace();
  for (StoredTensor& stored : read_safetensors(file.string())) {
    const std::string name = stored.name;
    ir::Tensor tensor = materialize(Weight{std::make_shared<const StoredTensor>(std::move(stored)), {}});
    if (name.starts_with("in/")) set.inputs.emplace(name.substr(3), std::move(tensor));
    else if (name.starts_with("out/")) set.expected->emplace(name.substr(4), std::move(tensor));
  }
  if (set.inputs.empty() || set.expected->empty()) {
    throw Error(Failure::checkpoint, fmt::format("{} is no case file: it holds {} tensors in/… and {} tensors out/…", file.string(),
                                                 set.inputs.size(), set.expected->size()),
                "a case file records a model's inputs as in/NAME and its outputs as out/NAME");
  }
  return set;
}

std::optional<std::string> first_departure(const OnnxConfig& config, const Definition& definition, int64_t opset, const Tensors& inputs,
                                           double atol) {
  // The same graph with a result of every operator as a mark, so that both sides yield all of them in order.
  ir::Graph traced = definition.graph;
  traced.marks.clear();
  std::map<std::string, std::string> places;
  for (size_t i = 0; i < traced.nodes.size(); ++i) {
    const std::string name = fmt::format("step_{:06}", i);
    traced.marks.push_back({name, traced.nodes[i].outputs[0]});
    places[name] = scope_of(traced, traced.nodes[i].outputs[0]);
  }
  ir::Graph exposed = traced;
  for (const ir::NamedValue& mark : traced.marks) exposed.outputs.push_back(mark);
  const ScratchFolder folder;
  const ir::Graph lowered = lower(exposed, {.opset = opset, .patches = patches_of(config)});
  const ModelParts parts = to_model(lowered, {.opset = opset, .metadata = {}});
  const auto files = write_model(parts, {.folder = folder.path(), .model_file = "steps.onnx", .external_data = true, .threads = 0, .progress = {}});
  const auto reference = load_backend("reference").load_graph(traced);
  const auto onnx = load_backend("onnxruntime").load_file(files[0].path.string());
  std::vector<std::string> names;
  for (const auto& [name, place] : places) names.push_back(name);
  const Tensors expected = reference->run(inputs, names);
  const Tensors actual = onnx->run(inputs, names);
  for (const Difference& difference : compare(expected, actual, atol)) {
    if (difference.passes) continue;
    return fmt::format("{}: {}", places[difference.output],
                       difference.problem.empty() ? fmt::format("differs by {:.3g}", difference.max_abs) : difference.problem);
  }
  return std::nullopt;
}

}  // namespace onnxport
