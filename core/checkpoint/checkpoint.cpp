// SPDX-License-Identifier: Apache-2.0
#include "core/checkpoint/checkpoint.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <set>
#include <sstream>

#include "core/checkpoint/kind.hpp"
#include "core/checkpoint/other_files.hpp"
#include "core/checkpoint/torch_file.hpp"
#include "core/error.hpp"
#include "core/files/content.hpp"

namespace onnxport {
namespace {

namespace fs = std::filesystem;
using namespace std::string_literals;
using Tensors = std::map<std::string, std::shared_ptr<const StoredTensor>>;

/// Python's json writes NaN and Infinity, which JSON does not have. Outside texts they become the text "NaN", which is
/// no number where one is read, and the largest finite numbers, so that a field that holds one can be read.
std::string without_python_numbers(std::string text) {
  const std::pair<std::string_view, std::string_view> words[] = {
      {"-Infinity", "-1.7976931348623157e308"}, {"Infinity", "1.7976931348623157e308"}, {"NaN", "\"NaN\""}};
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

/// What is read from a folder's weight files.
struct Contents {
  Tensors tensors;
  std::vector<std::string> notes;
};

void add_file(Contents& contents, const fs::path& path) {
  std::vector<StoredTensor> read;
  if (path.extension() == ".safetensors") {
    read = read_safetensors(path.string());
  } else {
    TorchFile file = read_torch_file(path.string());
    read = std::move(file.tensors);
    contents.notes.insert(contents.notes.end(), file.notes.begin(), file.notes.end());
  }
  for (StoredTensor& stored : read) {
    const std::string name = stored.name;
    const auto [at, fresh] = contents.tensors.emplace(name, std::make_shared<const StoredTensor>(std::move(stored)));
    if (!fresh) {
      throw Error(
          Failure::checkpoint,
          fmt::format("the tensor '{}' is in two files: {} and {}", name, at->second->file->path(), path.string()),
          "the shards are not of one checkpoint; download them again");
    }
  }
}

/// A name as messages show it: not all of one that no file has.
std::string shortened(const std::string& name) {
  constexpr size_t most = 100;
  return name.size() <= most ? name : fmt::format("{:.{}}…", name, most);
}

/// A link among the shards may lead within the folder, or to the store of the cache that the folder is a snapshot of.
void check_stays_inside(const fs::path& folder, const std::string& shard) {
  const fs::path target = fs::canonical(folder / shard), home = fs::canonical(folder);
  const fs::path store = home.parent_path().parent_path() / "blobs";
  if (target.parent_path() == home) return;
  if (home.parent_path().filename() == "snapshots" && target.parent_path() == store) return;
  throw Error(Failure::checkpoint,
              fmt::format("the shard {} is a link to {}, outside the checkpoint's folder", (folder / shard).string(),
                          target.string()),
              "where you trust the link, copy the file into the folder");
}

void add_shards(Contents& contents, const fs::path& index_path) {
  const fs::path folder = index_path.parent_path();
  const std::map<std::string, std::string> map = parse_shard_index(read_json(index_path), index_path);
  std::set<std::string> shards;
  for (const auto& [name, shard] : map) shards.insert(shard);
  for (const std::string& shard : shards) {
    std::error_code ignored;  // a name too long to be a file's is no file's
    if (!fs::exists(folder / shard, ignored)) {
      throw Error(Failure::checkpoint,
                  fmt::format("{} names the shard {}, which is not there", index_path.string(), shortened(shard)),
                  "download the missing shard; the checkpoint is incomplete");
    }
    check_stays_inside(folder, shard);
    add_file(contents, folder / shard);
  }
  for (const auto& [name, shard] : map) {
    const auto found = contents.tensors.find(name);
    if (found == contents.tensors.end() || fs::path(found->second->file->path()).filename() != shard) {
      throw Error(
          Failure::checkpoint,
          fmt::format("{} says that {} holds the tensor '{}', and it does not", index_path.string(), shard, name),
          "index and shards are not of one checkpoint; download them again");
    }
  }
}

}  // namespace

Json read_json(const fs::path& path) {
  std::error_code unknown;
  if (fs::is_directory(path, unknown))
    throw Error(Failure::checkpoint, fmt::format("{} is a folder, expected a file", path.string()),
                "put the checkpoint's own file in its place");
  std::ifstream in(path, std::ios::binary);
  if (!in)
    throw Error(Failure::checkpoint, fmt::format("{} cannot be read: {}", path.string(), std::strerror(errno)),
                "check that the file is there and readable");
  std::ostringstream text;
  text << in.rdbuf();
  return parse_json(text.str(), path);
}

std::string said_by_parser(const std::exception& problem) {
  std::string what = problem.what();
  if (const size_t at = what.find("parse error "); at != std::string::npos) what = what.substr(at);
  return what;
}

Json parse_json(std::string text, const fs::path& path) {
  if (text.find("NaN") != std::string::npos || text.find("Infinity") != std::string::npos)
    text = without_python_numbers(std::move(text));
  try {
    return Json::parse(text);
  } catch (const nlohmann::json::exception& problem) {
    refuse_other_content(text, path.string());
    throw Error(Failure::checkpoint, fmt::format("{} is no valid JSON: {}", path.string(), said_by_parser(problem)),
                "correct the file, or download it again");
  }
}

std::map<std::string, std::string> parse_shard_index(const Json& index, const fs::path& path) {
  const auto map = index.find("weight_map");
  if (map == index.end() || !map->is_object() || map->empty()) {
    throw Error(Failure::checkpoint, fmt::format("{} has no weight_map", path.string()), "download the index again");
  }
  std::map<std::string, std::string> shards;
  for (const auto& [name, shard] : map->items()) {
    if (!shard.is_string()) {
      throw Error(Failure::checkpoint, fmt::format("{}: the shard of '{}' is no text", path.string(), name),
                  "download the index again");
    }
    const auto& file = shard.get_ref<const std::string&>();
    if (file.empty() || file.find_first_of("/\\\0"s) != std::string::npos || file == "." || file == "..") {
      throw Error(
          Failure::checkpoint,
          fmt::format("{}: the shard {} is not a file of the checkpoint's own folder", path.string(), shard.dump()),
          "do not use this checkpoint: its index points outside its folder");
    }
    shards.emplace(name, file);
  }
  return shards;
}

Checkpoint Checkpoint::open_config(const fs::path& folder) {
  Checkpoint checkpoint;
  checkpoint.folder_ = folder;
  std::error_code ignored;
  if (!fs::exists(folder, ignored)) {
    throw Error(Failure::checkpoint, fmt::format("{}: no such folder", folder.string()),
                "give the folder of a checkpoint: config.json and its weights");
  }
  if (!fs::is_directory(folder, ignored)) refuse_file(folder);
  const fs::path config = folder / "config.json";
  if (!fs::exists(config, ignored)) {
    explain_missing_config(folder);
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
  // In the order in which they are looked for; of several the first is read.
  std::vector<std::string> there;
  std::error_code ignored;
  for (const char* name :
       {"model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json"}) {
    if (fs::exists(folder / name, ignored)) there.emplace_back(name);
  }
  if (there.empty()) {
    explain_missing_weights(folder);
    throw Error(
        Failure::checkpoint,
        fmt::format("{} has no weights: neither model.safetensors nor pytorch_model.bin, nor an index of shards",
                    folder.string()),
        "download the weights into the folder");
  }
  Contents contents;
  if (there.size() > 1)
    contents.notes.push_back(fmt::format("{} holds the weights in several forms: {} is read, {} is not",
                                         folder.string(), there.front(),
                                         fmt::join(there.begin() + 1, there.end(), " and ")));
  if (there.front().ends_with(".json"))
    add_shards(contents, folder / there.front());
  else
    add_file(contents, folder / there.front());
  if (std::string note = note_of_adapter(folder); !note.empty()) contents.notes.push_back(std::move(note));
  checkpoint.tensors_ = std::move(contents.tensors);
  checkpoint.notes_ = std::move(contents.notes);
  refuse_other_kinds(checkpoint);
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
