// SPDX-License-Identifier: Apache-2.0
// Writing many weights at known offsets on several cores, with bounded memory.
#pragma once

#include <atomic>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "core/checkpoint/weight.hpp"

namespace onnxport {

/// One weight and where its final bytes go.
struct WriteJob {
  Weight weight;
  int descriptor;
  uint64_t offset;
};

struct WriteOptions {
  int threads = 0;  // 0: as many as cores
  /// What tiles may take of memory, in bytes. Some rows of a transposed matrix are the least that a tile can be.
  uint64_t memory = uint64_t{16} << 20;
  /// A large matrix that is turned round is read in bands of its stored rows, of about so many bytes, since each tile
  /// looks at all pages of its band. A band has at least so many rows, which are a run of the output.
  uint64_t band = uint64_t{32} << 20;
  uint64_t least_band_rows = 2048;
  /// Bytes done and in all; called on the calling thread.
  std::function<void(uint64_t done, uint64_t total)> progress;
  const std::atomic<bool>* cancel = nullptr;
  /// Not null: takes the names, in the checkpoint, of weights that hold NaN or an infinity. All that is written is
  /// looked at, once it is in this process; what the kernel copies is read for it as well.
  std::set<std::string>* not_finite = nullptr;
};

/// Untouched bytes that lie one after the other in both files go as one run, by copy_file_range where they lie alike on
/// their pages. All cores make pieces, in tiles that fit their caches, and take turns to write them. Throws
/// Error(output) with the system's reason, or "interrupted", and Error(checkpoint) where a source file changed
/// meanwhile.
void write_weights(const std::vector<WriteJob>& jobs, const WriteOptions& options);

}  // namespace onnxport
