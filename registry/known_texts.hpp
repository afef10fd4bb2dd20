// SPDX-License-Identifier: Apache-2.0
// What texts of YAML hold that an earlier run has read: with hundreds of manifests, the parser is most of what a start
// takes.
#pragma once

#include <filesystem>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "registry/yaml.hpp"

namespace onnxport {

/// Texts, each with what it holds, in a file of the user's cache. A text is read anew at every start and only what is
/// said of these very bytes counts, so that nothing here can be out of date. Threads may read() side by side.
class KnownTexts {
 public:
  /// Knows nothing, and keeps nothing.
  KnownTexts() = default;
  /// What the file says; nothing where it is absent, damaged, of another version, or others than its user may write it.
  explicit KnownTexts(std::filesystem::path file);
  KnownTexts(const KnownTexts&) = delete;
  KnownTexts& operator=(const KnownTexts&) = delete;

  /// As yaml::parse().
  yaml::Node read(const std::string& text, const std::filesystem::path& file);

  /// Leaves what was read in the file, where that is news. A failure costs the next start its time and is not told.
  void save() const;

 private:
  std::filesystem::path file_;                                    // empty: nothing is kept
  std::string kept_;                                              // what it held
  std::unordered_map<std::string_view, std::string_view> known_;  // parts of that: a text, and its row
  std::mutex mutex_;
  std::unordered_set<std::string_view> used_;  // of those
  std::map<std::string, std::string> news_;
};

}  // namespace onnxport
