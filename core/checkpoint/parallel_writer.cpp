// SPDX-License-Identifier: Apache-2.0
#include "core/checkpoint/parallel_writer.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <exception>
#include <mutex>
#include <set>
#include <thread>

#include "core/checkpoint/convert.hpp"
#include "core/error.hpp"

namespace onnxport {
namespace {

constexpr uint64_t tile_bytes = uint64_t{2} << 20;  // a transposed tile; in memory once a thread
constexpr uint64_t run_bytes = uint64_t{16} << 20;  // an untouched run

/// A run of one weight's final bytes.
struct Piece {
  size_t job;
  uint64_t begin, bytes;
};

[[noreturn]] void fail_to_write() {
  const int reason = errno;
  throw Error(Failure::output, fmt::format("the model cannot be written: {}", std::strerror(reason)),
              reason == ENOSPC || reason == EFBIG || reason == EDQUOT ? "free some space, or choose another output folder"
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

}  // namespace

void write_weights(const std::vector<WriteJob>& jobs, const WriteOptions& options) {
  std::vector<Piece> pieces;
  uint64_t total = 0;
  std::set<const MappedFile*> sources;
  for (size_t i = 0; i < jobs.size(); ++i) {
    const TileReader reader(jobs[i].weight);
    const uint64_t bytes = jobs[i].weight.bytes(), grain = reader.granularity();
    const uint64_t wanted = reader.untouched() ? run_bytes : tile_bytes;
    const uint64_t step = std::max(grain, wanted / grain * grain);
    for (uint64_t begin = 0; begin < bytes; begin += step) pieces.push_back({i, begin, std::min(step, bytes - begin)});
    total += bytes;
    sources.insert(jobs[i].weight.stored->file.get());
  }

  std::atomic<size_t> next{0};
  std::atomic<bool> stop{false};
  std::mutex mutex;  // guards the two below and the progress callback
  uint64_t done = 0;
  std::exception_ptr failure;
  const auto work = [&] {
    std::vector<std::byte> buffer;
    try {
      for (size_t index = next++; index < pieces.size() && !stop; index = next++) {
        if (options.cancel != nullptr && *options.cancel) throw Error(Failure::output, "interrupted", "");
        const Piece& piece = pieces[index];
        const WriteJob& job = jobs[piece.job];
        const TileReader reader(job.weight);
        if (const auto source = reader.untouched()) {
          copy_run(*job.weight.stored->file, *source + piece.begin, piece.bytes, job.descriptor, job.offset + piece.begin);
        } else {
          buffer.resize(piece.bytes);
          reader.read(piece.begin, buffer);
          write_bytes(job.descriptor, buffer, job.offset + piece.begin);
        }
        if (options.progress) {
          const std::lock_guard lock(mutex);
          options.progress(done += piece.bytes, total);
        }
      }
    } catch (...) {
      const std::lock_guard lock(mutex);
      if (!failure) failure = std::current_exception();
      stop = true;
    }
  };
  const size_t wanted = options.threads > 0 ? static_cast<size_t>(options.threads) : std::max(1u, std::thread::hardware_concurrency());
  std::vector<std::thread> helpers;
  for (size_t i = 1; i < std::min(wanted, pieces.size()); ++i) helpers.emplace_back(work);
  work();
  for (std::thread& helper : helpers) helper.join();
  if (failure) std::rethrow_exception(failure);
  for (const MappedFile* source : sources) source->check_unchanged();
}

}  // namespace onnxport
