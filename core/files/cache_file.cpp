// SPDX-License-Identifier: Apache-2.0
#include "core/files/cache_file.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <fstream>
#include <system_error>

namespace onnxport {

void leave_in_cache(const std::filesystem::path& file, std::string_view bytes) {
  std::error_code ignored;
  std::filesystem::create_directories(file.parent_path(), ignored);
  const std::filesystem::path beside = fmt::format("{}.{}", file.string(), ::getpid());
  std::ofstream out(beside, std::ios::binary);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  out.close();
  if (out)
    std::filesystem::rename(beside, file, ignored);
  else
    std::filesystem::remove(beside, ignored);
}

}  // namespace onnxport
