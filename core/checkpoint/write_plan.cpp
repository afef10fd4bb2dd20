// SPDX-License-Identifier: Apache-2.0
#include "core/checkpoint/write_plan.hpp"

#include <algorithm>
#include <utility>

namespace onnxport {
namespace {

constexpr uint64_t tile_bytes = uint64_t{1} << 20;  // larger ones leave the caches before they are written
constexpr uint64_t run_bytes = uint64_t{1} << 20;   // of untouched ones; short, since others wait for their turn

/// Rows of a matrix that is turned round which make a tile: whole cache lines of what is stored.
uint64_t rows_of_tile(const WriteJob& job, uint64_t row_bytes) {
  const uint64_t line = std::max<uint64_t>(1, 64 / ir::size_of(job.weight.stored->dtype));
  return std::max<uint64_t>(1, tile_bytes / row_bytes / line) * line;
}

class Planner {
 public:
  Planner(const std::vector<WriteJob>& jobs, const WriteOptions& options) : jobs_(jobs), options_(options) {}

  WritePlan run() {
    for (size_t i = 0; i < jobs_.size(); ++i) {
      const TileReader reader(jobs_[i].weight);
      if (const std::optional<uint64_t> source = reader.untouched())
        copy(i, *source);
      else if (!turn_in_bands(i, reader))
        transform(i, reader);
    }
    return std::move(plan_);
  }

 private:
  /// Where one weight's bytes follow another's in both files, they are one run.
  void copy(size_t job, uint64_t source) {
    const uint64_t bytes = jobs_[job].weight.bytes();
    uint64_t begin = 0;
    if (!plan_.pieces.empty() && continues(plan_.pieces.back(), job, source)) {
      begin = std::min(bytes, run_bytes - plan_.pieces.back().bytes);
      plan_.pieces.back().bytes += begin;
    }
    for (; begin < bytes; begin += run_bytes) {
      plan_.pieces.push_back({.job = job,
                              .begin = begin,
                              .bytes = std::min(run_bytes, bytes - begin),
                              .target = jobs_[job].offset + begin,
                              .source = source + begin});
    }
  }

  bool continues(const Piece& before, size_t job, uint64_t source) const {
    const WriteJob &left = jobs_[before.job], &right = jobs_[job];
    return before.source && *before.source + before.bytes == source && before.bytes < run_bytes &&
           before.target + before.bytes == right.offset && left.descriptor == right.descriptor &&
           left.weight.stored->file == right.weight.stored->file && left.weight.dtype() == right.weight.dtype();
  }

  void transform(size_t job, const TileReader& reader) {
    const uint64_t grain = reader.granularity();  // a row of a matrix that is turned round, an element of others
    const Weight& weight = jobs_[job].weight;
    const uint64_t bytes = weight.bytes();
    const bool turned = grain > ir::size_of(weight.dtype());
    const uint64_t step =
        turned ? rows_of_tile(jobs_[job], grain) * grain : std::max(grain, tile_bytes / grain * grain);
    const auto [offset, length] = reader.stored_range();
    plan_.regions.push_back({weight.stored->file.get(), offset, length});
    for (uint64_t begin = 0; begin < bytes; begin += step) {
      add({.job = job, .begin = begin, .bytes = std::min(step, bytes - begin), .target = jobs_[job].offset + begin});
    }
  }

  /// Blocks of a matrix that is turned round and too large to be looked at as a whole; false where it is another.
  bool turn_in_bands(size_t index, const TileReader& reader) {
    const auto matrix = reader.transposed_matrix();
    if (!matrix) return false;
    const auto [rows, columns] = *matrix;
    const WriteJob& job = jobs_[index];
    const uint64_t element = ir::size_of(job.weight.dtype());
    const uint64_t band =
        std::max(options_.least_band_rows, options_.band / std::max<uint64_t>(1, reader.stored_column_bytes()));
    if (columns < 2 * band) return false;
    for (uint64_t column = 0; column < columns; column += band) {
      const uint64_t width = std::min(band, columns - column), height = rows_of_tile(job, width * element);
      const auto [offset, bytes] = reader.stored_columns(column, width);
      plan_.regions.push_back({job.weight.stored->file.get(), offset, bytes});
      for (uint64_t row = 0; row < rows; row += height) {
        const Block block{row, std::min(height, rows - row), column, width};
        add({.job = index,
             .begin = (row * columns + column) * element,
             .bytes = block.rows * block.columns * element,
             .target = job.offset + (row * columns + column) * element,
             .block = block,
             .row_bytes = columns * element});
      }
    }
    return true;
  }

  /// Adds a piece that looks at the last region.
  void add(Piece piece) {
    piece.region = plan_.regions.size() - 1;
    ++plan_.regions.back().pieces;
    plan_.pieces.push_back(piece);
  }

  const std::vector<WriteJob>& jobs_;
  const WriteOptions& options_;
  WritePlan plan_;
};

}  // namespace

WritePlan plan_writes(const std::vector<WriteJob>& jobs, const WriteOptions& options) {
  return Planner(jobs, options).run();
}

}  // namespace onnxport
