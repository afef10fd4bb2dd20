// SPDX-License-Identifier: Apache-2.0
#include "core/output/throughput.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <optional>

#include "core/files/output_file.hpp"

namespace onnxport {
namespace {

constexpr uint64_t sample_bytes = uint64_t{16} << 20, step_bytes = uint64_t{256} << 10;

class Watch {
 public:
  double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count(); }

 private:
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

double seconds_per_written_byte(const std::filesystem::path& folder) {
  const std::filesystem::path file = folder / ".sample";
  const std::vector<std::byte> bytes(step_bytes, std::byte{1});
  const Watch watch;
  {
    OutputFile sample(file, sample_bytes);
    for (uint64_t at = 0; at < sample_bytes; at += step_bytes) sample.write(bytes, at);
    sample.close();
  }
  const double seconds = watch.seconds();
  std::error_code ignored;
  std::filesystem::remove(file, ignored);
  return seconds / static_cast<double>(sample_bytes);
}

/// Bytes of a mapping that have to come from the disk, by looking at every 64th megabyte.
struct Cold {
  uint64_t bytes = 0;
  uint64_t first = 0;  // where some of them lie
};

Cold cold_part(const MappedFile& file) {
  constexpr uint64_t look = uint64_t{1} << 20, stride = 64 * look;
  const uint64_t page = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE)), size = file.bytes().size();
  uint64_t looked = 0, absent = 0;
  Cold cold;
  std::vector<unsigned char> resident(look / page);
  for (uint64_t at = 0; at < size; at += stride) {
    const uint64_t length = std::min(look, size - at);
    auto* address = const_cast<std::byte*>(file.bytes().data() + at);
    if (::mincore(address, length, resident.data()) != 0) return {};
    const uint64_t pages = (length + page - 1) / page;
    const auto missing =
        static_cast<uint64_t>(std::count_if(resident.begin(), resident.begin() + static_cast<std::ptrdiff_t>(pages),
                                            [](unsigned char state) { return (state & 1) == 0; }));
    if (missing > 0 && absent == 0) cold.first = at;
    looked += pages;
    absent += missing;
  }
  if (looked > 0) cold.bytes = size / looked * absent;
  return cold;
}

double seconds_per_cold_byte(const MappedFile& file, uint64_t begin) {
  std::vector<std::byte> buffer(step_bytes);
  const Watch watch;
  uint64_t done = 0;
  while (done < sample_bytes) {
    const ssize_t count = ::pread(file.descriptor(), buffer.data(), buffer.size(), static_cast<off_t>(begin + done));
    if (count <= 0) break;
    done += static_cast<uint64_t>(count);
  }
  return done == 0 ? 0 : watch.seconds() / static_cast<double>(done);
}

}  // namespace

double predict_seconds(uint64_t bytes, const std::vector<std::shared_ptr<const MappedFile>>& files,
                       const std::filesystem::path& folder) {
  double seconds = static_cast<double>(bytes) * seconds_per_written_byte(folder);
  std::optional<double> per_byte;
  for (const auto& file : files) {
    const Cold cold = cold_part(*file);
    if (cold.bytes == 0) continue;
    if (!per_byte) per_byte = seconds_per_cold_byte(*file, cold.first);
    seconds += static_cast<double>(cold.bytes) * *per_byte;
  }
  return seconds;
}

}  // namespace onnxport
