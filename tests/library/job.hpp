// SPDX-License-Identifier: Apache-2.0
// What the tests of libonnxport share: objects that free themselves, and a folder of their own.
#pragma once

#include <onnxport/onnxport.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "../support/temporary_folder.hpp"

namespace job {

/// Options by name; a null value is that of a flag.
using Options = std::vector<std::pair<const char*, const char*>>;

struct Free {
  void operator()(onnxport_options* options) const { onnxport_options_free(options); }
  void operator()(onnxport_outcome* outcome) const { onnxport_outcome_free(outcome); }
  void operator()(onnxport_token* token) const { onnxport_token_free(token); }
};

std::unique_ptr<onnxport_options, Free> options_of(const Options& list);

/// An outcome that was read.
struct Outcome {
  explicit Outcome(onnxport_outcome* outcome);
  onnxport_result result;
  nlohmann::json json;
  std::string message, hint;
};

/// The checkpoint of a small BERT.
std::string bert();

/// A folder as the C interface takes it: its paths are strings.
struct Folder : onnxport::test::TemporaryFolder {
  std::string operator/(const char* name) const { return (path / name).string(); }
  /// What is in it, hidden entries included.
  std::vector<std::string> entries() const;
};

std::string bytes_of(const std::filesystem::path& file);

}  // namespace job
