// SPDX-License-Identifier: Apache-2.0
// Which of a repository's files an export needs: config.json, one set of weights, and the companions that it copies.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace onnxport::hub {

/// One way in which a checkpoint holds its weights; the earlier one in `weight_forms` is taken.
struct WeightForm {
  const char* single;
  const char* index;  // names the shards
};
inline constexpr WeightForm weight_forms[] = {{"model.safetensors", "model.safetensors.index.json"},
                                              {"pytorch_model.bin", "pytorch_model.bin.index.json"}};

/// What is fetched of a repository, out of the names of all its files.
struct Wanted {
  std::vector<std::string> small;  // config.json first, then companions and the weights' index
  std::string single;              // the weights' one file, or
  std::string index;               // the file that names the shards
};

/// Whether there is such a file, or a link to one, as a snapshot has them.
bool holds_file(const std::filesystem::path& file);

/// Chooses. Throws Error(checkpoint) where a needed file is not there, saying what is there instead, or where a name
/// leads outside of the snapshot.
Wanted choose_files(const std::vector<std::string>& names, const std::string& id);

/// The shards that an index names, each once, in order of name. Throws Error(checkpoint) where one is no file of the
/// index's own folder.
std::vector<std::string> shards_of(const std::filesystem::path& index);

/// What is missing of a snapshot's config.json and weights, "model.safetensors" standing for any form where there is
/// none; empty where all of it is there.
std::vector<std::string> missing_files(const std::filesystem::path& snapshot);

}  // namespace onnxport::hub
