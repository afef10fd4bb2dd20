// SPDX-License-Identifier: Apache-2.0
#include "core/output/companions.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "core/files/output_error.hpp"

namespace onnxport {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 20> names{
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "bpe.codes",
    "source.spm",
    "target.spm",
    "preprocessor_config.json",
    "processor_config.json",
    "image_processor_config.json",
    "modules.json",
    "config_sentence_transformers.json",
    "sentence_bert_config.json",
    "normalizer.json",
    "prompts.json",
};

bool is_companion_name(const std::string& name) {
  if (std::find(names.begin(), names.end(), name) != names.end()) return true;
  if (name.starts_with("chat_template.")) return true;
  return name.ends_with(".model");  // sentencepiece: spiece.model, tokenizer.model, sentencepiece.bpe.model
}

/// "1_Pooling": a step of sentence-transformers after the model itself.
bool is_module(const std::string& name) {
  const size_t digits = name.find_first_not_of("0123456789");
  return digits != 0 && digits != std::string::npos && name[digits] == '_' && digits + 1 < name.size();
}

}  // namespace

bool is_companion(const fs::path& file) {
  if (!file.has_parent_path()) return is_companion_name(file.filename());
  // One folder deep, as they are copied.
  return !file.parent_path().has_parent_path() && is_module(file.parent_path());
}

std::vector<fs::path> companion_files(const fs::path& checkpoint) {
  std::vector<fs::path> found;
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(checkpoint, ignored)) {
    const std::string name = entry.path().filename();
    if (entry.is_regular_file(ignored) && is_companion_name(name)) found.emplace_back(name);
    if (!entry.is_directory(ignored) || !is_module(name)) continue;
    for (const fs::directory_entry& inner : fs::directory_iterator(entry.path(), ignored)) {
      if (inner.is_regular_file(ignored)) found.push_back(fs::path(name) / inner.path().filename());
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

std::vector<fs::path> copy_companions(const fs::path& checkpoint, const fs::path& folder) {
  std::vector<fs::path> copied;
  for (const fs::path& name : companion_files(checkpoint)) {
    const fs::path from = checkpoint / name, to = folder / name;
    std::error_code reason;
    fs::create_directories(to.parent_path(), reason);
    if (!reason) fs::copy_file(from, to, fs::copy_options::overwrite_existing, reason);
    if (reason) {
      if (access(from.c_str(), R_OK) != 0)
        throw Error(Failure::checkpoint, from.string() + " cannot be read: " + reason.message(),
                    "check its permissions");
      throw output_error("cannot write", to, reason.value());
    }
    // A checkpoint in a cache is often read-only; its copy is the user's own.
    fs::permissions(to, fs::perms::owner_write, fs::perm_options::add, reason);
    copied.push_back(name);
  }
  return copied;
}

}  // namespace onnxport
