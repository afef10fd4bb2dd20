// SPDX-License-Identifier: Apache-2.0
// Any bytes as a zip archive of torch.save. Bytes that do not begin like one are taken for the pickle in a sound
// archive, so that the search is not kept busy by the container.
#include "tests/fuzz/targets.hpp"
#include "tests/fuzz/torch_target.hpp"
#include "tests/support/torch_writer.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string bytes(reinterpret_cast<const char*>(data), size);
  if (!bytes.starts_with("PK")) {
    std::vector<onnxport::torch_writer::ZipEntry> entries{{"m/data.pkl", bytes}};
    for (char key = '0'; key <= '9'; ++key) entries.push_back({std::string("m/data/") + key, std::string(280, '\1')});
    bytes = onnxport::torch_writer::zip(entries);
  }
  onnxport::try_torch_file({reinterpret_cast<const std::byte*>(bytes.data()), bytes.size()});
  return 0;
}
