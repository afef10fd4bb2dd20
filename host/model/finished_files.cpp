// SPDX-License-Identifier: Apache-2.0
#include "host/model/finished_files.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>
#include <set>

#include "core/definition/scores.hpp"
#include "core/error.hpp"
#include "core/export/export.hpp"
#include "core/package/layout.hpp"
#include "core/split_list.hpp"
#include "host/process/terminal.hpp"

namespace onnxport {
namespace {

namespace fs = std::filesystem;

/// What a file of ours says under a key; empty where it does not.
std::string told(const ModelSummary& file, const char* key) {
  const auto found = file.metadata.find(key);
  return found == file.metadata.end() ? std::string() : found->second;
}

/// The parts of the file that is called so in some layout; none where none has such a file.
std::vector<std::string> parts_by_name(const OnnxConfig& config, const std::string& name) {
  for (const Layout& layout : layouts()) {
    try {
      const std::vector<GraphFile> known = graph_files(layout, config, "model.onnx");
      const auto found =
          std::find_if(known.begin(), known.end(), [&](const GraphFile& graph) { return graph.file == name; });
      if (found != known.end()) return found->parts;
    } catch (const Error&) {  // the model has no such layout
    }
  }
  return {};
}

/// Inputs that a description and a file do not share.
size_t mismatch(const Description& description, const ModelSummary& file) {
  std::set<std::string> own, theirs, shared;
  for (const InputSpec& input : description.inputs) own.insert(input.name);
  for (const auto& input : file.inputs) theirs.insert(input.name);
  std::set_intersection(own.begin(), own.end(), theirs.begin(), theirs.end(), std::inserter(shared, shared.end()));
  return own.size() + theirs.size() - 2 * shared.size();
}

size_t mismatch(const OnnxConfig& config, const std::vector<FinishedFile>& files) {
  size_t sum = 0;
  const std::vector<std::vector<std::string>> parts = parts_of(config, files);
  for (size_t i = 0; i < files.size(); ++i) {
    // A file that no graph explains counts as much as many inputs.
    if (parts[i].empty()) sum += 1000;
    // A file of two steps takes what both take, and its branch.
    if (parts[i].size() != 1) continue;
    sum += mismatch(parts[i][0].empty() ? config.description() : config.description(parts[i][0]), files[i].summary);
  }
  return sum;
}

/// Folders with a config.json each are exports of their own, and no package.
void require_one_export(const fs::path& output, const std::vector<fs::path>& files) {
  std::set<std::string> exports;
  std::error_code ignored;
  for (const fs::path& file : files) {
    const fs::path first = *file.lexically_relative(output).begin();
    if (fs::is_regular_file(output / first / "config.json", ignored)) exports.insert(first.string());
  }
  if (exports.size() < 2) return;
  throw Error(Failure::usage,
              fmt::format("{} holds no model, and several are below it: {}", output.string(), fmt::join(exports, ", ")),
              "name one of these folders");
}

/// The features to try: what was asked for; the architecture's, with and without a past; or all where nothing tells.
std::vector<std::string> features_to_try(const WantedDefinition& wanted, const Selection& usual) {
  if (!wanted.feature.empty()) return {wanted.feature};
  if (usual.is_assumed) return usual.registry->resolve(usual.model_type, wanted.plugin).model->features;
  constexpr const char* past = "-with-past";
  std::vector<std::string> features{usual.feature};
  const bool has_past = usual.feature.ends_with(past);
  features.push_back(has_past ? usual.feature.substr(0, usual.feature.size() - std::string_view(past).size())
                              : usual.feature + past);
  return features;
}

}  // namespace

std::vector<fs::path> model_files(const fs::path& output) {
  std::error_code ignored;
  if (fs::is_regular_file(output, ignored)) return {output};
  if (fs::is_regular_file(output / "model.onnx", ignored)) return {output / "model.onnx"};
  std::vector<fs::path> files;
  // A package may have them in folders: onnx/model.onnx, encoder_model/1/model.onnx.
  for (fs::recursive_directory_iterator entry(output, ignored), end; !ignored && entry != end;
       entry.increment(ignored)) {
    if (entry->path().extension() == ".onnx" && entry->is_regular_file(ignored)) files.push_back(entry->path());
    if (entry.depth() == 2) entry.disable_recursion_pending();
  }
  std::sort(files.begin(), files.end());
  require_one_export(output, files);
  if (!files.empty()) return files;
  throw Error(Failure::checkpoint, "there is no model " + (output / "model.onnx").string(),
              "name the folder of an export, or its .onnx file");
}

bool is_own_export(const ModelSummary& file) {
  return file.metadata.contains("onnxport.feature");
}

std::vector<std::vector<std::string>> parts_of(const OnnxConfig& config, const std::vector<FinishedFile>& files) {
  std::vector<std::vector<std::string>> parts;
  bool knows_any = false;
  for (const FinishedFile& file : files) {
    if (is_own_export(file.summary)) {
      parts.push_back(split_list(told(file.summary, parts_metadata)));
      if (parts.back().empty()) parts.back().push_back("");
    } else if (files.size() == 1 && config.parts().empty()) {
      parts.push_back({""});
    } else {
      parts.push_back(parts_by_name(config, file.path.filename().string()));
    }
    knows_any = knows_any || !parts.back().empty();
  }
  if (!knows_any && files.size() == 1) parts[0].push_back("");
  return parts;
}

Wanted wanted_for(const ModelSummary& file, const std::string& plugin) {
  Wanted wanted{told(file, "onnxport.feature"), plugin, Json::object()};
  const auto choose = [&](const char* option, const char* key) {
    if (const std::string choice = told(file, key); !choice.empty()) wanted.options[option] = choice;
  };
  choose("position_ids", "onnxport.position_ids");
  choose("encoder_keys", "onnxport.encoder_keys");
  choose("image_features", "onnxport.image_features");
  choose("sample_mask", "onnxport.sample_mask");
  choose("noise", "onnxport.noise");
  choose(scores_option, scores_metadata);
  return wanted;
}

Selection matching_selection(const WantedDefinition& asked, const NamedConfig& config,
                             const std::vector<FinishedFile>& files, Console& console) {
  const auto by = [&](const Wanted& wanted, Console& said) {
    return select(asked.plugins, config.content, config.file, wanted, said);
  };
  if (is_own_export(files.at(0).summary)) return by(wanted_for(files[0].summary, asked.plugin), console);
  std::optional<Selection> best = by({asked.feature, asked.plugin, Json::object()}, console);
  const std::vector<std::string> features = features_to_try(asked, *best);
  size_t least = std::numeric_limits<size_t>::max();
  Terminal silent(Terminal::Mode::quiet);
  for (const std::string& feature : features) {
    for (const char* positions : {"sequence", "input", ""}) {
      Wanted wanted{feature, asked.plugin, Json::object()};
      if (*positions != 0) wanted.options["position_ids"] = positions;
      try {
        Selection candidate = by(wanted, silent);
        const size_t differs = mismatch(*candidate.onnx_config, files);
        if (differs >= least) continue;
        least = differs;
        best = std::move(candidate);
      } catch (const Error&) {  // no such feature, or positions are no choice of this model
      }
    }
  }
  return std::move(*best);
}

}  // namespace onnxport
