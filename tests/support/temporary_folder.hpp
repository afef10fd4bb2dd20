// SPDX-License-Identifier: Apache-2.0
// A folder for a test.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <system_error>

namespace onnxport::test {

/// A new folder, gone with all that is in it at the end.
class TemporaryFolder {
 public:
  TemporaryFolder() : path(made()) {}
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  /// It stands for its path.
  operator const std::filesystem::path&() const { return path; }
  std::filesystem::path operator/(const std::filesystem::path& name) const { return path / name; }

  /// Writes a file, in folders that need not be there, and gives its path.
  std::filesystem::path write(const std::filesystem::path& name, const std::string& bytes) const {
    std::filesystem::create_directories((path / name).parent_path());
    std::ofstream(path / name, std::ios::binary) << bytes;
    return path / name;
  }
  std::string read(const std::filesystem::path& name) const {
    std::ifstream file(path / name, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  const std::filesystem::path path;

 private:
  static std::filesystem::path made() {
    std::string pattern = (std::filesystem::temp_directory_path() / "onnxport-test-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary folder " + pattern);
    return pattern;
  }
};

}  // namespace onnxport::test
