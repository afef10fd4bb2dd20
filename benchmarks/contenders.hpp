// SPDX-License-Identifier: Apache-2.0
// Who exports a checkpoint: cp, onnxport in its modes, and the peers that scripts/peers has installed.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "process.hpp"

namespace benchmarks {

struct Contender {
  std::string name;
  Command command;
  std::filesystem::path output;  ///< removed before each run
  bool is_peer = false;
  bool makes_folder = true;
  std::string model{};                         ///< the file to load afterwards, by its name below `output`
  std::vector<std::filesystem::path> reads{};  ///< in the page cache before each run
  bool writes_seconds = false;                 ///< the time is what it says, not that of its process
};

struct Places {
  std::filesystem::path programs, scratch, peers;
};

/// cp of the checkpoint's weights, which is the limit that the others are measured against; then onnxport.
std::vector<Contender> own_exports(const std::filesystem::path& checkpoint, const Places& places);
/// An export with the validation that is the default, and what that cannot do without: both libraries loaded with the
/// model, and run on as many inputs.
std::vector<Contender> own_validation(const std::filesystem::path& checkpoint, const Places& places);
/// The peers that are there. transformers.onnx and optimum-cli validate what they wrote and have no option against it;
/// mobius does not.
std::vector<Contender> peer_exports(const std::filesystem::path& checkpoint, const Places& places);

/// A random checkpoint of a config.json's model in the scratch folder, with the demo's tokenizer, since
/// transformers.onnx wants one.
std::filesystem::path synthesise(const std::filesystem::path& config, const Places& places);

}  // namespace benchmarks
