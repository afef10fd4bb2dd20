// SPDX-License-Identifier: Apache-2.0
// What validation needs of the machine, known before it begins.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

namespace onnxport {

/// Throws Error(usage) naming what is missing where a back end is not installed, and as require_threads().
void require_backends(bool reference);
/// Opens them and what they need, so that one that does not work is known before anything is written. Throws
/// Error(usage) with what the system says.
void probe_backends(bool reference);

/// What validation takes of the machine, in bytes. Weights stay in their files, whose pages the system gives back when
/// it needs them for something else.
struct ValidationMemory {
  uint64_t weights;                 // in f32
  uint64_t file;                    // as they are written
  uint64_t largest_weight = 0;      // in f32: what is made of a weight for the time of its use
  bool is_16_bit = false;           // the file's weights are, of which ONNX Runtime makes f32 copies where it may
  uint64_t activations = 0;         // of the runs that take most; 0 where no run is known yet
  std::optional<uint64_t> limit{};  // --max-memory
  /// Asked where the model does not fit as a whole: the weights of the largest piece that cannot be cut further;
  /// nullopt where a graph cannot be cut at all.
  std::function<std::optional<uint64_t>()> largest_piece{};
  std::optional<uint64_t> segment_size{};  // --segment-size
};

/// How a validation keeps to the memory that there is.
struct MemoryPlan {
  uint64_t available = 0, in_files = 0;
  /// Whether all weights can stay in memory between the runs; each run reads them from the disk where they cannot.
  bool keeps_weights = true;
  /// Whether ONNX Runtime may make copies of 16-bit weights; it runs the graph as it is written where it may not.
  bool makes_copies = true;
  /// What the weights of a segment may take, in f32, where the model is run one segment after the other.
  std::optional<uint64_t> segment_weights{};
};
/// Throws Error(usage) with the figures where validation would not fit into memory, or into the limit.
MemoryPlan require_memory(const ValidationMemory& memory);

}  // namespace onnxport
