// SPDX-License-Identifier: Apache-2.0
// Writing a model: protocol-buffer pieces and streamed weights at offsets that are known before the first byte.
#pragma once

#include <filesystem>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "core/files/mapped_file.hpp"
#include "core/onnx/exported_file.hpp"
#include "core/onnx/model_proto.hpp"
#include "core/progress.hpp"

namespace onnxport {

/// Weights of fewer bytes stay in the model's file, since external data of a few bytes costs more than it saves.
inline constexpr uint64_t inline_below = 1024;

struct ModelFileOptions {
  std::filesystem::path folder;
  bool external_data = false;  // weights into data_file, page-aligned
  std::string data_file;       // one for all models, beside the first; empty: called after it, with "_data"
  /// Not 0: each model has its own, called after it, and a further one ("_data_1", "_data_2") where one would be
  /// larger.
  uint64_t data_piece = 0;
  /// Files of the checkpoint that stay where they are, by their location below `folder`: a weight whose final bytes lie
  /// in one of them is referred to there, and all others go to data_file.
  LinkedFiles linked;
  /// Weights that earlier files hold: a model in the same folder as such a file refers to its bytes, and holds none of
  /// its own.
  PlacedWeights placed{};
  /// Called with what will be written before anything is.
  std::function<void(const std::vector<ExportedFile>&)> planned;
  int threads = 0;      // 0: as many as cores
  uint64_t memory = 0;  // for what is transformed on its way; 0: 16 MB
  Progress progress;
  std::set<std::string>* not_finite = nullptr;  // as WriteOptions has it
};

/// One graph of an export and the file that it becomes.
struct ModelToWrite {
  ModelParts parts;
  std::string file;  // below the folder: "decoder_model.onnx", "onnx/model.onnx"; its folder exists
};

/// Throws Error(usage) where the data file's name leads out of the folder of the first model.
void require_data_file_name(const std::filesystem::path& name);

/// Bytes that write_models() will write, by file, before it writes any: the models in their order, then the data file
/// where there is one. Throws Error(usage) where a single file would be above protobuf's 2 GB.
std::vector<ExportedFile> plan_models(const std::vector<ModelToWrite>& models, const ModelFileOptions& options);

/// Writes the files. With external data a weight that several graphs hold (Weight::same_as) lies in the data file once
/// and every graph refers to it; without, each file embeds its own. Same models, same bytes. Throws Error(usage) where
/// the data file has the name of a model, or leads elsewhere.
std::vector<ExportedFile> write_models(const std::vector<ModelToWrite>& models, const ModelFileOptions& options);

/// Where these files, once they are written, hold the weights that are large enough to refer to.
PlacedWeights places_of(const std::vector<ModelToWrite>& models, const ModelFileOptions& options);

/// Names of the weights that `options.linked` does not save from being written, because their bytes are not those of
/// the checkpoint.
std::vector<std::string> weights_not_linked(const std::vector<ModelToWrite>& models, const ModelFileOptions& options);

}  // namespace onnxport
