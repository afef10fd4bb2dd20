// SPDX-License-Identifier: Apache-2.0
// onnxport transform --layout: finished files, whoever wrote them, as a folder that another program loads. No graph
// changes: what its inputs, outputs and axes are called does, by the definition of the model, and files are written
// beside.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "core/error.hpp"
#include "core/export/told_graph.hpp"
#include "core/files/output_error.hpp"
#include "core/onnx/model_file.hpp"
#include "core/output/companions.hpp"
#include "core/output/staging.hpp"
#include "core/split_list.hpp"
#include "core/transform/names.hpp"
#include "core/transform/read_model.hpp"
#include "core/transform/values.hpp"
#include "host/commands.hpp"
#include "host/export/complete_package.hpp"
#include "host/export/exported_facts.hpp"
#include "host/export/layout_files.hpp"
#include "host/model/finished_files.hpp"
#include "host/model/model_source.hpp"
#include "host/plan/choices.hpp"
#include "host/plan/input_plan.hpp"
#include "host/plan/package.hpp"
#include "host/report/report.hpp"
#include "registry/backend_trust.hpp"

namespace onnxport {
namespace {

namespace fs = std::filesystem;
using Strings = std::vector<std::string>;

/// What the options alone refuse.
std::shared_ptr<const Package> package_of(const TransformArguments& arguments) {
  if (!arguments.fixed.empty() || arguments.fp16 || arguments.ids != "int64") {
    throw Error(Failure::usage, "--layout goes by itself: it changes names and folders, and no graph",
                "run transform twice: --fix, --fp16 and --ids first, then --layout");
  }
  if (find_layout(arguments.layout) != nullptr) {
    throw Error(Failure::usage,
                fmt::format("--layout {} is no package: which graphs there are is decided when a model is exported",
                            arguments.layout),
                fmt::format("choose one of {}, or the path of a package's folder", fmt::join(package_names(), ", ")));
  }
  return find_package(arguments.layout);
}

/// The folder with the config.json that says of which model the files are.
fs::path checkpoint_folder(const TransformArguments& arguments, const fs::path& file, Console& console) {
  if (!arguments.model.name.empty()) return ModelSource(arguments.model, progress_on(console)).folder();
  std::error_code ignored;
  // A package has its graphs in folders: onnx/model.onnx, 1/model.onnx, encoder_model/1/model.onnx.
  const fs::path folder = fs::absolute(file).lexically_normal().parent_path();
  std::vector<fs::path> places{folder};
  const std::string name = folder.filename();
  const bool is_version = !name.empty() && name.find_first_not_of("0123456789") == std::string::npos;
  if (name == "onnx" || is_version) places.push_back(folder.parent_path());
  if (is_version) places.push_back(folder.parent_path().parent_path());
  for (const fs::path& place : places) {
    if (fs::is_regular_file(place / "config.json", ignored)) return place;
  }
  throw Error(Failure::usage, fmt::format("there is no config.json beside {}", file.string()),
              "name the checkpoint that the file is of: -m MODEL");
}

/// The files, and the graphs of the package that they become.
struct Assignment {
  struct Graph {
    size_t from;  // among the files
    std::string file;
    Strings parts;
  };
  std::vector<Graph> graphs;
  std::set<size_t> unused;
};

Strings names_of(const std::vector<FinishedFile>& files) {
  Strings names;
  for (const FinishedFile& file : files) names.push_back(file.path.filename().string());
  return names;
}

Assignment assign(const Package& package, const OnnxConfig& config, const std::vector<FinishedFile>& files,
                  const std::string& model) {
  const std::vector<Strings> parts = parts_of(config, files);
  Assignment assignment;
  for (size_t i = 0; i < files.size(); ++i) assignment.unused.insert(i);
  const std::vector<GraphFile> graphs = graph_files(package.layout, config, "model.onnx");
  for (const GraphFile& wanted : graphs) {
    const auto found = std::find(parts.begin(), parts.end(), wanted.parts);
    // Of two towers the whole is one more graph, which those who run one tower do without.
    if (found == parts.end() && wanted.parts == Strings{""} && graphs.size() > 1) continue;
    if (found == parts.end()) {
      throw Error(
          Failure::usage,
          fmt::format(
              "--layout {} has a file {}{}, and none of {} is that", package.layout.name, wanted.file,
              wanted.parts == Strings{""} ? "" : fmt::format(", which holds {}", fmt::join(wanted.parts, " and ")),
              fmt::join(names_of(files), ", ")),
          fmt::format("a finished graph is neither cut nor joined; export the checkpoint: onnxport export -m {} "
                      "--layout {} OUTPUT",
                      model.empty() ? "MODEL" : model, package.layout.name));
    }
    const auto from = static_cast<size_t>(found - parts.begin());
    assignment.graphs.push_back({from, wanted.file, wanted.parts});
    assignment.unused.erase(from);
  }
  return assignment;
}

/// What the plugin says of the parts.
DescribedParts described(const OnnxConfig& config, const Strings& parts) {
  DescribedParts all;
  for (const std::string& part : parts)
    all.emplace_back(part, part.empty() ? &config.description() : &config.description(part));
  return all;
}

/// Inputs and outputs as all parts have them: where two steps differ along an axis, that is of no fixed size. With a
/// cache in a buffer what is as long as all that was read has a length of its own.
std::map<std::string, PortAxes> ports_of(const DescribedParts& parts, bool has_buffer) {
  std::map<std::string, PortAxes> ports;
  const auto add = [&](const std::string& name, PortAxes port) {
    for (std::optional<ir::Dim>& axis : port.axes) {
      if (has_buffer && axis && axis->terms().size() > 1) axis.reset();
    }
    const auto [known, is_new] = ports.emplace(name, port);
    if (is_new) return;
    std::vector<std::optional<ir::Dim>>& axes = known->second.axes;
    for (size_t i = 0; i < std::min(axes.size(), port.axes.size()); ++i) {
      if (axes[i] == port.axes[i]) continue;
      if (!axes[i] || axes[i]->is_static())
        axes[i] = port.axes[i];
      else if (port.axes[i] && !port.axes[i]->is_static())
        axes[i].reset();
    }
  };
  for (const auto& [part, description] : parts) {
    for (const InputSpec& input : description->inputs)
      add(input.name, {{input.type.shape.begin(), input.type.shape.end()}, input.open_axes});
    for (const OutputSpec& output : description->outputs) add(output.name, {.axes = output.axes, .is_whole = false});
  }
  return ports;
}

/// Throws where the graph takes what the definition does not know, or does not put out what it does.
void require_ports(const FinishedFile& file, const DescribedParts& parts, const Selection& selection,
                   const std::map<std::string, std::string>& renamed) {
  const std::map<std::string, PortAxes> ports = ports_of(parts, false);
  std::set<std::string> outputs;
  for (const auto& output : file.summary.outputs) outputs.insert(output.name);
  Strings unknown, missing;
  for (const auto& input : file.summary.inputs) {
    if (!ports.contains(input.name) && !(parts.size() > 1 && input.name == branch_input)) unknown.push_back(input.name);
  }
  for (const auto& [part, description] : parts) {
    for (const OutputSpec& output : description->outputs) {
      const auto other = renamed.find(output.name);
      if (!outputs.contains(output.name) && (other == renamed.end() || !outputs.contains(other->second)))
        missing.push_back(output.name);
    }
  }
  if (unknown.empty() && missing.empty()) return;
  const auto said = [](const char* what, const Strings& names) {
    return names.empty() ? std::string() : fmt::format(" {} {}", what, fmt::join(names, ", "));
  };
  throw Error(Failure::usage,
              fmt::format("{} is no graph of a {} with feature '{}' by its names, which others read:{}{}{}",
                          file.path.string(), selection.model_type, selection.feature, said("it takes", unknown),
                          unknown.empty() || missing.empty() ? "" : ", and", said("it lacks the outputs", missing)),
              fmt::format("name the feature that it was exported with: --feature NAME (`onnxport features {}` lists "
                          "them); or export the checkpoint",
                          selection.model_type));
}

std::map<std::string, std::string> metadata_in(const pb::ModelProto& model) {
  std::map<std::string, std::string> metadata;
  for (const auto& entry : model.metadata_props()) metadata[entry.key()] = entry.value();
  return metadata;
}

std::map<std::string, std::string> renamed_in(const std::map<std::string, std::string>& metadata) {
  std::map<std::string, std::string> renamed;
  const auto listed = metadata.find(renamed_metadata);
  if (listed == metadata.end()) return renamed;
  for (const std::string& pair : split_list(listed->second))
    renamed.emplace(pair.substr(0, pair.find('=')), pair.substr(pair.find('=') + 1));
  return renamed;
}

/// As --dtype calls what most bytes of the weights are; ONNX's name for another type.
std::string dtype_of(const ModelParts& parts) {
  const std::map<std::string, std::string> metadata = metadata_in(parts.model);
  if (const auto told = metadata.find("onnxport.dtype"); told != metadata.end()) return told->second;
  std::map<int32_t, uint64_t> bytes;
  for (const StreamedInitializer& weight : parts.weights) bytes[weight.header.data_type()] += weight.weight->bytes();
  if (bytes.empty()) return "fp32";
  const auto most =
      std::max_element(bytes.begin(), bytes.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  for (const auto& choice : dtype_choices) {
    if (static_cast<int32_t>(choice.value) == most->first) return std::string(choice.name);
  }
  return pb::TensorProto_DataType_Name(static_cast<pb::TensorProto_DataType>(most->first));
}

/// Names the graph's inputs, outputs and axes for the package, and keeps true what the file says of itself.
void name_for(const Package& package, const DescribedParts& parts, ModelParts& model) {
  std::map<std::string, std::string> metadata = metadata_in(model.model);
  name_axes(model, ports_of(parts, input_form_of(metadata).max_sequence > 0),
            {package.layout.axes, package.layout.keeps_open_axes});
  std::map<std::string, std::string> renamed = rename_outputs(model, package.layout.outputs);
  if (!metadata.contains("onnxport.feature")) return;
  metadata.erase("onnxport.weights");  // they were in the checkpoint's own files
  renamed.merge(renamed_in(metadata));
  std::string listed;
  for (const auto& [name, written] : renamed)
    listed += fmt::format("{}{}={}", listed.empty() ? "" : ",", name, written);
  if (!listed.empty()) metadata[renamed_metadata] = listed;
  model.model.clear_metadata_props();
  for (const auto& [key, value] : metadata) {
    auto& entry = *model.model.add_metadata_props();
    entry.set_key(key);
    entry.set_value(value);
  }
}

/// The suffix of the package's files for what the weights are.
std::string suffix_of(const Package& package, const std::string& dtype, const fs::path& file) {
  if (const auto suffix = suffix_for(package, dtype)) return *suffix;
  Strings known;
  for (const auto& [word, suffix] : package.suffixes) known.push_back(word);
  throw Error(Failure::usage,
              fmt::format("the weights of {} are {}, and --layout {} has names for graphs in {}", file.string(), dtype,
                          package.layout.name, fmt::join(known, ", ")),
              "choose another --layout, or a file of one of these types");
}

/// What is written, and whether its weights lie beside it.
struct GraphsToWrite {
  std::vector<ModelToWrite> models;
  std::vector<DescribedParts> parts;
  std::string dtype = "fp32";
  bool external_data = false;
  uint64_t bytes = 0;
};

GraphsToWrite graphs_to_write(const Package& package, const Selection& selection,
                              const std::vector<FinishedFile>& files, const Assignment& assignment) {
  GraphsToWrite graphs;
  for (const Assignment::Graph& graph : assignment.graphs) {
    const FinishedFile& file = files[graph.from];
    DescribedParts parts = described(*selection.onnx_config, graph.parts);
    require_ports(file, parts, selection, renamed_in(file.summary.metadata));
    ReadModel read = read_model(file.path);
    name_for(package, parts, read.parts);
    const std::string dtype = dtype_of(read.parts);
    if (graphs.models.empty()) graphs.dtype = dtype;
    graphs.external_data = graphs.external_data || read.has_external_data;
    for (const StreamedInitializer& weight : read.parts.weights) graphs.bytes += weight.weight->bytes();
    graphs.models.push_back({std::move(read.parts), with_suffix(graph.file, suffix_of(package, dtype, file.path))});
    graphs.parts.push_back(std::move(parts));
  }
  graphs.external_data = graphs.external_data || !package.layout.shared_data_file.empty() ||
                         OnnxConfig::use_external_data_format(graphs.bytes / sizeof(float));
  return graphs;
}

void write_graphs(const Package& package, const GraphsToWrite& graphs, const StagedOutput& output,
                  WrittenExport& written, Console& console) {
  for (const ModelToWrite& model : graphs.models) {
    const fs::path folder = (output.folder() / model.file).parent_path();
    std::error_code reason;
    fs::create_directories(folder, reason);
    if (reason) throw output_error("cannot create the folder", folder, reason.value());
    written.graphs.push_back(told_of(model.file, model.parts));
  }
  output.require_space(graphs.bytes);
  const ModelFileOptions how{.folder = output.folder(),
                             .external_data = graphs.external_data,
                             .data_file = package.layout.shared_data_file,
                             .data_piece = package.layout.data_piece,
                             .linked = {},
                             .planned = {},
                             .progress = progress_on(console)};
  for (const ExportedFile& file : write_models(graphs.models, how))
    written.set_file(output.folder(), file.path.lexically_relative(output.folder()));
}

}  // namespace

int run_transform_layout(const TransformArguments& arguments, Console& console) {
  const std::shared_ptr<const Package> package = package_of(arguments);
  std::vector<FinishedFile> files;
  for (const fs::path& file : model_files(arguments.file)) files.push_back({file, read_model_summary(file)});
  // Graphs of one package alone are made of definitions.
  const auto is_own = [](const FinishedFile& file) { return file.summary.metadata.contains(own_graphs_metadata); };
  if (!std::all_of(files.begin(), files.end(), is_own)) std::erase_if(files, is_own);
  StagedOutput output(arguments.output);
  if (!output.is_folder()) {
    throw Error(Failure::usage,
                fmt::format("--layout {} makes a folder, and the output {} is one file", package->layout.name,
                            arguments.output.string()),
                "name a folder");
  }
  const fs::path folder = checkpoint_folder(arguments, files[0].path, console);
  std::error_code absent;
  if (fs::equivalent(folder, output.final_folder(), absent)) {
    throw Error(Failure::usage, "the output is the folder that is read, " + folder.string(), "name another folder");
  }
  const Selection selection =
      matching_selection({arguments.plugins, arguments.feature, arguments.plugin}, read_config(folder), files, console);
  report(ChosenModel{arguments.model.name.empty() ? folder.string() : arguments.model.name, selection}, console);
  const Assignment assignment = assign(*package, *selection.onnx_config, files, arguments.model.name);
  const GraphsToWrite graphs = graphs_to_write(*package, selection, files, assignment);

  WrittenExport written{selection.model_type,
                        selection.feature,
                        files[assignment.graphs[0].from].summary.opset(),
                        output.final_folder(),
                        {},
                        {},
                        {}};
  write_graphs(*package, graphs, output, written, console);
  console.stop_if_cancelled();
  for (const fs::path& name : copy_companions(folder, output.folder())) written.set_file(output.folder(), name);
  const auto facts = [&] {
    return folder_facts({arguments.model.name.empty() ? folder.string() : arguments.model.name, package->layout.name,
                         graphs.dtype, selection.onnx_config->description(), written, graphs.parts},
                        output.folder());
  };
  complete_package({*package, selection.plugin_folders, output.folder(), facts}, written);
  for (const size_t file : assignment.unused)
    written.left_out.push_back(fmt::format("{} is left out: the package has no such graph", files[file].path.string()));
  output.commit();
  report(written, console);
  console.result()["status"] = "ok";
  return 0;
}

}  // namespace onnxport
