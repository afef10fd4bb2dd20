// SPDX-License-Identifier: Apache-2.0
// What was recorded of original models: a row of an index.json.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/checkpoint/checkpoint.hpp"
#include "core/checkpoint/random_weights.hpp"
#include "registry/manifest.hpp"
#include "tests/plugin/fixture.hpp"
#include "tests/support/temporary_folder.hpp"

namespace onnxport::test {

/// Weights that do not lie with a recording: they are drawn as `onnxport synth` does.
struct Drawn {
  Draw draw;
  std::string feature;  ///< whose definition asks for the tensors
  ir::DType dtype = ir::DType::f32;
  /// Tensors that the file holds under another name than the definition asks for: of two that are tied, the other one.
  std::map<std::string, std::string> kept_as{};
};

struct Recording {
  std::filesystem::path root, folder;  ///< of the index, and of config.json and the case files
  std::string model_type, architecture, feature;
  std::string part;  ///< of a model of several graphs, the one that was recorded; "" is the model as one
  std::vector<std::string> cases;
  std::vector<std::string> outputs;  ///< further ones that are recorded: "hidden_states"
  double atol = 0;
  std::optional<Drawn> drawn;
  std::string departs_in_f16;  ///< why other numbers are right in f16; empty: they are not

  /// As a test is called: "bert_BertModel_default".
  std::string name() const;
};

/// The recordings that the folder's index.json lists.
std::vector<Recording> recordings_in(const std::filesystem::path& root);

/// The folders of recordings that ONNXPORT_GOLDENS lists, by colons.
std::vector<std::filesystem::path> given_folders();

/// A recording's checkpoint: as it lies there, or drawn into a folder that lives as long as the object.
class RecordedCheckpoint {
 public:
  explicit RecordedCheckpoint(const Recording& recording);
  const std::filesystem::path& folder() const { return folder_; }
  const Checkpoint& operator*() const { return *checkpoint_; }

 private:
  std::optional<TemporaryFolder> scratch_;
  std::filesystem::path folder_;
  std::optional<Checkpoint> checkpoint_;
};

/// The gap that the plugin knows and the recording meets; null where it has to work.
const Manifest::KnownGap* known_gap(const Recording& recording, const Manifest::Model& model);

}  // namespace onnxport::test
