// SPDX-License-Identifier: Apache-2.0
// export_onnx: from a definition to files on disk.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/definition/onnx_config.hpp"
#include "core/progress.hpp"

namespace onnxport {

enum class Target { onnx, ort };

struct ExportOptions {
  int64_t opset = 18;
  Target target = Target::onnx;
  bool external_data = false;  // also where the model is above protobuf's 2 GB
  std::string model_file = "model.onnx";
  std::string data_file;                        // of external data; empty: model_file + "_data"
  std::map<std::string, std::string> metadata;  // written as metadata_props
  int threads = 0;                              // 0: as many as cores
  Progress progress;
};

struct ExportedFile {
  std::filesystem::path path;
  uint64_t bytes = 0;
};

/// Metadata of a file that holds parts of a model: which, joined by commas. Added to the caller's own.
inline constexpr const char* parts_metadata = "onnxport.parts";

/// What was written as one graph.
struct ExportedGraph {
  std::string file;
  std::vector<std::string> inputs, outputs;
  size_t nodes = 0, initializers = 0;
};

struct ExportResult {
  std::vector<ExportedFile> files;
  std::vector<ExportedGraph> graphs;
};

/// One file and the definitions that it holds: one, or the first step's and the cached step's, which are merged.
struct GraphToExport {
  std::string file;
  std::vector<const Definition*> definitions;
};

/// Lowers the definition and writes it into `folder`, which exists. Same input, same bytes. Not atomic by itself: the
/// caller gives a staging folder. Throws Error(usage) for an opset out of range, Error(output) where a file
/// cannot be written.
ExportResult export_onnx(const OnnxConfig& config, const Definition& definition, const std::filesystem::path& folder,
                         const ExportOptions& options);
/// The same for the graphs of a layout. With external data all of them share one data file.
ExportResult export_graphs(const OnnxConfig& config, const std::vector<GraphToExport>& graphs,
                           const std::filesystem::path& folder, const ExportOptions& options);

/// The plugin's patching specs in the form that lowering takes; they refer to `config`.
std::vector<struct Patch> patches_of(const OnnxConfig& config);

/// The opsets that can be written.
constexpr int64_t lowest_opset = 13, highest_opset = 24;

}  // namespace onnxport
