// SPDX-License-Identifier: Apache-2.0
// One model's folder in a Hugging Face cache, in the layout of huggingface_hub (0.36), which others read and write too:
//
//   models--org--name/refs/REVISION               text: the commit of a branch, tag or short commit
//                     snapshots/COMMIT/FILE        link to ../../blobs/ETAG (one more .. for each folder of FILE)
//                     blobs/ETAG                   the content; ETAG.incomplete while it is fetched
//                     .no_exist/COMMIT/FILE        empty: the repository has no such file
//   .locks/models--org--name/ETAG.lock             held while a blob is fetched
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/error.hpp"

namespace onnxport::hub {

class Repository {
 public:
  /// Touches nothing. The id is a valid one.
  Repository(std::filesystem::path cache, const std::string& id);

  const std::filesystem::path& folder() const { return folder_; }
  /// The commit that a revision stands for: itself, or what refs/REVISION holds. Nothing where that is not there or
  /// holds no commit.
  std::optional<std::string> commit_of(const std::string& revision) const;
  /// Commits with a snapshot, in order of name.
  std::vector<std::string> commits() const;
  std::filesystem::path snapshot(const std::string& commit) const { return folder_ / "snapshots" / commit; }
  std::filesystem::path blob(const std::string& etag) const { return folder_ / "blobs" / etag; }
  std::filesystem::path lock_file(const std::string& etag) const;

  /// Makes the file of a snapshot from a blob that is there: a relative link, or the blob itself where the file system
  /// has no links. Throws Error(checkpoint) where it cannot be made.
  void link(const std::string& commit, const std::string& file, const std::string& etag) const;
  /// Notes what a revision stands for; nothing for a commit. The text appears whole or not at all.
  void set_ref(const std::string& revision, const std::string& commit) const;
  /// Notes that the repository has no such file, and whether that was noted.
  void set_absent(const std::string& commit, const std::string& file) const;
  bool is_absent(const std::string& commit, const std::string& file) const;

 private:
  std::filesystem::path cache_, folder_;
};

/// Makes a folder and its parents. Throws Error(checkpoint) with the reason.
void make_folder(const std::filesystem::path& folder);

/// An Error(checkpoint) of a failed system call in the cache, with errno's reason and what to do about it.
Error cache_error(const std::string& what, const std::filesystem::path& path, int reason);

}  // namespace onnxport::hub
