// SPDX-License-Identifier: Apache-2.0
// Finished ONNX files, whoever wrote them, as graphs of a model that a plugin defines.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/checkpoint/checkpoint.hpp"
#include "host/model/model_summary.hpp"
#include "host/model/selection.hpp"

namespace onnxport {

/// A file, and what it says of itself.
struct FinishedFile {
  std::filesystem::path path;
  ModelSummary summary;
};

/// The model files of an export: the one that is named, or those of the folder. A package may have them in folders of
/// its own. Throws Error(checkpoint) where there are none.
std::vector<std::filesystem::path> model_files(const std::filesystem::path& output);

/// Whether the file says how onnxport made it.
bool is_own_export(const ModelSummary& file);

/// The parts of the model that each file holds ({""}: all of it): as it says, or by its name in whichever layout has
/// such a file. None of a file that no layout has.
std::vector<std::vector<std::string>> parts_of(const OnnxConfig& config, const std::vector<FinishedFile>& files);

/// What a file of ours tells of how its model was asked for.
Wanted wanted_for(const ModelSummary& file, const std::string& plugin);

/// What is asked of the plugin that defines finished files.
struct WantedDefinition {
  const PluginArguments& plugins;
  std::string feature, plugin;  // empty: by config.json's architectures and the files; the only one
};

/// The selection whose inputs are those of the files: of a file of ours under the options that it tells, else under
/// those that fit best. Clients count positions as the original does, in sequence, or hand them over.
Selection matching_selection(const WantedDefinition& wanted, const NamedConfig& config,
                             const std::vector<FinishedFile>& files, Console& console);

}  // namespace onnxport
