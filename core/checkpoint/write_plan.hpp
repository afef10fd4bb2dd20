// SPDX-License-Identifier: Apache-2.0
// How the writing of many weights is cut into pieces.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/checkpoint/convert.hpp"
#include "core/checkpoint/parallel_writer.hpp"

namespace onnxport {

/// A run of bytes of one output file. Transformed: of one weight, from `begin` of its final bytes on, or a block of it.
/// Untouched: of the checkpoint's file, from `source` on, and maybe of several weights of one type.
struct Piece {
  size_t job;
  uint64_t begin, bytes;
  uint64_t target;
  std::optional<uint64_t> source{};
  std::optional<Block> block{};
  uint64_t row_bytes = 0;  // of a block: from one of its rows to the next in the output
  size_t region = 0;       // of a transformed one
};

/// Bytes of a mapped file that some pieces look at, and nothing else.
struct Region {
  const MappedFile* file;
  uint64_t offset, bytes;
  uint32_t pieces = 0;
};

/// In the order of the jobs, which is that of the files.
struct WritePlan {
  std::vector<Piece> pieces;
  std::vector<Region> regions;
};

WritePlan plan_writes(const std::vector<WriteJob>& jobs, const WriteOptions& options);

}  // namespace onnxport
