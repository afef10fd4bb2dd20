// SPDX-License-Identifier: Apache-2.0
// Any text as an index of shards: names of files in one folder, or an error of the kind that users see.
#include <cstdlib>

#include "core/checkpoint/checkpoint.hpp"
#include "core/error.hpp"
#include "tests/fuzz/targets.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace onnxport;
  namespace fs = std::filesystem;
  try {
    const Json index = parse_json(std::string(reinterpret_cast<const char*>(data), size), "fuzz");
    for (const auto& [tensor, shard] : parse_shard_index(index, "fuzz")) {
      const fs::path joined = (fs::path("folder") / shard).lexically_normal();
      if (joined.parent_path() != "folder" || joined.filename() != shard) std::abort();
      if (shard.find('\0') != std::string::npos) std::abort();
    }
  } catch (const Error& error) {
    if (error.failure() != Failure::checkpoint) std::abort();
  }
  return 0;
}
