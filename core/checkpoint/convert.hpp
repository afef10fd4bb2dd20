// SPDX-License-Identifier: Apache-2.0
// Reading a weight's final bytes piece by piece: slices, transposes and casts through a bounded buffer.
#pragma once

#include <cstddef>
#include <span>

#include "core/checkpoint/weight.hpp"

namespace onnxport {

/// Yields any run of a weight's final bytes. Cheap to make; reads from the mapping.
class TileReader {
 public:
  /// Throws Error(checkpoint) where an element type cannot be cast to the other.
  explicit TileReader(const Weight& weight);

  /// Bytes from which on a run may begin: a row of a transposed matrix, else one element.
  uint64_t granularity() const { return granularity_; }
  /// Where the final bytes are the stored ones: their offset in the file.
  std::optional<uint64_t> untouched() const;
  /// Fills `out` with the final bytes from `begin` on; both multiples of granularity().
  void read(uint64_t begin, std::span<std::byte> out) const;

 private:
  void read_stored(uint64_t first_element, uint64_t count, std::byte* out) const;

  const StoredTensor* stored_;
  std::span<const std::byte> bytes_;  // the stored tensor's, or `whole_`
  std::vector<std::byte> whole_;      // where the transforms have no streaming form
  ir::DType from_, to_;
  uint64_t first_ = 0;              // element of the view's begin
  int64_t rows_ = 1, columns_ = 1;  // of the stored matrix, where transposed
  bool transposed_ = false;
  uint64_t granularity_ = 1;
};

/// Converts `count` elements between floating types, rounding to nearest even. Other types only to themselves.
void convert_elements(ir::DType from, const std::byte* source, ir::DType to, std::byte* target, uint64_t count);
bool can_convert(ir::DType from, ir::DType to);

}  // namespace onnxport
