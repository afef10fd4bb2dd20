// SPDX-License-Identifier: Apache-2.0
// Libraries that were seen to load, so that a listing need not load them again.
#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "registry/registry.hpp"

namespace onnxport {

/// A file of the user's cache. What loads is known by the library's sum, by that of its manifest, whose facts were
/// found in it, and by the host's version and ABI. Only successes are kept: what does not load may do so once something
/// else is installed. A cache that cannot be read or written is an empty one.
class LoadingCache {
 public:
  LoadingCache();
  bool contains(const std::string& library_sha256, const std::string& manifest_sha256) const;
  void add(const std::string& library_sha256, const std::string& manifest_sha256);
  /// Keeps what was asked for or added since, and forgets the rest.
  void save() const;

 private:
  static std::string key(const std::string& library_sha256, const std::string& manifest_sha256);

  std::filesystem::path file_;  // empty: nowhere
  std::set<std::string> known_;
  mutable std::set<std::string> used_;
};

/// Has the registry know which of its candidates would not load, as a user sees them who tries. Throws Error(output)
/// where no process can be made. Yields the sum of each candidate's library, by index; empty where there is none.
std::vector<std::string> find_what_loads(Registry& registry);

}  // namespace onnxport
