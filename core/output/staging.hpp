// SPDX-License-Identifier: Apache-2.0
// Output that appears whole or not at all: written into a hidden folder on the same file system, then renamed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace onnxport {

/// Where files are written before they are delivered. The folder is gone when the object is, unless commit() ran.
/// One that a killed process left behind is removed when the next export starts in the same place.
class StagedOutput {
 public:
  /// The target is a folder, which need not exist, or the name of a file that ends in .onnx. Throws
  /// Error(output) where nothing can be written there, before any work is done.
  explicit StagedOutput(const std::filesystem::path& target);
  ~StagedOutput();
  StagedOutput(const StagedOutput&) = delete;
  StagedOutput& operator=(const StagedOutput&) = delete;

  /// Where to write.
  const std::filesystem::path& folder() const { return staging_; }
  /// Where the files will be.
  const std::filesystem::path& final_folder() const { return folder_; }
  /// "model.onnx", or the name that was given.
  const std::string& model_file() const { return model_file_; }
  /// Whether a folder was asked for; tokenizer and config files go only there.
  bool is_folder() const { return is_folder_; }

  /// Throws Error(output) with both figures where the file system has less room than that.
  void require_space(uint64_t bytes) const;
  /// Bytes that can be written there now; the largest number where the file system does not tell.
  uint64_t free_space() const;

  /// Delivers. A folder that did not exist appears with all files at once. In one that exists the files replace
  /// those of the same names one by one, the model last, so that it never refers to data that is not there yet.
  void commit();

 private:
  void resolve(const std::filesystem::path& target);
  void create_parents(const std::filesystem::path& folder);
  void create_staging(const std::filesystem::path& parent);
  void discard() noexcept;
  void move_files();

  std::filesystem::path folder_, staging_;
  std::string model_file_ = "model.onnx";
  bool is_folder_ = true, existed_ = false, committed_ = false;
  int lock_ = -1;
  std::vector<std::filesystem::path> created_;  // parents, outermost first
};

}  // namespace onnxport
