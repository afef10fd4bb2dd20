// SPDX-License-Identifier: Apache-2.0
#include "tests/plugin/answers.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <stdexcept>

#include "core/backend/backend.hpp"
#include "core/export/export.hpp"
#include "core/ir/scalar.hpp"
#include "core/passes/rounded_weights.hpp"
#include "core/validate/ranges.hpp"
#include "core/validate/validate.hpp"
#include "tests/support/temporary_folder.hpp"

namespace onnxport::test {
namespace {

namespace fs = std::filesystem;

/// The definition as it was recorded: by forward(), which is given no positions and counts them in sequence, whatever a
/// type counts when it generates.
OnnxConfig as_recorded(const Recording& recording, const Checkpoint& checkpoint) {
  const auto made = [&](const Json& options) {
    return config_of({checkpoint.config(), checkpoint.folder(), options}, recording.model_type, recording.feature);
  };
  OnnxConfig config = made(Json::object());
  const auto positions = config.description().texts.find("positions");
  if (positions != config.description().texts.end() && positions->second != "sequence")
    return made({{"position_ids", "sequence"}});
  if (!recording.part.empty() || recording.cases.empty()) return config;
  // Of sound a mask, and what is drawn by chance, are inputs where they are asked for.
  const Tensors given = read_case(recording.folder / recording.cases[0]).inputs;
  const auto takes = [&](const std::string& name) { return config.description().input(name) != nullptr; };
  if (given.contains("attention_mask") && !takes("attention_mask")) return made({{"sample_mask", "input"}});
  for (const char* noise : {"noise", "prenet_dropout_mask"}) {
    if (given.contains(noise) && !takes(noise)) return made({{"noise", "input"}});
  }
  return config;
}

/// The graph that answers what the recording asks of its part: a decoder whose first and cached steps are graphs of
/// their own has the cached one behind its name.
std::string graph_of(const Recording& recording, const OnnxConfig& config) {
  if (recording.part.empty() || !recording.feature.ends_with("-with-past")) return recording.part;
  const std::vector<std::string> parts = config.parts();
  const std::string cached = recording.part + "_with_past";
  return std::find(parts.begin(), parts.end(), cached) == parts.end() ? recording.part : cached;
}

/// Where a cache holds what is made of the encoder's result, a cached step is not given that, and leaves it as it was.
void leave_out_encoder(const Definition& definition, ValidationInputs& recorded) {
  if (definition.description.input("encoder_hidden_states") != nullptr) return;
  if (recorded.inputs.erase("encoder_hidden_states") == 0) return;
  std::erase_if(*recorded.expected, [&](const auto& output) {
    return output.first.find(".encoder.") != std::string::npos &&
           definition.description.output(output.first) == nullptr;
  });
}

/// What equals everything tests nothing.
void require_numbers(const ValidationInputs& recorded) {
  for (const auto& [name, tensor] : *recorded.expected) {
    if (tensor.dtype != ir::DType::f32 || tensor.data.empty()) continue;
    const float* first = reinterpret_cast<const float*>(tensor.data.data());
    const float* last = first + tensor.data.size() / sizeof(float);
    if (std::all_of(first, last, [](float number) { return std::isnan(number); }))
      throw std::runtime_error(fmt::format("{} records nothing but NaN of {}; record it again", recorded.label, name));
  }
}

/// A recording with its definition.
struct Model {
  explicit Model(const Recording& recording, const Checkpoint& checkpoint)
      : config(as_recorded(recording, checkpoint)), weights(checkpoint) {
    const std::vector<std::string> graphs = recording.part.empty() ? std::vector<std::string>{""} : config.parts();
    const std::string wanted = graph_of(recording, config);
    const auto at = std::find(graphs.begin(), graphs.end(), wanted);
    if (at == graphs.end()) {
      throw std::runtime_error(fmt::format("the model has no part '{}'; it has: {}", wanted, fmt::join(graphs, ", ")));
    }
    const auto index = static_cast<size_t>(at - graphs.begin());
    definition = std::move(config.define_parts(weights, graphs, {.outputs = recording.outputs})[index]);
    for (const std::string& name : recording.cases) {
      cases.push_back(read_case(recording.folder / name));
      require_numbers(cases.back());
      if (!recording.part.empty()) leave_out_encoder(definition, cases.back());
    }
  }
  OnnxConfig config;
  WeightSource weights;
  Definition definition;
  std::vector<ValidationInputs> cases;
};

/// The cases, run by one model.
void run_cases(const std::string& who, const Model& model, const Tolerance& tolerance, Runnable& runnable,
               Problems& problems) {
  for (const ValidationInputs& recorded : model.cases) {
    const Problems found =
        differences(who + ", " + recorded.label, *recorded.expected, runnable.run(recorded.inputs), tolerance);
    problems.insert(problems.end(), found.begin(), found.end());
  }
}

/// Exported with these options into the folder, checked, and run.
void run_export(const std::string& who, const Model& model, const Tolerance& tolerance, const fs::path& folder,
                const ExportOptions& options, Problems& problems) {
  const fs::path file = export_onnx(model.config, model.definition, folder, options).files[0].path;
  check_model_file(file);
  run_cases(who, model, tolerance, *load_backend("onnxruntime").load_file(file.string()), problems);
}

/// What has to stay in f32 for the recorded inputs, as `--keep-fp32 auto` finds it.
KeptModules beyond_the_range(const Model& model, PrecisionOptions form) {
  form.keep_in_fp32 = {.parts = model.definition.description.keep_in_fp32()};
  Ranges ranges({.definition = model.definition.graph, .precision = form, .patches = patches_of(model.config)});
  for (const ValidationInputs& recorded : model.cases) ranges.look_at(recorded.inputs);
  KeptModules kept;
  keep_in_range({&ranges}, ir::bound_of(form.dtype) / 4, kept);
  return kept;
}

/// Whether a model departs far by the rounding of its weights alone, as one does that picks the best of close scores:
/// what is computed in the type besides costs a few times as much.
bool is_sensitive(const Difference& by_weights, const Difference& found) {
  constexpr double times = 8;
  return found.problem.empty() && by_weights.problem.empty() && found.max_abs <= times * by_weights.max_abs;
}

/// How long each axis that has a name is in a case; those too whose size the model fixes and its files leave open.
std::map<std::string, int64_t> sizes_of(const ir::Graph& graph, const ValidationInputs& recorded) {
  std::map<std::string, int64_t> sizes;
  for (const ir::NamedValue& input : graph.inputs) {
    const ir::Shape& shape = graph[input.value].type.shape;
    const auto given = recorded.inputs.find(input.name);
    if (given == recorded.inputs.end()) continue;
    for (const auto& [axis, name] : graph[input.value].open_axes) sizes[name] = given->second.shape.at(axis);
    for (size_t i = 0; i < shape.size(); ++i) {
      const bool is_name = shape[i].terms().size() == 1 && shape[i] == ir::Dim::symbol(shape[i].terms()[0].first);
      if (is_name) sizes[shape[i].terms()[0].first] = given->second.shape[i];
    }
  }
  // Of a sum the one that is not known is what is left: a past that only the mask tells.
  for (const ir::NamedValue& input : graph.inputs) {
    const auto given = recorded.inputs.find(input.name);
    if (given == recorded.inputs.end()) continue;
    const ir::Shape& shape = graph[input.value].type.shape;
    for (size_t i = 0; i < shape.size(); ++i) {
      for (const auto& [name, count] : shape[i].terms()) {
        if (sizes.contains(name) || count != 1) continue;
        if (const auto rest = (shape[i] - ir::Dim::symbol(name)).evaluate(sizes))
          sizes[name] = given->second.shape[i] - *rest;
      }
    }
  }
  return sizes;
}

template <class Body>
Problems guarded(Body body) {
  Problems problems;
  try {
    body(problems);
  } catch (const std::exception& error) {
    problems.push_back(error.what());
  }
  return problems;
}

}  // namespace

const std::vector<int64_t>& tested_opsets() {
  static const std::vector<int64_t> opsets =
      test_all() ? std::vector<int64_t>{13, 17, 18, 20, 23, 24} : std::vector<int64_t>{lowest_opset, highest_opset};
  return opsets;
}

Problems differences(const std::string& who, const Tensors& expected, const Tensors& actual,
                     const Tolerance& tolerance) {
  Problems problems;
  for (const Difference& difference : compare(expected, actual, tolerance)) {
    if (difference.passes) continue;
    problems.push_back(fmt::format("{}: {} differs by {} (tolerance {}) {}", who, difference.output, difference.max_abs,
                                   tolerance.absolute, difference.problem));
  }
  return problems;
}

Problems answers(const Recording& recording, const std::vector<int64_t>& opsets) {
  return guarded([&](Problems& problems) {
    const RecordedCheckpoint checkpoint(recording);
    const Model model(recording, *checkpoint);
    const Tolerance tolerance{.absolute = recording.atol};
    if (backend_installed("reference")) {
      const auto reference = load_backend("reference").load_graph(model.definition.graph);
      run_cases("reference", model, tolerance, *reference, problems);
    }
    std::set<int64_t> possible;
    for (const int64_t opset : opsets) possible.insert(std::max(opset, model.config.min_opset()));
    for (const int64_t opset : possible) {
      const TemporaryFolder scratch;
      run_export(fmt::format("opset {}", opset), model, tolerance, scratch.path, {.opset = opset}, problems);
    }
  });
}

Problems answers_in_f16(const Recording& recording) {
  return guarded([&](Problems& problems) {
    const RecordedCheckpoint checkpoint(recording);
    const Model model(recording, *checkpoint);
    const ir::DType f16 = ir::DType::f16;
    ExportOptions options{.opset = highest_opset, .dtype = f16};
    options.keep_in_fp32 = beyond_the_range(model, {.dtype = f16, .opset = highest_opset});
    const TemporaryFolder scratch;
    const fs::path file = export_onnx(model.config, model.definition, scratch.path, options).files[0].path;
    check_model_file(file);
    const auto exported = load_backend("onnxruntime").load_file(file.string());
    const auto rounded = load_backend("reference").load_graph(with_rounded_weights(model.definition.graph, f16));
    // 16 units in the last place of the largest number, as validation allows.
    const Tolerance tolerance{.absolute = recording.atol, .of_largest = 16 * 0x1p-11};
    for (const ValidationInputs& recorded : model.cases) {
      const std::vector<Difference> costs = compare(*recorded.expected, rounded->run(recorded.inputs), tolerance);
      const std::vector<Difference> found = compare(*recorded.expected, exported->run(recorded.inputs), tolerance);
      for (size_t i = 0; i < found.size(); ++i) {
        if (found[i].passes || is_sensitive(costs[i], found[i])) continue;
        problems.push_back(fmt::format("f16, {}: {} differs by {}, where rounding its weights costs {} {}",
                                       recorded.label, found[i].output, found[i].max_abs, costs[i].max_abs,
                                       found[i].problem));
      }
    }
  });
}

Problems answers_fixed(const Recording& recording) {
  return guarded([&](Problems& problems) {
    const RecordedCheckpoint checkpoint(recording);
    Model model(recording, *checkpoint);
    model.cases.resize(1);
    ExportOptions options{.opset = highest_opset,
                          .inputs = {.fixed = sizes_of(model.definition.graph, model.cases[0])}};
    const auto is_empty = [](const auto& axis) { return axis.second == 0; };
    if (std::any_of(options.inputs.fixed.begin(), options.inputs.fixed.end(), is_empty)) return;
    const auto is_open = [](const std::string& axis) {
      return axis.find_first_not_of("0123456789") != std::string::npos;
    };
    // A name that no input has, and that is no form of others: of SuperPoint's keypoints, "chosen of keypoint_decoder".
    const auto is_counted = [&](const ir::Dim& dim) {
      return std::any_of(dim.terms().begin(), dim.terms().end(), [&](const auto& term) {
        return term.first.find_first_of("+*/()") == std::string::npos && !options.inputs.fixed.contains(term.first);
      });
    };
    const GraphForm form{.opset = options.opset, .inputs = options.inputs};
    const ir::Graph lowered = lowered_graph(model.config, model.definition, model.definition.graph, form);
    for (const ir::Node& node : lowered.nodes) {
      if (node.op != "Shape" && node.op != "Size") continue;
      // Lengths that the run counts, as of Longformer's global tokens, nothing else tells.
      const ir::Shape& shape = lowered[node.input(0)].type.shape;
      if (std::none_of(shape.begin(), shape.end(), is_counted))
        problems.push_back(
            fmt::format("fixed: there is a {} node, {}, of {}", node.op, node.name, ir::to_string(shape)));
    }
    const TemporaryFolder scratch;
    const ExportResult written = export_onnx(model.config, model.definition, scratch.path, options);
    for (const ExportedValue& value : written.graphs[0].inputs) {
      for (const std::string& axis : value.axes) {
        if (axis.empty() || is_open(axis))
          problems.push_back(fmt::format("fixed: the input {} has the open axis '{}'", value.name, axis));
      }
    }
    for (const ExportedValue& value : written.graphs[0].outputs) {
      for (const std::string& axis : value.axes) {
        if (axis.empty() || (is_open(axis) && !is_counted(ir::Dim::parse(axis))))
          problems.push_back(fmt::format("fixed: the output {} has the open axis '{}'", value.name, axis));
      }
    }
    check_model_file(written.files[0].path);
    run_cases("fixed", model, {.absolute = recording.atol},
              *load_backend("onnxruntime").load_file(written.files[0].path.string()), problems);
  });
}

Problems answers_linked(const Recording& recording) {
  return guarded([&](Problems& problems) {
    // A model refers to files below its own folder, and so it is written beside a copy of the checkpoint.
    const RecordedCheckpoint original(recording);
    const TemporaryFolder scratch;
    fs::copy(original.folder(), scratch.path, fs::copy_options::recursive);
    const Checkpoint checkpoint = Checkpoint::open(scratch.path);
    const Model model(recording, checkpoint);
    ExportOptions options{.opset = highest_opset};
    for (const ir::Value& value : model.definition.graph.values) {
      if (value.origin != ir::Origin::weight || value.weight->stored->file == nullptr) continue;
      const MappedFile& file = *value.weight->stored->file;
      options.linked.emplace(&file, fs::path(file.path()).filename().string());
    }
    run_export("linked", model, {.absolute = recording.atol}, scratch.path, options, problems);
  });
}

}  // namespace onnxport::test
