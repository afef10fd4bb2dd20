// SPDX-License-Identifier: Apache-2.0
#include "host/model/added_metadata.hpp"

#include <cstdint>
#include <fstream>

#include "core/error.hpp"

namespace onnxport {
namespace {

/// A field of bytes as protocol buffers have it: its number, the length in groups of seven bits, and the bytes.
std::string field(int number, const std::string& bytes) {
  constexpr uint64_t more = 0x80;
  std::string encoded{static_cast<char>(number << 3 | 2)};
  uint64_t length = bytes.size();
  for (; length >= more; length /= more) encoded += static_cast<char>(length % more | more);
  return encoded + static_cast<char>(length) + bytes;
}

}  // namespace

/// In the encoding of protocol buffers the entries of a list may stand anywhere, also behind all else.
void add_metadata(const std::filesystem::path& model, const MetadataEntry& entry) {
  constexpr int metadata_props = 14, key = 1, value = 2;  // of ModelProto and of StringStringEntryProto
  std::ofstream out(model, std::ios::binary | std::ios::app);
  out << field(metadata_props, field(key, entry.key) + field(value, entry.value));
  if (!out.flush()) throw Error(Failure::output, "cannot write " + model.string());
}

}  // namespace onnxport
