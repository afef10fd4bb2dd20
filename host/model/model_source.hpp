// SPDX-License-Identifier: Apache-2.0
// What -m names: a checkpoint's folder, or a model id that is found in the cache or fetched.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/progress.hpp"
#include "host/plan/arguments.hpp"
#include "hub/model.hpp"

namespace onnxport {

/// Where a model by its id came from.
struct FetchedCheckpoint {
  std::string name;  // "org/name", revision included where one was asked for
  std::filesystem::path folder;
  std::string commit;
  size_t files = 0;    // that were downloaded
  uint64_t bytes = 0;  // of them
  std::vector<std::string> notes;
};

class ModelSource {
 public:
  /// A folder wins over an id of the same name. Of an id, config.json and the companions are there afterwards; the
  /// weights are fetched when it is known that they are of use. Throws Error(checkpoint) where it is neither, saying
  /// what was looked for, and what hub::Model::open() throws.
  ModelSource(const ModelArguments& request, const Progress& progress);

  const std::filesystem::path& folder() const { return folder_; }
  /// Whether weights may still have to be downloaded.
  bool is_by_id() const { return model_.has_value(); }
  /// Fetches them where they are missing, and yields where the checkpoint comes from. Nothing for a folder.
  std::optional<FetchedCheckpoint> fetch_weights();

 private:
  std::filesystem::path folder_;
  std::string name_;
  std::optional<hub::Model> model_;
};

}  // namespace onnxport
