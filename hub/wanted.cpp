// SPDX-License-Identifier: Apache-2.0
#include "hub/wanted.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "core/checkpoint/checkpoint.hpp"
#include "core/error.hpp"
#include "core/output/companions.hpp"
#include "hub/names.hpp"

namespace onnxport::hub {
namespace {

namespace fs = std::filesystem;

/// What a repository without weights of a known form has instead, and what to do about it.
Error no_weights(const std::vector<std::string>& names, const std::string& id) {
  struct Other {
    const char* ending;
    const char* advice;
  };
  static constexpr Other others[] = {
      {"adapter_model.safetensors", "it is an adapter (PEFT): merge it into its base model and export that"},
      {".gguf", "it is quantised for llama.cpp: take the repository that it was made from"},
      {"tf_model.h5", "it is for TensorFlow: convert it with transformers (from_tf=True, save_pretrained)"},
      {"flax_model.msgpack", "it is for Flax: convert it with transformers (from_flax=True, save_pretrained)"},
      {".onnx", "it holds ONNX models already"},
      {".safetensors",
       "its weights have names that no checkpoint of transformers has: rename them in a folder of "
       "your own"},
  };
  for (const Other& other : others) {
    for (const std::string& name : names) {
      if (!name.ends_with(other.ending)) continue;
      return {Failure::checkpoint,
              fmt::format("'{}' has neither model.safetensors nor pytorch_model.bin; it has {}", id, name),
              other.advice};
    }
  }
  return {Failure::checkpoint, fmt::format("'{}' has no weights: neither model.safetensors nor pytorch_model.bin", id),
          "check the id and --revision"};
}

void require_safe(const std::string& path, const std::string& where) {
  if (is_safe_path(path)) return;
  throw Error(Failure::checkpoint,
              fmt::format("{} names the file '{}', which leads outside of the model's folder", where, path),
              "do not use this model");
}

}  // namespace

Wanted choose_files(const std::vector<std::string>& names, const std::string& id) {
  const std::set<std::string> present(names.begin(), names.end());
  Wanted wanted;
  if (!present.contains("config.json")) {
    throw Error(Failure::checkpoint, fmt::format("'{}' has no config.json, so it is no model of transformers", id),
                "check the id and --revision; parts of a pipeline lie in folders of their own, which are not read");
  }
  wanted.small.emplace_back("config.json");
  for (const std::string& name : present) {
    if (name == "config.json" || !is_companion(name)) continue;
    require_safe(name, fmt::format("'{}'", id));
    wanted.small.push_back(name);
  }
  for (const WeightForm& form : weight_forms) {
    if (present.contains(form.single)) {
      wanted.single = form.single;
      return wanted;
    }
    if (present.contains(form.index)) {
      wanted.index = form.index;
      wanted.small.push_back(wanted.index);
      return wanted;
    }
  }
  throw no_weights(names, id);
}

std::vector<std::string> shards_of(const fs::path& index) {
  std::set<std::string> shards;
  for (const auto& [tensor, shard] : parse_shard_index(read_json(index), index)) {
    require_safe(shard, index.string());
    shards.insert(shard);
  }
  return {shards.begin(), shards.end()};
}

bool holds_file(const fs::path& file) {
  std::error_code ignored;
  return fs::is_regular_file(file, ignored);
}

std::vector<std::string> missing_files(const fs::path& snapshot) {
  std::vector<std::string> missing;
  if (!holds_file(snapshot / "config.json")) missing.emplace_back("config.json");
  for (const WeightForm& form : weight_forms) {
    if (holds_file(snapshot / form.single)) return missing;
    if (!holds_file(snapshot / form.index)) continue;
    for (const std::string& shard : shards_of(snapshot / form.index)) {
      if (!holds_file(snapshot / shard)) missing.push_back(shard);
    }
    return missing;
  }
  missing.emplace_back(weight_forms[0].single);
  return missing;
}

}  // namespace onnxport::hub
