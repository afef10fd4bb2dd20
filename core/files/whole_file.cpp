// SPDX-License-Identifier: Apache-2.0
#include "core/files/whole_file.hpp"

#include <fstream>
#include <iterator>

namespace onnxport {

std::string read_whole(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace onnxport
