// SPDX-License-Identifier: Apache-2.0
// Reading a weight's final bytes piece by piece: slices, transposes, casts and arithmetic through a bounded buffer.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "core/checkpoint/weight.hpp"
#include "core/tensor/elements.hpp"

namespace onnxport {

/// A part of a matrix of final elements.
struct Block {
  uint64_t row, rows, column, columns;
};

/// Yields any run of a weight's final bytes. Cheap to make; reads from the mapping.
class TileReader {
 public:
  /// Throws Error(checkpoint) where an element type cannot be cast to the other.
  explicit TileReader(const Weight& weight);

  /// Bytes from which on a run may begin: a row of a transposed matrix, else one element.
  uint64_t granularity() const { return granularity_; }
  /// Where the final bytes are the stored ones: their offset in the file.
  std::optional<uint64_t> untouched() const;
  /// Offset and length of what the checkpoint holds of the view, with what lies between.
  std::pair<uint64_t, uint64_t> stored_range() const;
  /// Fills `out` with the final bytes from `begin` on; both multiples of granularity().
  void read(uint64_t begin, std::span<std::byte> out) const;

  /// Rows and columns where the final bytes are those of a matrix that lies transposed: then blocks of it can be read,
  /// too, and a column is a row of the checkpoint.
  std::optional<std::pair<uint64_t, uint64_t>> transposed_matrix() const;
  /// Bytes of the checkpoint from a column's first element to the next one's.
  uint64_t stored_column_bytes() const { return static_cast<uint64_t>(strides_.back()) * ir::size_of(from_); }
  /// Fills `out` with the block's final bytes, row after row.
  void read_block(const Block& block, std::span<std::byte> out) const;
  /// Offset and length of what the checkpoint holds of some columns.
  std::pair<uint64_t, uint64_t> stored_columns(uint64_t column, uint64_t columns) const;

 private:
  /// One of the transforms that make elements of elements, in the order in which the view has them.
  struct Step {
    Transform transform;                                 // CastTo, CombineWith, Apply or InverseRoot
    std::optional<Weight> other = std::nullopt;          // CombineWith: in the view's order, too
    std::shared_ptr<const TileReader> reader = nullptr;  // of `other`
  };

  void take(const Transform& transform);
  void take_layout(const Transform& transform);
  void settle();
  void look();
  void open_others();
  void gather(uint64_t first, uint64_t count, std::byte* out) const;
  bool has_transposed_rows() const;
  bool computes_alone() const;
  void run_steps(const std::byte* source, uint64_t first, uint64_t count, std::byte* out) const;

  const StoredTensor* stored_;
  std::vector<std::byte> whole_;                // where the transforms have no streaming form
  const std::byte* base_;                       // the stored tensor's first element, or that of `whole_`
  uint64_t first_ = 0;                          // the view's first element, from there
  std::vector<int64_t> shape_;                  // of the view, whose elements in row-major order are the final ones
  std::vector<int64_t> strides_;                // in elements
  std::optional<std::vector<int64_t>> called_;  // the shape by which the view's elements go, where it is no view
  /// The view in as few axes as it takes, for walking through it.
  struct Runs {
    std::vector<int64_t> shape, strides;
  };
  Runs runs_;
  bool contiguous_ = true;
  ir::DType from_, to_;  // the view's elements, and the final ones
  std::vector<Step> steps_;
  bool made_whole_ = false;  // so much that it is not to be made for each piece
  uint64_t granularity_ = 1;
};

}  // namespace onnxport
