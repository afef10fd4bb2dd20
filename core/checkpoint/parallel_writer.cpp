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

constexpr uint64_t tile_bytes = uint64_t{1} << 20;  // a transformed tile; a few of them in memory
constexpr uint64_t run_bytes = uint64_t{4} << 20;   // an untouched run

/// A run of one weight's final bytes; untouched where they are those of the checkpoint.
struct Piece {
  size_t job;
  uint64_t begin, bytes;
  bool untouched;
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

/// Copies without the bytes passing through this process where the kernel can, else from the mapping.
void copy_run(const MappedFile& file, uint64_t from, uint64_t bytes, int descriptor, uint64_t to) {
  uint64_t done = 0;
  while (done < bytes) {
    auto in = static_cast<off64_t>(from + done);
    auto out = static_cast<off64_t>(to + done);
    const ssize_t count = ::copy_file_range(file.descriptor(), &in, descriptor, &out, bytes - done, 0);
    if (count > 0) {
      done += static_cast<uint64_t>(count);
    } else if (count < 0 && errno == EINTR) {
      continue;
    } else if (count < 0 && (errno == ENOSPC || errno == EFBIG || errno == EDQUOT || errno == EIO)) {
      fail_to_write();
    } else {
      write_bytes(descriptor, file.bytes().subspan(from + done, bytes - done), to + done);
      return;
    }
  }
}

/// Cuts the weights into pieces in the order of the jobs, which is that of the file.
std::vector<Piece> cut(const std::vector<WriteJob>& jobs) {
  std::vector<Piece> pieces;
  for (size_t i = 0; i < jobs.size(); ++i) {
    const TileReader reader(jobs[i].weight);
    const uint64_t bytes = jobs[i].weight.bytes(), grain = reader.granularity();
    const bool untouched = reader.untouched().has_value();
    const uint64_t step = std::max(grain, (untouched ? run_bytes : tile_bytes) / grain * grain);
    for (uint64_t begin = 0; begin < bytes; begin += step)
      pieces.push_back({i, begin, std::min(step, bytes - begin), untouched});
  }
  return pieces;
}

/// Transforms pieces ahead of the one thread that writes. Only one writes, because the file system lets one at a time
/// write to a file anyway; the others would spin. A piece is claimed by whoever comes first, a helper or the writer
/// itself.
class Ahead {
 public:
  Ahead(const std::vector<WriteJob>& jobs, const std::vector<Piece>& pieces, size_t helpers)
      : jobs_(jobs), pieces_(pieces), states_(pieces.size()) {
    for (size_t i = 0; i < helpers * 4; ++i) free_.emplace_back();
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
    TileReader(jobs_[pieces_[index].job].weight).read(pieces_[index].begin, buffer);
  }

  void help() {
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [&] { return stop_ || !free_.empty(); });
      while (next_ < pieces_.size() && (pieces_[next_].untouched || states_[next_].claimed)) ++next_;
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

}  // namespace

void write_weights(const std::vector<WriteJob>& jobs, const WriteOptions& options) {
  const std::vector<Piece> pieces = cut(jobs);
  uint64_t total = 0, done = 0;
  std::set<const MappedFile*> sources;
  for (const WriteJob& job : jobs) {
    total += job.weight.bytes();
    sources.insert(job.weight.stored->file.get());
  }
  const size_t threads =
      options.threads > 0 ? static_cast<size_t>(options.threads) : std::max(1u, std::thread::hardware_concurrency());
  const bool any_work = std::any_of(pieces.begin(), pieces.end(), [](const Piece& piece) { return !piece.untouched; });
  Ahead ahead(jobs, pieces, any_work ? std::min(threads - 1, pieces.size()) : 0);
  // Two runs through the pieces: what a helper has ready goes first, and what needs no work fills the time until then.
  size_t transformed = 0, untouched = 0;
  const auto skip = [&](size_t& at, bool wanted) {
    while (at < pieces.size() && pieces[at].untouched != wanted) ++at;
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
      const uint64_t source = *TileReader(job.weight).untouched();
      copy_run(*job.weight.stored->file, source + piece.begin, piece.bytes, job.descriptor, job.offset + piece.begin);
    } else {
      write_bytes(job.descriptor, ahead.take(index), job.offset + piece.begin);
      ahead.give_back(index);
    }
    done += piece.bytes;
    if (options.progress) options.progress(done, total);
  }
  for (const MappedFile* source : sources) source->check_unchanged();
}

}  // namespace onnxport
