// SPDX-License-Identifier: Apache-2.0
#include "core/validate/validate.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <set>

#include "core/error.hpp"
#include "core/export/export.hpp"
#include "core/onnx/model_proto.hpp"
#include "core/validate/file_inputs.hpp"

namespace onnxport {
namespace {

/// A folder that is removed with all it holds.
class ScratchFolder {
 public:
  ScratchFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "onnxport-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr)
      throw Error(Failure::output, "no temporary folder could be made under " + pattern);
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

/// "encoder.layer.3.attention.self (Attention)"
std::string scope_of(const ir::Node& node) {
  return node.scope.empty() ? node.op : node.scope + " (" + node.op + ")";
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

ValidationReport validate_model_outputs(Runnable* reference, Runnable& onnx,
                                        const std::vector<ValidationInputs>& inputs, const Tolerance& tolerance,
                                        const std::function<void(const ValidationRun&)>& each) {
  ValidationReport report;
  for (const ValidationInputs& set : inputs) {
    if (!set.expected && reference == nullptr)
      throw Error(Failure::internal, "neither recorded outputs nor a reference to compare with");
    const Tensors expected = set.expected ? *set.expected : reference->run(set.inputs);
    ValidationRun run;
    run.label = set.label;
    Tolerance used = tolerance;
    used.only_finite = !set.expected;
    run.differences = compare(expected, onnx.run(set.inputs), used);
    run.passes =
        std::all_of(run.differences.begin(), run.differences.end(), [](const Difference& d) { return d.passes; });
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
    if (name.starts_with("in/"))
      set.inputs.emplace(name.substr(3), std::move(tensor));
    else if (name.starts_with("out/"))
      set.expected->emplace(name.substr(4), std::move(tensor));
  }
  if (set.inputs.empty() || set.expected->empty()) {
    throw Error(Failure::checkpoint,
                fmt::format("{} is no case file: it holds {} tensors in/… and {} tensors out/…", file.string(),
                            set.inputs.size(), set.expected->size()),
                "a case file records a model's inputs as in/NAME and its outputs as out/NAME");
  }
  return set;
}

namespace {

/// The file again with further outputs, in a folder of its own; its external data is linked, not copied.
std::filesystem::path with_outputs(const std::filesystem::path& file, const ir::Graph& lowered,
                                   const ScratchFolder& folder) {
  pb::ModelProto model;
  std::ifstream in(file, std::ios::binary);
  if (!model.ParseFromIstream(&in)) throw Error(Failure::differs, file.string() + " cannot be read back", "");
  std::set<std::string> made, declared;
  for (const auto& node : model.graph().node()) made.insert(node.output().begin(), node.output().end());
  for (const auto& output : model.graph().output()) declared.insert(output.name());
  for (const ir::NamedValue& mark : lowered.marks) {
    const ir::Value& value = lowered[mark.value];
    if (!made.contains(value.name) || !declared.insert(value.name).second) continue;
    pb::ValueInfoProto& info = *model.mutable_graph()->add_output();
    info.set_name(value.name);
    info.mutable_type()->mutable_tensor_type()->set_elem_type(static_cast<int32_t>(value.type.dtype));
  }
  std::set<std::string> data_files;
  for (const auto& initializer : model.graph().initializer()) {
    for (const auto& entry : initializer.external_data()) {
      if (entry.key() == "location") data_files.insert(entry.value());
    }
  }
  for (const std::string& name : data_files) {
    std::error_code refused;
    std::filesystem::create_hard_link(file.parent_path() / name, folder.path() / name, refused);
    if (refused) std::filesystem::copy_file(file.parent_path() / name, folder.path() / name);
  }
  const std::filesystem::path exposed = folder.path() / "steps.onnx";
  std::ofstream out(exposed, std::ios::binary);
  if (!model.SerializeToOstream(&out))
    throw Error(Failure::output, exposed.string() + " cannot be written", "free some space in the temporary folder");
  return exposed;
}

}  // namespace

std::optional<std::string> first_departure(const OnnxConfig& config, const Definition& definition,
                                           const WrittenModel& written, const Tensors& inputs,
                                           const Tolerance& tolerance) {
  // Every operator's result is a mark. Lowering is deterministic and marks do not change it, so the values have in the
  // file the names that they get here.
  ir::Graph traced = definition.graph;
  traced.marks.clear();
  for (size_t i = 0; i < traced.nodes.size(); ++i)
    traced.marks.push_back({fmt::format("step {}", i), traced.nodes[i].outputs[0]});
  const ir::Graph lowered = lowered_graph(config, definition, traced, written.form);
  const ScratchFolder folder;
  const auto onnx =
      as_defined(load_backend("onnxruntime").load_file(with_outputs(written.file, lowered, folder).string()),
                 written.form.inputs);
  const auto reference = load_backend("reference").load_graph(traced);
  const Tensors actual = onnx->run(inputs);
  std::vector<std::string> names;
  for (const ir::NamedValue& mark : lowered.marks) names.push_back(mark.name);
  const Tensors expected = reference->run(inputs, names);
  for (const ir::NamedValue& mark : lowered.marks) {
    const auto found = actual.find(lowered[mark.value].name);
    if (found == actual.end()) continue;
    const Difference difference =
        compare({{mark.name, expected.at(mark.name)}}, {{mark.name, found->second}}, tolerance)[0];
    if (difference.passes) continue;
    const size_t step = std::stoul(mark.name.substr(5));
    return fmt::format(
        "{}: {}", scope_of(traced.nodes[step]),
        difference.problem.empty() ? fmt::format("differs by {:.3g}", difference.max_abs) : difference.problem);
  }
  return std::nullopt;
}

}  // namespace onnxport
