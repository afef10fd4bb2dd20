// SPDX-License-Identifier: Apache-2.0
#include "core/checkpoint/parallel_writer.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <exception>
#include <mutex>
#include <set>
#include <thread>

#include "core/checkpoint/convert.hpp"
#include "core/error.hpp"

namespace onnxport {
namespace {

constexpr uint64_t tile_bytes = uint64_t{1} << 20;  // transposing reads longer runs, the larger its tiles are
constexpr uint64_t run_bytes = uint64_t{4} << 20;   // an untouched run; short enough to notice an interrupt soon

/// A run of bytes of one output file. Transformed: of one weight, from `begin` of its final bytes on, or a block of it.
/// Untouched: of the checkpoint's file, from `source` on, and maybe of several weights.
struct Piece {
  size_t job;
  uint64_t begin, bytes;
  uint64_t target;
  std::optional<uint64_t> source{};
  std::optional<Block> block{};
  bool ends_band = false;  // of a block: no other one reads its columns
};

[[noreturn]] void fail_to_write() {
  const int reason = errno;
  throw Error(Failure::output, fmt::format("the model cannot be written: {}", std::strerror(reason)),
              reason == ENOSPC || reason == EFBIG || reason == EDQUOT
                  ? "free some space, or choose another output folder"
                  : "check the output folder's disk");
}

void write_bytes(int descriptor, std::span<const std::byte> bytes, uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t count = ::pwrite(descriptor, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) fail_to_write();
    bytes = bytes.subspan(static_cast<size_t>(count));
    offset += static_cast<uint64_t>(count);
  }
}

/// Copies without the bytes passing through this process where the kernel can, else through a small buffer.
void copy_run(const MappedFile& file, uint64_t from, uint64_t bytes, int descriptor, uint64_t to) {
  std::vector<std::byte> buffer;  // not empty where the kernel cannot
  for (uint64_t done = 0; done < bytes;) {
    ssize_t count = 0;
    if (buffer.empty()) {
      auto in = static_cast<off64_t>(from + done);
      auto out = static_cast<off64_t>(to + done);
      count = ::copy_file_range(file.descriptor(), &in, descriptor, &out, bytes - done, 0);
      if (count < 0 && (errno == ENOSPC || errno == EFBIG || errno == EDQUOT)) fail_to_write();
      if (count == 0 || (count < 0 && errno != EINTR)) buffer.resize(tile_bytes);
      if (count <= 0) continue;
    } else {
      const auto begin = static_cast<off_t>(from + done);
      count = ::pread(file.descriptor(), buffer.data(), std::min<uint64_t>(buffer.size(), bytes - done), begin);
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) {
        const int reason = count < 0 ? errno : EIO;
        file.check_unchanged();
        throw Error(Failure::checkpoint, fmt::format("{} cannot be read: {}", file.path(), std::strerror(reason)),
                    "check the disk, or copy the checkpoint elsewhere first");
      }
      write_bytes(descriptor, {buffer.data(), static_cast<size_t>(count)}, to + done);
    }
    done += static_cast<uint64_t>(count);
  }
}

/// Cuts a large matrix that is turned round into blocks, band by band; false where it is another or small.
bool cut_into_blocks(const std::vector<WriteJob>& jobs, size_t index, const WriteOptions& options,
                     std::vector<Piece>& pieces) {
  const WriteJob& job = jobs[index];
  const TileReader reader(job.weight);
  const auto matrix = reader.transposed_matrix();
  if (!matrix) return false;
  const auto [rows, columns] = *matrix;
  const uint64_t band =
      std::max(options.least_band_rows, options.band / std::max<uint64_t>(1, reader.stored_column_bytes()));
  if (columns < 2 * band) return false;
  const uint64_t element = ir::size_of(job.weight.dtype()), line = std::max<uint64_t>(1, 64 / element);
  for (uint64_t column = 0; column < columns; column += band) {
    const uint64_t width = std::min(band, columns - column);
    const uint64_t height = std::max<uint64_t>(1, tile_bytes / (width * element * line)) * line;
    for (uint64_t row = 0; row < rows; row += height) {
      const Block block{row, std::min(height, rows - row), column, width};
      pieces.push_back({.job = index,
                        .begin = (row * columns + column) * element,
                        .bytes = block.rows * block.columns * element,
                        .target = job.offset,
                        .block = block,
                        .ends_band = row + height >= rows});
    }
  }
  return true;
}

/// Cuts the weights into pieces in the order of the jobs, which is that of the file.
std::vector<Piece> cut(const std::vector<WriteJob>& jobs, const WriteOptions& options) {
  std::vector<Piece> pieces;
  const auto continues = [&](const Piece& before, size_t job, uint64_t source) {
    return before.source && *before.source + before.bytes == source && before.bytes < run_bytes &&
           before.target + before.bytes == jobs[job].offset && jobs[before.job].descriptor == jobs[job].descriptor &&
           jobs[before.job].weight.stored->file == jobs[job].weight.stored->file;
  };
  for (size_t i = 0; i < jobs.size(); ++i) {
    const TileReader reader(jobs[i].weight);
    const uint64_t bytes = jobs[i].weight.bytes(), grain = reader.granularity();
    if (cut_into_blocks(jobs, i, options, pieces)) continue;
    const std::optional<uint64_t> source = reader.untouched();
    uint64_t begin = 0;
    if (source && !pieces.empty() && continues(pieces.back(), i, *source)) {
      begin = std::min(bytes, run_bytes - pieces.back().bytes);
      pieces.back().bytes += begin;
    }
    // A tile of a transposed matrix takes whole cache lines of the checkpoint, which would be read again for the next.
    const uint64_t element = ir::size_of(jobs[i].weight.dtype());
    const uint64_t least = grain > element ? std::max<uint64_t>(1, 64 / element) * grain : grain;
    const uint64_t step = source ? run_bytes : std::max(least, tile_bytes / grain * grain);
    for (; begin < bytes; begin += step) {
      pieces.push_back({i, begin, std::min(step, bytes - begin), jobs[i].offset + begin,
                        source ? std::optional(*source + begin) : std::nullopt});
    }
  }
  return pieces;
}

/// How many tiles may be in memory at once.
size_t tiles_within(uint64_t memory, const std::vector<Piece>& pieces, size_t helpers) {
  uint64_t largest = 1;
  for (const Piece& piece : pieces) {
    if (!piece.source) largest = std::max(largest, piece.bytes);
  }
  return std::clamp<size_t>(memory / largest, 1, helpers * 8);
}

/// Transforms pieces ahead of the one thread that writes. Only one writes, because the file system lets one at a time
/// write to a file anyway; the others would spin. A piece is claimed by whoever comes first, a helper or the writer
/// itself.
class Ahead {
 public:
  Ahead(const std::vector<WriteJob>& jobs, const std::vector<Piece>& pieces, size_t helpers, uint64_t memory)
      : jobs_(jobs), pieces_(pieces), states_(pieces.size()) {
    if (helpers > 0) free_.resize(tiles_within(memory, pieces, helpers));
    for (size_t i = 0; i < helpers; ++i) threads_.emplace_back([this] { help(); });
  }
  ~Ahead() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    changed_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }
  Ahead(const Ahead&) = delete;
  Ahead& operator=(const Ahead&) = delete;

  /// Whether the piece can be had without waiting for it or working on it.
  bool ready(size_t index) {
    const std::lock_guard lock(mutex_);
    return states_[index].ready;
  }

  /// The final bytes of a piece; valid until give_back().
  std::span<const std::byte> take(size_t index) {
    std::unique_lock lock(mutex_);
    State& state = states_[index];
    if (!state.claimed) {
      state.claimed = true;
      lock.unlock();
      transform(index, own_);
      return own_;
    }
    changed_.wait(lock, [&] { return state.ready || failure_; });
    if (failure_) std::rethrow_exception(failure_);
    return state.bytes;
  }

  void give_back(size_t index) {
    {
      const std::lock_guard lock(mutex_);
      if (!states_[index].ready) return;
      free_.push_back(std::move(states_[index].bytes));
    }
    changed_.notify_all();
  }

 private:
  struct State {
    bool claimed = false, ready = false;
    std::vector<std::byte> bytes;
  };

  void transform(size_t index, std::vector<std::byte>& buffer) const {
    buffer.resize(pieces_[index].bytes);
    const Piece& piece = pieces_[index];
    const TileReader reader(jobs_[piece.job].weight);
    if (piece.block)
      reader.read_block(*piece.block, buffer);
    else
      reader.read(piece.begin, buffer);
  }

  void help() {
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [&] { return stop_ || !free_.empty(); });
      while (next_ < pieces_.size() && (pieces_[next_].source || states_[next_].claimed)) ++next_;
      if (stop_ || next_ == pieces_.size()) return;
      const size_t index = next_++;
      State& state = states_[index];
      state.claimed = true;
      std::vector<std::byte> buffer = std::move(free_.back());
      free_.pop_back();
      lock.unlock();
      std::exception_ptr failure;
      try {
        transform(index, buffer);
      } catch (...) {
        failure = std::current_exception();
      }
      lock.lock();
      state.bytes = std::move(buffer);
      state.ready = true;
      if (failure) failure_ = failure;
      changed_.notify_all();
    }
  }

  const std::vector<WriteJob>& jobs_;
  const std::vector<Piece>& pieces_;
  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::vector<State> states_;
  std::vector<std::vector<std::byte>> free_;
  size_t next_ = 0;
  bool stop_ = false;
  std::exception_ptr failure_;
  std::vector<std::byte> own_;  // the writer's
  std::vector<std::thread> threads_;
};

/// Writes a transformed piece, and lets go of what was read for it where nothing else needs it.
void write_piece(const WriteJob& job, const Piece& piece, std::span<const std::byte> bytes) {
  const StoredTensor& stored = *job.weight.stored;
  if (!piece.block) {
    write_bytes(job.descriptor, bytes, piece.target);
    if (piece.begin + piece.bytes == job.weight.bytes()) stored.file->forget(stored.offset, stored.bytes);
    return;
  }
  const TileReader reader(job.weight);
  const uint64_t row = bytes.size() / piece.block->rows, step = job.weight.bytes() / reader.transposed_matrix()->first;
  for (uint64_t i = 0; i < piece.block->rows; ++i)
    write_bytes(job.descriptor, bytes.subspan(i * row, row), piece.target + piece.begin + i * step);
  if (piece.ends_band) reader.forget_columns(piece.block->column, piece.block->columns);
}

}  // namespace

void write_weights(const std::vector<WriteJob>& jobs, const WriteOptions& options) {
  const std::vector<Piece> pieces = cut(jobs, options);
  uint64_t total = 0, done = 0;
  std::set<const MappedFile*> sources;
  for (const WriteJob& job : jobs) {
    total += job.weight.bytes();
    sources.insert(job.weight.stored->file.get());
  }
  const size_t threads =
      options.threads > 0 ? static_cast<size_t>(options.threads) : std::max(1u, std::thread::hardware_concurrency());
  const bool any_work = std::any_of(pieces.begin(), pieces.end(), [](const Piece& piece) { return !piece.source; });
  Ahead ahead(jobs, pieces, any_work ? std::min(threads - 1, pieces.size()) : 0, options.memory);
  // Two runs through the pieces: what a helper has ready goes first, and what needs no work fills the time until then.
  size_t transformed = 0, untouched = 0;
  const auto skip = [&](size_t& at, bool wanted) {
    while (at < pieces.size() && pieces[at].source.has_value() != wanted) ++at;
    return at < pieces.size();
  };
  while (true) {
    if (options.cancel != nullptr && *options.cancel) throw Error(Failure::output, "interrupted", "");
    const bool any_transformed = skip(transformed, false), any_untouched = skip(untouched, true);
    if (!any_transformed && !any_untouched) break;
    const bool copy = any_untouched && !(any_transformed && ahead.ready(transformed));
    const size_t index = copy ? untouched++ : transformed++;
    const Piece& piece = pieces[index];
    const WriteJob& job = jobs[piece.job];
    if (copy) {
      copy_run(*job.weight.stored->file, *piece.source, piece.bytes, job.descriptor, piece.target);
    } else {
      write_piece(job, piece, ahead.take(index));
      ahead.give_back(index);
    }
    done += piece.bytes;
    if (options.progress) options.progress(done, total);
  }
  for (const MappedFile* source : sources) source->check_unchanged();
}

}  // namespace onnxport
