// SPDX-License-Identifier: Apache-2.0
// Files of torch.save put together by hand, so that each of their parts can be wrong.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace onnxport::torch_writer {

/// A number's bytes.
template <class T>
std::string raw(T number) {
  std::string bytes(sizeof number, '\0');
  std::memcpy(bytes.data(), &number, sizeof number);
  return bytes;
}

// ---------------------------------------------------------------- pieces of a pickle, each of which leaves one value

inline std::string text(const std::string& value) {
  return "X" + raw(static_cast<uint32_t>(value.size())) + value;
}
inline std::string number(int64_t value) {
  return "\x8a\x08" + raw(value);
}
inline std::string global(const std::string& module, const std::string& name) {
  return "c" + module + "\n" + name + "\n";
}
inline std::string tuple(const std::string& items) {
  return "(" + items + "t";
}
inline std::string numbers(const std::vector<int64_t>& values) {
  std::string items;
  for (const int64_t value : values) items += number(value);
  return tuple(items);
}
inline std::string dict(const std::string& items) {
  return "}(" + items + "u";
}

struct StorageFields {
  std::string key = "0";
  std::string type = global("torch", "FloatStorage");
  int64_t count = 6;
  std::string view = {};  // of the form before 1.6
};
inline std::string storage(const StorageFields& fields) {
  return tuple(text("storage") + fields.type + text(fields.key) + text("cpu") + number(fields.count) + fields.view) +
         "Q";
}

struct TensorFields {
  std::string storage = torch_writer::storage({});
  int64_t offset = 0;
  std::vector<int64_t> shape{2, 3}, strides{3, 1};
  std::string function = global("torch._utils", "_rebuild_tensor_v2");
  std::string metadata = {};
};
inline std::string tensor(const TensorFields& fields) {
  return fields.function +
         tuple(fields.storage + number(fields.offset) + numbers(fields.shape) + numbers(fields.strides) + "\x89" +
               global("collections", "OrderedDict") + ")R" + fields.metadata) +
         "R";
}

inline std::string pickled(const std::string& value) {
  return "\x80\x02" + value + ".";
}

// -------------------------------------------------------------------------------------------------------- containers

struct ZipEntry {
  std::string name, bytes;
  uint16_t method = 0, flags = 0;
  bool zip64 = false;  // sizes in the 64-bit field
};

/// A zip archive of stored entries.
inline std::string zip(const std::vector<ZipEntry>& entries) {
  std::string file, directory;
  for (const ZipEntry& entry : entries) {
    const auto size = static_cast<uint32_t>(entry.bytes.size());
    const auto offset = static_cast<uint32_t>(file.size());
    const uint32_t shown = entry.zip64 ? 0xffffffffu : size;
    const std::string wide = raw(uint64_t{size}) + raw(uint64_t{size});
    const std::string extra = entry.zip64 ? raw(uint16_t{1}) + raw(uint16_t{16}) + wide : "";
    const std::string common = raw(uint16_t{45}) + raw(entry.flags) + raw(entry.method) + raw(uint32_t{0}) +
                               raw(uint32_t{0}) + raw(shown) + raw(shown) +
                               raw(static_cast<uint16_t>(entry.name.size())) + raw(static_cast<uint16_t>(extra.size()));
    file += "PK\x03\x04" + common + entry.name + extra + entry.bytes;
    directory += "PK\x01\x02" + raw(uint16_t{45}) + common + raw(uint16_t{0}) + raw(uint16_t{0}) + raw(uint16_t{0}) +
                 raw(uint32_t{0}) + raw(offset) + entry.name + extra;
  }
  const auto count = static_cast<uint16_t>(entries.size());
  const auto at = static_cast<uint32_t>(file.size()), size = static_cast<uint32_t>(directory.size());
  return file + directory + "PK\x05\x06" + raw(uint32_t{0}) + raw(count) + raw(count) + raw(size) + raw(at) +
         raw(uint16_t{0});
}

/// An archive of a pickled value and one storage of 24 bytes.
inline std::string archive(const std::string& value, const std::string& byte_order = "little") {
  return zip({{"m/data.pkl", pickled(value)},
              {"m/byteorder", byte_order},
              {"m/data/0", std::string(24, '\1')},
              {"m/version", "3\n"}});
}

struct LegacyFields {
  std::string magic = std::string("\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", 12);
  int64_t protocol = 1001;
  std::string system = dict(text("little_endian") + "\x88");
  std::string value = dict(text("a") + tensor({}));
  std::string keys = "](" + text("0") + "e";
  std::string storages = raw(int64_t{6}) + std::string(24, '\1');
};
/// The form before PyTorch 1.6.
inline std::string legacy(const LegacyFields& fields) {
  return pickled(fields.magic) + pickled(number(fields.protocol)) + pickled(fields.system) + pickled(fields.value) +
         pickled(fields.keys) + fields.storages;
}

}  // namespace onnxport::torch_writer
