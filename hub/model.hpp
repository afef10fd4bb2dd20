// SPDX-License-Identifier: Apache-2.0
// A model of the hub by its id: found in the cache, or fetched into it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "core/progress.hpp"
#include "hub/backoff.hpp"
#include "hub/settings.hpp"

namespace onnxport::hub {

struct ModelRequest {
  std::string id;
  std::string revision = "main";  // branch, tag, commit or short commit
  bool refresh = false;           // ask the hub what the revision stands for now, whatever the cache says
  Settings settings;
  Progress progress = {};
  RetryPolicy retry = {};
};

/// A snapshot in the cache. What the cache has in full is taken without a request, so that a branch stays where it was
/// when it was fetched first.
class Model {
 public:
  /// Finds config.json and the companions (tokenizer, processor, …), and fetches what is missing of them. Throws
  /// Error(usage): the id or revision cannot be one, or the downloader is not installed. Throws Error(checkpoint): not
  /// in the cache and no network allowed or there, with what would be fetched and from where; missing, private or
  /// gated; a server that does not answer as the hub does. Throws Error(output, "interrupted").
  static Model open(ModelRequest request);
  ~Model();
  Model(Model&&) noexcept;
  Model& operator=(Model&&) = delete;

  /// Fetches the weights where they are missing, several files at once, and notes then what the revision stands for.
  /// Checks the free space before. Throws Error(checkpoint), Error(output, "interrupted").
  void fetch_weights();

  /// The snapshot: a folder as a checkpoint is one.
  const std::filesystem::path& folder() const;
  const std::string& commit() const;
  /// Files that were fetched, and the bytes of all of them.
  size_t fetched_files() const;
  uint64_t fetched_bytes() const;
  /// What the user should know though nothing failed.
  const std::vector<std::string>& notes() const;

 private:
  class Implementation;
  explicit Model(std::unique_ptr<Implementation> implementation);
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace onnxport::hub
