// SPDX-License-Identifier: Apache-2.0
#include "core/checkpoint/checkpoint.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <set>
#include <sstream>

#include "core/error.hpp"

namespace onnxport {
namespace {

namespace fs = std::filesystem;
using Tensors = std::map<std::string, std::shared_ptr<const StoredTensor>>;

/// Python's json writes NaN and Infinity, which JSON does not have. Outside texts they become null and the
/// largest finite numbers, so that a field that holds one can be read.
std::string without_python_numbers(std::string text) {
  const std::pair<std::string_view, std::string_view> words[] = {
      {"-Infinity", "-1.7976931348623157e308"}, {"Infinity", "1.7976931348623157e308"}, {"NaN", "null"}};
  std::string out;
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (quoted && text[i] == '\\' && i + 1 < text.size()) {
      out += text[i++];
    } else if (text[i] == '"') {
      quoted = !quoted;
    } else if (!quoted) {
      bool replaced = false;
      for (const auto& [word, number] : words) {
        if (text.compare(i, word.size(), word) != 0) continue;
        out += number;
        i += word.size() - 1;
        replaced = true;
        break;
      }
      if (replaced) continue;
    }
    out += text[i];
  }
  return out;
}

void add_file(Tensors& tensors, const fs::path& path) {
  for (StoredTensor& stored : read_safetensors(path.string())) {
    const std::string name = stored.name;
    const auto [at, fresh] = tensors.emplace(name, std::make_shared<const StoredTensor>(std::move(stored)));
    if (!fresh) {
      throw Error(
          Failure::checkpoint,
          fmt::format("the tensor '{}' is in two files: {} and {}", name, at->second->file->path(), path.string()),
          "the shards are not of one checkpoint; download them again");
    }
  }
}

/// model.safetensors.index.json: weight_map tells which shard holds which tensor.
void add_shards(Tensors& tensors, const fs::path& folder, const fs::path& index_path) {
  const Json index = read_json(index_path);
  const auto map = index.find("weight_map");
  if (map == index.end() || !map->is_object() || map->empty()) {
    throw Error(Failure::checkpoint, fmt::format("{} has no weight_map", index_path.string()),
                "download the index again");
  }
  std::set<std::string> shards;
  for (const auto& [name, shard] : map->items()) {
    if (!shard.is_string())
      throw Error(Failure::checkpoint, fmt::format("{}: the shard of '{}' is no text", index_path.string(), name));
    const auto& file = shard.get_ref<const std::string&>();
    if (file.empty() || file.find_first_of("/\\") != std::string::npos || file == "." || file == "..") {
      throw Error(
          Failure::checkpoint,
          fmt::format("{}: the shard '{}' is not a file of the checkpoint's own folder", index_path.string(), file),
          "do not use this checkpoint: its index points outside its folder");
    }
    shards.insert(file);
  }
  for (const std::string& shard : shards) {
    if (!fs::exists(folder / shard)) {
      throw Error(Failure::checkpoint,
                  fmt::format("{} names the shard {}, which is not there", index_path.string(), shard),
                  "download the missing shard; the checkpoint is incomplete");
    }
    add_file(tensors, folder / shard);
  }
  for (const auto& [name, shard] : map->items()) {
    const auto found = tensors.find(name);
    if (found == tensors.end() ||
        fs::path(found->second->file->path()).filename() != shard.get_ref<const std::string&>()) {
      throw Error(Failure::checkpoint,
                  fmt::format("{} says that {} holds the tensor '{}', and it does not", index_path.string(),
                              shard.get<std::string>(), name),
                  "index and shards are not of one checkpoint; download them again");
    }
  }
}

}  // namespace

Json read_json(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in)
    throw Error(Failure::checkpoint, fmt::format("{} cannot be read: {}", path.string(), std::strerror(errno)),
                "check that the file is there and readable");
  std::ostringstream text;
  text << in.rdbuf();
  return parse_json(text.str(), path);
}

Json parse_json(std::string text, const fs::path& path) {
  if (text.find("NaN") != std::string::npos || text.find("Infinity") != std::string::npos)
    text = without_python_numbers(std::move(text));
  try {
    return Json::parse(text);
  } catch (const nlohmann::json::exception& problem) {
    // The library's text carries line and column behind its own prefix.
    std::string what = problem.what();
    if (const size_t at = what.find("parse error "); at != std::string::npos) what = what.substr(at);
    throw Error(Failure::checkpoint, fmt::format("{} is no valid JSON: {}", path.string(), what),
                "correct the file, or download it again");
  }
}

Checkpoint Checkpoint::open_config(const fs::path& folder) {
  Checkpoint checkpoint;
  checkpoint.folder_ = folder;
  std::error_code ignored;
  if (!fs::exists(folder, ignored)) {
    throw Error(Failure::checkpoint, fmt::format("{}: no such folder", folder.string()),
                "give the folder of a checkpoint: config.json and its weights");
  }
  if (!fs::is_directory(folder, ignored)) {
    throw Error(Failure::checkpoint, fmt::format("{} is a file", folder.string()),
                "give the folder of a checkpoint: config.json and its weights");
  }
  const fs::path config = folder / "config.json";
  if (!fs::exists(config, ignored)) {
    throw Error(Failure::checkpoint, fmt::format("{} has no config.json", folder.string()),
                "a checkpoint is a folder as save_pretrained writes it");
  }
  checkpoint.config_ = read_json(config);
  if (!checkpoint.config_.is_object()) {
    throw Error(Failure::checkpoint,
                fmt::format("{} holds {}, expected an object", config.string(), checkpoint.config_.type_name()),
                "correct the file, or download it again");
  }
  return checkpoint;
}

Checkpoint Checkpoint::open(const fs::path& folder) {
  Checkpoint checkpoint = open_config(folder);
  if (fs::exists(folder / "model.safetensors")) {
    add_file(checkpoint.tensors_, folder / "model.safetensors");
  } else if (fs::exists(folder / "model.safetensors.index.json")) {
    add_shards(checkpoint.tensors_, folder, folder / "model.safetensors.index.json");
  } else {
    for (const char* other : {"pytorch_model.bin", "pytorch_model.bin.index.json", "tf_model.h5", "flax_model.msgpack",
                              "model.ckpt.index"}) {
      if (!fs::exists(folder / other)) continue;
      throw Error(Failure::checkpoint,
                  fmt::format("{} has its weights in {}, which this version does not read", folder.string(), other),
                  "save the checkpoint as model.safetensors (save_pretrained with safe_serialization=True)");
    }
    throw Error(
        Failure::checkpoint,
        fmt::format("{} has no weights: neither model.safetensors nor model.safetensors.index.json", folder.string()),
        "download the weights into the folder");
  }
  return checkpoint;
}

uint64_t Checkpoint::total_bytes() const {
  uint64_t total = 0;
  for (const auto& [name, stored] : tensors_) total += stored->bytes;
  return total;
}

void Checkpoint::check_unchanged() const {
  std::set<const MappedFile*> files;
  for (const auto& [name, stored] : tensors_) files.insert(stored->file.get());
  for (const MappedFile* file : files) file->check_unchanged();
}

}  // namespace onnxport
