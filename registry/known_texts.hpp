// SPDX-License-Identifier: Apache-2.0
// What texts of YAML hold that an earlier run has read: with hundreds of manifests, the parser is most of what a start
// takes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "registry/yaml.hpp"

namespace onnxport {

/// Texts by their SHA-256 sums, each with what it holds, in a file of the user's cache. A text is read anew at every
/// start and only what is said of these very bytes counts, so that nothing here can be out of date. Threads may read()
/// side by side.
class KnownTexts {
 public:
  /// Knows nothing, and keeps nothing.
  KnownTexts() = default;
  /// What the file says; nothing where it is absent, damaged, of another version, or others than its user may write it.
  explicit KnownTexts(std::filesystem::path file);

  /// As yaml::parse().
  yaml::Node read(const std::string& text, const std::filesystem::path& file);

  /// Leaves what was read in the file, where that is news. A failure costs the next start its time and is not told.
  void save() const;

 private:
  using Row = std::vector<uint8_t>;  // what a text holds, in few bytes

  std::filesystem::path file_;  // empty: nothing is kept
  std::map<std::string, Row> known_;
  std::mutex mutex_;
  std::set<std::string> used_;  // of those
  std::map<std::string, Row> news_;
};

}  // namespace onnxport
