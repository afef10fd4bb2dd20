// SPDX-License-Identifier: Apache-2.0
// The step that writes an export's files into the staging folder.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "core/export/defined_graphs.hpp"
#include "core/export/export.hpp"
#include "host/export/weight_storage.hpp"
#include "host/model/selection.hpp"

namespace onnxport {

/// What the files say of the export that they are of, besides their parts.
std::map<std::string, std::string> metadata_of(const ExportPlan& plan, const Selection& selection);

/// What an included package's own graphs are made from: the same model, by that package's choices.
struct OwnGraphs {
  std::string package;
  Selection selection;
  DefinedGraphs defined;
  std::map<std::string, std::string> renamed;  // as ExportSource has it
};

/// What an export is made from.
struct ExportSource {
  const Selection& selection;
  const Checkpoint& checkpoint;
  const DefinedGraphs& defined;
  int64_t opset;
  std::map<std::string, std::string> renamed;  // outputs, by the names that the definition gives them
  KeptModules kept{};                          // in f32, since they would leave the range of the type
  /// Makes what an included package's own graphs are made from, which lives as long as this. Null where it may have
  /// none.
  std::function<const OwnGraphs&(const std::string& package)> own{};
};

/// What is told while it goes on.
struct WriteEvents {
  std::function<void(const WriteForecast&)> forecast;
  Progress progress;
};

/// Metadata of a file some of whose outputs have other names than in the definition: NAME=WRITTEN, joined by commas.
inline constexpr const char* renamed_metadata = "onnxport.renamed_outputs";
/// Of a file in 16 bits: modules that are in f32 because they were asked for, and because they were measured; joined by
/// commas.
inline constexpr const char *kept_metadata = "onnxport.keep_fp32", *measured_metadata = "onnxport.f32_modules";
/// Of a file that is a graph of one included package alone: which. Its weights lie in the others' files.
inline constexpr const char* own_graphs_metadata = "onnxport.graphs_of";
/// Of the first of a package's files: what the package made besides the graphs; joined by commas.
inline constexpr const char* package_files_metadata = "onnxport.package_files";

/// What was written.
struct WrittenExport {
  struct File {
    std::filesystem::path name;  // below the folder
    uint64_t bytes;
  };
  std::string model_type, feature;
  int64_t opset;
  std::filesystem::path folder;  // where the files will be
  std::vector<ExportedGraph> graphs;
  std::vector<File> files;  // the models and their data, then the companions
  std::map<std::string, std::string> tied;
  std::vector<std::string> linked;      // files of the checkpoint that hold weights of the models
  std::vector<std::string> not_linked;  // weights that were written all the same
  std::vector<std::string> left_out;    // files of the package that are of no use with this model, and why

  /// Lists a file that lies in the staging folder, with its size; one that is listed already once.
  void set_file(const std::filesystem::path& staging, const std::filesystem::path& name);
};

/// Writes models, weights and companions. Throws as export_graphs(), with the figures where the disk is full.
WrittenExport write_export(const ExportPlan& plan, const ExportSource& source, const StagedOutput& output,
                           const WriteEvents& events);

}  // namespace onnxport
