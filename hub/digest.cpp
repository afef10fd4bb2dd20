// SPDX-License-Identifier: Apache-2.0
#include "hub/digest.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <nettle/sha1.h>
#include <nettle/sha2.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

#include "core/error.hpp"

namespace onnxport::hub {
namespace {

constexpr size_t block_bytes = 1 << 20;

std::string hexadecimal(std::span<const uint8_t> digest) {
  std::string text;
  for (const uint8_t byte : digest) text += fmt::format("{:02x}", byte);
  return text;
}

/// A file's blocks, handed to `take` one after another.
class Blocks {
 public:
  explicit Blocks(const std::filesystem::path& path)
      : path_(path), descriptor_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    if (descriptor_ < 0) fail();
  }
  ~Blocks() { ::close(descriptor_); }
  Blocks(const Blocks&) = delete;
  Blocks& operator=(const Blocks&) = delete;

  uint64_t size() const {
    struct stat info {};
    if (::fstat(descriptor_, &info) != 0) fail();
    return static_cast<uint64_t>(info.st_size);
  }

  template <class Take>
  void each(const std::function<bool()>& stop, Take take) const {
    std::vector<uint8_t> block(block_bytes);
    for (;;) {
      if (stop && stop()) throw Error(Failure::output, "interrupted");
      const ssize_t count = ::read(descriptor_, block.data(), block.size());
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) fail();
      if (count == 0) return;
      take(block.data(), static_cast<size_t>(count));
    }
  }

 private:
  [[noreturn]] void fail() const {
    throw Error(Failure::checkpoint, fmt::format("{} cannot be read: {}", path_.string(), std::strerror(errno)),
                "check the permissions of the cache's folder");
  }

  std::filesystem::path path_;
  int descriptor_;
};

}  // namespace

Checksum checksum_kind(const std::string& etag) {
  if (etag.find_first_not_of("0123456789abcdef") != etag.npos) return Checksum::none;
  return etag.size() == 64 ? Checksum::sha256 : etag.size() == 40 ? Checksum::git_sha1 : Checksum::none;
}

std::string checksum_of(const std::filesystem::path& file, Checksum kind, const std::function<bool()>& stop) {
  if (kind == Checksum::none) return {};
  const Blocks blocks(file);
  if (kind == Checksum::sha256) {
    sha256_ctx context;
    sha256_init(&context);
    blocks.each(stop, [&](const uint8_t* data, size_t size) { sha256_update(&context, size, data); });
    std::array<uint8_t, SHA256_DIGEST_SIZE> digest;
    sha256_digest(&context, digest.size(), digest.data());
    return hexadecimal(digest);
  }
  sha1_ctx context;
  sha1_init(&context);
  // With its terminating zero.
  const std::string head = fmt::format("blob {}", blocks.size());
  sha1_update(&context, head.size() + 1, reinterpret_cast<const uint8_t*>(head.c_str()));
  blocks.each(stop, [&](const uint8_t* data, size_t size) { sha1_update(&context, size, data); });
  std::array<uint8_t, SHA1_DIGEST_SIZE> digest;
  sha1_digest(&context, digest.size(), digest.data());
  return hexadecimal(digest);
}

}  // namespace onnxport::hub
