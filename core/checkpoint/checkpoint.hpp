// SPDX-License-Identifier: Apache-2.0
// A checkpoint folder: config.json and the tensors of its weight files.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/checkpoint/weight.hpp"

namespace onnxport {

/// config.json in the file's order of keys.
using Json = nlohmann::ordered_json;

/// Reads a JSON file. Throws Error(checkpoint) with line and column where it is broken.
Json read_json(const std::filesystem::path& path);

/// The same of a text; `path` is for messages. Takes NaN and Infinity, which Python writes, as the text "NaN" and
/// the largest number.
Json parse_json(std::string text, const std::filesystem::path& path);
/// What the parser found, with line and column, and without the library's own prefix.
std::string said_by_parser(const std::exception& problem);

/// The tensors of one safetensors file, in order of name. Every length, offset and shape is checked: header
/// length, JSON, dtype, overlap, holes, bounds. Throws Error(checkpoint) naming file, tensor and both values.
std::vector<StoredTensor> read_safetensors(const std::string& path);

/// As above from bytes that lie in memory (`file` may be any mapping); what the fuzz target calls.
std::vector<StoredTensor> parse_safetensors(const std::shared_ptr<const MappedFile>& file);
/// The header alone, over plain bytes: name -> (dtype, shape, begin, end), offsets absolute in `bytes`.
struct SafetensorsEntry {
  std::string name;
  ir::DType dtype;
  std::vector<int64_t> shape;
  uint64_t offset;
  uint64_t bytes;
};
std::vector<SafetensorsEntry> parse_safetensors_header(std::span<const std::byte> bytes, const std::string& path);

/// The shards that an index file (model.safetensors.index.json, pytorch_model.bin.index.json) names, by tensor. Throws
/// Error(checkpoint) where it has no weight_map, or one that names something else than files of its own folder.
std::map<std::string, std::string> parse_shard_index(const Json& index, const std::filesystem::path& path);

/// A checkpoint folder.
class Checkpoint {
 public:
  /// Opens a folder: config.json, then the first there is of model.safetensors, model.safetensors.index.json with its
  /// shards, pytorch_model.bin, and pytorch_model.bin.index.json with its shards.
  /// Throws Error(checkpoint): no such folder, no config.json, no weights that can be read (naming what was
  /// found instead and what to do), a tensor in two shards, a shard path outside the folder.
  static Checkpoint open(const std::filesystem::path& folder);
  /// Only config.json; tensors() is empty.
  static Checkpoint open_config(const std::filesystem::path& folder);

  const std::filesystem::path& folder() const { return folder_; }
  const Json& config() const { return config_; }
  /// By name.
  const std::map<std::string, std::shared_ptr<const StoredTensor>>& tensors() const { return tensors_; }
  /// What the user should know about the weight files though they could be read, in words.
  const std::vector<std::string>& notes() const { return notes_; }
  /// Bytes of all tensors.
  uint64_t total_bytes() const;
  /// Throws where a weight file changed since it was opened.
  void check_unchanged() const;

 private:
  std::filesystem::path folder_;
  Json config_;
  std::map<std::string, std::shared_ptr<const StoredTensor>> tensors_;
  std::vector<std::string> notes_;
};

/// Writes tensors as a safetensors file (case files, synth). Ordered by name, 8-byte aligned header.
void write_safetensors(const std::filesystem::path& path, const std::map<std::string, ir::Tensor>& tensors);

}  // namespace onnxport
