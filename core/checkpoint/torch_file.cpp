// SPDX-License-Identifier: Apache-2.0
#include "core/checkpoint/torch_file.hpp"

#include <fmt/format.h>

#include <bit>
#include <cstring>
#include <map>

#include "core/checkpoint/pickle.hpp"
#include "core/checkpoint/torch_tensors.hpp"
#include "core/checkpoint/zip_archive.hpp"
#include "core/error.hpp"
#include "core/files/content.hpp"

namespace onnxport {
namespace {

using pickle::Document;
using pickle::Kind;

static_assert(std::endian::native == std::endian::little, "storages are little-endian");

constexpr const char* byte_order_hint = "save the checkpoint again on a little-endian machine, or as model.safetensors";

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// ------------------------------------------------------------------------------------ since PyTorch 1.6: a zip archive

TorchFile parse_archive(std::span<const std::byte> bytes, const std::string& path) {
  const ZipArchive archive(bytes, path);
  const std::string pickled = archive.find_in_folder("data.pkl");
  if (pickled.empty())
    throw Error(Failure::checkpoint, fmt::format("{} is a zip archive without a data.pkl", path), broken_archive_hint);
  const std::string folder = pickled.substr(0, pickled.find('/') + 1);
  if (archive.has(folder + "constants.pkl")) {
    throw Error(Failure::checkpoint, fmt::format("{} is a TorchScript program, expected a dict of tensors", path),
                "load it with PyTorch and save its state dict, with torch.save or as model.safetensors");
  }
  if (archive.has(folder + "byteorder")) {
    const std::string_view order = text_of(archive.entry(folder + "byteorder"));
    if (order != "little") {
      throw Error(Failure::checkpoint,
                  fmt::format("{} has the byte order '{}', expected 'little'", path, order.substr(0, 16)),
                  byte_order_hint);
    }
  }
  const std::vector<std::string_view> globals = torch_globals();
  const Document document = pickle::read(archive.entry(pickled), path, globals);
  return torch_tensors(document, path, [&](const TorchStorage& storage) {
    const std::span<const std::byte> data = archive.entry(folder + "data/" + storage.key);
    return Extent{static_cast<uint64_t>(data.data() - bytes.data()), data.size()};
  });
}

// ------------------------------------------- before: five pickles, then each storage's number of elements and its
// bytes

/// The first pickle's number, as its bytes.
constexpr std::string_view legacy_magic = "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
constexpr int64_t legacy_protocol = 1001;

/// Reads a file of that form from its begin to its end.
class LegacyReader {
 public:
  LegacyReader(std::span<const std::byte> bytes, const std::string& path) : bytes_(bytes), path_(path) {}

  TorchFile run() {
    check_head();
    const Document object = next_pickle();
    const Document keys = next_pickle();
    read_storages(keys, torch_storages(object, path_));
    return torch_tensors(object, path_, [this](const TorchStorage& storage) {
      const auto found = extents_.find(storage.key);
      if (found == extents_.end()) refuse("the storage '{}' is used and not listed", storage.key);
      return found->second;
    });
  }

 private:
  template <class... Args>
  [[noreturn]] void refuse(fmt::format_string<Args...> text, Args&&... args) const {
    throw Error(Failure::checkpoint, path_ + ": " + fmt::format(text, std::forward<Args>(args)...),
                broken_archive_hint);
  }
  Document next_pickle() {
    Document document = pickle::read(bytes_.subspan(at_), path_, globals_);
    at_ += document.length();
    return document;
  }

  void check_head() {
    const Document magic = next_pickle();
    if (magic[magic.root()].kind != Kind::long_integer || magic[magic.root()].text != legacy_magic)
      refuse("it holds a pickle ({}), but is not of torch.save", describe(magic, magic.root()));
    const Document protocol = next_pickle();
    if (protocol[protocol.root()].kind != Kind::integer || protocol[protocol.root()].integer != legacy_protocol)
      refuse("its protocol is {}, expected {}", describe(protocol, protocol.root()), legacy_protocol);
    const Document system = next_pickle();
    const pickle::Value& fields = system[system.root()];
    if (fields.kind != Kind::dict) refuse("what it says of its machine is {}", describe(system, system.root()));
    for (size_t i = 0; i < fields.items.size(); i += 2) {
      if (system[fields.items[i]].text != "little_endian") continue;
      if (system[fields.items[i + 1]].kind != Kind::boolean || system[fields.items[i + 1]].integer == 0)
        throw Error(Failure::checkpoint, fmt::format("{} was written by a big-endian machine", path_), byte_order_hint);
    }
  }

  void read_storages(const Document& keys, const std::vector<TorchStorage>& storages) {
    std::map<std::string_view, size_t> element_sizes;
    for (const TorchStorage& storage : storages) {
      const size_t size = ir::size_of(storage.dtype);
      if (element_sizes.emplace(storage.key, size).first->second != size)
        refuse("the storage '{}' has elements of two sizes", storage.key);
    }
    const pickle::Value& list = keys[keys.root()];
    if (list.kind != Kind::list) refuse("its list of storages is {}", describe(keys, keys.root()));
    for (const pickle::Ref ref : list.items) {
      const std::string_view key = keys[ref].text;
      const auto size = element_sizes.find(key);
      if (keys[ref].kind != Kind::text || size == element_sizes.end())
        refuse("its list of storages names '{}', which no tensor has", key);
      int64_t count = 0;
      if (bytes_.size() - at_ < sizeof count) refuse("the file ends before the storage '{}'", key);
      std::memcpy(&count, bytes_.data() + at_, sizeof count);
      at_ += sizeof count;
      uint64_t length = 0;
      if (count < 0 || __builtin_mul_overflow(static_cast<uint64_t>(count), size->second, &length) ||
          length > bytes_.size() - at_) {
        refuse("the storage '{}' would have {} elements of {} bytes; the file has {} bytes left", key, count,
               size->second, bytes_.size() - at_);
      }
      if (!extents_.emplace(key, Extent{at_, length}).second) refuse("the storage '{}' is listed twice", key);
      at_ += length;
    }
  }

  std::span<const std::byte> bytes_;
  const std::string& path_;
  const std::vector<std::string_view> globals_ = torch_globals();
  size_t at_ = 0;
  std::map<std::string, Extent, std::less<>> extents_;
};

}  // namespace

TorchFile parse_torch_file(std::span<const std::byte> bytes, const std::string& path) {
  const std::string_view text = text_of(bytes);
  if (text.starts_with("PK\x03\x04")) return parse_archive(bytes, path);
  if (text.starts_with('\x80')) return LegacyReader(bytes, path).run();
  refuse_other_content(text, path);
  throw Error(Failure::checkpoint, fmt::format("{} is no file of torch.save", path), broken_archive_hint);
}

TorchFile read_torch_file(const std::string& path) {
  const std::shared_ptr<const MappedFile> mapped = MappedFile::open(path);
  TorchFile file = parse_torch_file(mapped->bytes(), path);
  for (StoredTensor& stored : file.tensors) stored.file = mapped;
  return file;
}

}  // namespace onnxport
