// SPDX-License-Identifier: Apache-2.0
#include "core/checkpoint/parallel_writer.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <exception>
#include <mutex>
#include <set>
#include <system_error>
#include <thread>

#include "core/checkpoint/convert.hpp"
#include "core/checkpoint/finite.hpp"
#include "core/checkpoint/write_plan.hpp"
#include "core/error.hpp"

namespace onnxport {
namespace {

[[noreturn]] void fail_to_write() {
  const int reason = errno;
  throw Error(Failure::output, fmt::format("the model cannot be written: {}", std::strerror(reason)),
              reason == ENOSPC || reason == EFBIG || reason == EDQUOT
                  ? "free some space, or choose another output folder"
                  : "check the output folder's disk");
}

void write_bytes(int descriptor, std::span<const std::byte> bytes, uint64_t offset) {
  // For longer calls some kernels take larger blocks of memory, which a virtual machine's host may have to provide
  // first.
  constexpr size_t most = size_t{128} << 10;
  while (!bytes.empty()) {
    const ssize_t count = ::pwrite(descriptor, bytes.data(), std::min(most, bytes.size()), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) fail_to_write();
    bytes = bytes.subspan(static_cast<size_t>(count));
    offset += static_cast<uint64_t>(count);
  }
}

/// Whether both places lie alike on their pages: then file systems that can will share the blocks, and others copy page
/// by page. Otherwise the kernel puts each page together from two, which takes longer than passing through this
/// process.
bool shares_pages(uint64_t from, uint64_t to) {
  constexpr uint64_t page = 4096;
  return from % page == to % page;
}

/// Copies without the bytes passing through this process. False where the kernel cannot.
bool copy_in_kernel(const WriteJob& job, const Piece& piece) {
  for (uint64_t done = 0; done < piece.bytes;) {
    auto in = static_cast<off64_t>(*piece.source + done);
    auto out = static_cast<off64_t>(piece.target + done);
    const int source = job.weight.stored->file->descriptor();
    const ssize_t count = ::copy_file_range(source, &in, job.descriptor, &out, piece.bytes - done, 0);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && (errno == ENOSPC || errno == EFBIG || errno == EDQUOT)) fail_to_write();
    if (count <= 0) return false;
    done += static_cast<uint64_t>(count);
  }
  return true;
}

void read_bytes(const MappedFile& file, uint64_t from, std::span<std::byte> bytes) {
  if (file.descriptor() < 0) {
    std::memcpy(bytes.data(), file.bytes().data() + from, bytes.size());
    return;
  }
  while (!bytes.empty()) {
    const ssize_t count = ::pread(file.descriptor(), bytes.data(), bytes.size(), static_cast<off_t>(from));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) {
      const int reason = count < 0 ? errno : EIO;
      file.check_unchanged();
      throw Error(Failure::checkpoint, fmt::format("{} cannot be read: {}", file.path(), std::strerror(reason)),
                  "check the disk, or copy the checkpoint elsewhere first");
    }
    bytes = bytes.subspan(static_cast<size_t>(count));
    from += static_cast<uint64_t>(count);
  }
}

/// The final bytes of a piece.
void make(const WriteJob& job, const Piece& piece, std::span<std::byte> bytes) {
  if (piece.source) return read_bytes(*job.weight.stored->file, *piece.source, bytes);
  const TileReader reader(job.weight);
  if (piece.block)
    reader.read_block(*piece.block, bytes);
  else
    reader.read(piece.begin, bytes);
}

/// Threads wait for their turn in the order in which they came. The file system lets one at a time write to a file
/// anyway, and those that wait for it spin; here they sleep.
class Turn {
 public:
  explicit Turn(std::atomic<uint32_t>& next, std::atomic<uint32_t>& now) : now_(now), mine_(next++) {
    for (uint32_t current = now_; current != mine_; current = now_) now_.wait(current);
  }
  ~Turn() {
    ++now_;
    now_.notify_all();
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

 private:
  std::atomic<uint32_t>& now_;
  const uint32_t mine_;
};

void write_piece(const WriteJob& job, const Piece& piece, std::span<const std::byte> bytes) {
  if (!piece.block) return write_bytes(job.descriptor, bytes, piece.target);
  const uint64_t row = bytes.size() / piece.block->rows;
  for (uint64_t i = 0; i < piece.block->rows; ++i)
    write_bytes(job.descriptor, bytes.subspan(i * row, row), piece.target + i * piece.row_bytes);
}

/// Pieces that several threads work off. Each makes a piece and writes it itself, so that its bytes are still in the
/// caches of its core.
class Work {
 public:
  Work(const std::vector<WriteJob>& jobs, const WriteOptions& options)
      : jobs_(jobs),
        options_(options),
        plan_(plan_writes(jobs, options)),
        pieces_(plan_.pieces),
        left_(plan_.regions.size()) {
    for (size_t i = 0; i < left_.size(); ++i) left_[i] = plan_.regions[i].pieces;
    for (const Piece& piece : pieces_) {
      total_ += piece.bytes;
      largest_ = std::max(largest_, piece.bytes);
    }
  }

  void run() {
    const size_t cores = options_.threads > 0 ? static_cast<size_t>(options_.threads)
                                              : std::max(1u, std::thread::hardware_concurrency());
    const size_t tiles = std::max<uint64_t>(1, options_.memory / std::max<uint64_t>(1, largest_));
    std::vector<std::thread> helpers;
    try {
      for (size_t i = 1; i < std::min({cores, tiles, pieces_.size()}); ++i) helpers.emplace_back([this] { work({}); });
    } catch (const std::system_error&) {  // fewer threads than cores will do
    }
    work(options_.progress);
    for (std::thread& helper : helpers) helper.join();
    if (failure_) std::rethrow_exception(failure_);
    if (options_.progress) options_.progress(done_, total_);
  }

 private:
  void work(const std::function<void(uint64_t, uint64_t)>& progress) {
    try {
      std::vector<std::byte> tile;
      for (size_t i = next_++; i < pieces_.size() && !failed_; i = next_++) {
        if (options_.cancel != nullptr && *options_.cancel) throw Error(Failure::output, "interrupted", "");
        deliver(pieces_[i], tile);
        done_ += pieces_[i].bytes;
        if (progress) progress(done_, total_);
      }
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!failure_) failure_ = std::current_exception();
      failed_ = true;
    }
  }

  void deliver(const Piece& piece, std::vector<std::byte>& tile) {
    const WriteJob& job = jobs_[piece.job];
    const bool copied = copied_in_kernel(piece);
    if (copied && options_.not_finite == nullptr) return;
    if (tile.empty()) tile.resize(largest_);
    const std::span bytes(tile.data(), piece.bytes);
    make(job, piece, bytes);
    if (options_.not_finite != nullptr) look_at(piece, bytes);
    if (copied) return;
    if (!piece.source && --left_[piece.region] == 0) {
      const Region& region = plan_.regions[piece.region];
      if (region.file != nullptr) region.file->forget(region.offset, region.bytes);
    }
    const Turn turn(next_turn_, turn_);
    write_piece(job, piece, bytes);
  }

  bool copied_in_kernel(const Piece& piece) {
    if (!piece.source || !shares_pages(*piece.source, piece.target)) return false;
    const Turn turn(next_turn_, turn_);
    return copy_in_kernel(jobs_[piece.job], piece);
  }

  /// Notes the weight of the first number that is none. Of a run of several weights the later ones may be as well.
  void look_at(const Piece& piece, std::span<const std::byte> bytes) {
    const ir::DType dtype = jobs_[piece.job].weight.dtype();
    const std::optional<uint64_t> place = first_not_finite(dtype, bytes);
    if (!place) return;
    size_t job = piece.job;
    if (piece.source) {
      const uint64_t target = piece.target + *place * ir::size_of(dtype);
      while (job + 1 < jobs_.size() && jobs_[job + 1].descriptor == jobs_[job].descriptor &&
             jobs_[job].offset + jobs_[job].weight.bytes() <= target)
        ++job;
    }
    const std::lock_guard lock(mutex_);
    options_.not_finite->insert(jobs_[job].weight.stored->name);
  }

  const std::vector<WriteJob>& jobs_;
  const WriteOptions& options_;
  const WritePlan plan_;
  const std::vector<Piece>& pieces_;
  std::vector<std::atomic<uint32_t>> left_;  // pieces of each region that are still to be made
  uint64_t total_ = 0, largest_ = 0;
  std::atomic<size_t> next_{0};
  std::atomic<uint64_t> done_{0};
  std::atomic<uint32_t> next_turn_{0}, turn_{0};
  std::atomic<bool> failed_{false};
  std::mutex mutex_;  // guards what follows
  std::exception_ptr failure_;
};

/// A stack as its pieces, and a stacked tensor that is turned or cut as the matrices in it: each is planned by itself,
/// so that no more of the checkpoint is looked at than a matrix at a time.
void add_in_pieces(const WriteJob& job, std::vector<WriteJob>& jobs) {
  std::vector<Weight> pieces = job.weight.pieces();
  const std::vector<Transform>& transforms = job.weight.transforms;
  const auto moves = [](const Transform& transform) { return !std::holds_alternative<CastTo>(transform); };
  if (pieces.empty() && job.weight.shape().size() > 2 && std::ranges::any_of(transforms, moves))
    pieces = along_first_axis(job.weight);
  if (pieces.empty()) jobs.push_back(job);
  uint64_t offset = job.offset;
  for (const Weight& piece : pieces) {
    add_in_pieces({piece, job.descriptor, offset}, jobs);
    offset += piece.bytes();
  }
}

}  // namespace

void write_weights(const std::vector<WriteJob>& wanted, const WriteOptions& options) {
  std::vector<WriteJob> jobs;
  for (const WriteJob& job : wanted) add_in_pieces(job, jobs);
  Work(jobs, options).run();
  std::set<const MappedFile*> sources;
  for (const WriteJob& job : jobs) sources.insert(job.weight.stored->file.get());
  for (const MappedFile* source : sources) {
    if (source != nullptr) source->check_unchanged();
  }
}

}  // namespace onnxport
