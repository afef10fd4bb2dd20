// SPDX-License-Identifier: Apache-2.0
// What -m names: a checkpoint's folder, or a model id that is found in the cache or fetched.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "host/console.hpp"
#include "hub/model.hpp"

namespace onnxport {

class ModelSource {
 public:
  struct Request {
    std::string model;
    std::string revision;             // empty: main
    std::filesystem::path cache_dir;  // empty: that of the environment
    bool refresh = false;
  };
  /// A folder wins over an id of the same name. Of an id, config.json and the companions are there afterwards; the
  /// weights are fetched when it is known that they are of use. Throws Error(checkpoint) where it is neither, saying
  /// what was looked for, and what hub::Model::open() throws.
  ModelSource(const Request& request, Console& console);

  const std::filesystem::path& folder() const { return folder_; }
  /// Whether weights may still have to be downloaded.
  bool is_by_id() const { return model_.has_value(); }
  /// Fetches them where they are missing, and reports where the checkpoint comes from. Nothing for a folder.
  void fetch_weights(Console& console);

 private:
  std::filesystem::path folder_;
  std::string name_;  // "org/name", revision included where one was asked for
  std::optional<hub::Model> model_;
};

}  // namespace onnxport
