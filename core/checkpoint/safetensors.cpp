// SPDX-License-Identifier: Apache-2.0
// The safetensors format: u64 header length, JSON header, tensors. Every number in it is checked before use.
#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <fstream>
#include <set>

#include "core/checkpoint/checkpoint.hpp"
#include "core/error.hpp"
#include "core/files/content.hpp"

namespace onnxport {
namespace {

constexpr uint64_t longest_header = 100'000'000;  // as the format's own library has it
constexpr const char* broken_hint = "the file is damaged or is no safetensors file; download it again";

struct DTypeName {
  std::string_view name;
  ir::DType dtype;
};
constexpr DTypeName dtype_names[] = {
    {"F32", ir::DType::f32},        {"F16", ir::DType::f16},
    {"BF16", ir::DType::bf16},      {"F64", ir::DType::f64},
    {"I64", ir::DType::i64},        {"I32", ir::DType::i32},
    {"I16", ir::DType::i16},        {"I8", ir::DType::i8},
    {"U64", ir::DType::u64},        {"U32", ir::DType::u32},
    {"U16", ir::DType::u16},        {"U8", ir::DType::u8},
    {"BOOL", ir::DType::boolean},   {"F8_E4M3", ir::DType::f8e4m3fn},
    {"F8_E5M2", ir::DType::f8e5m2},
};

/// Refuses the file, naming it.
struct Refuser {
  const std::string& path;
  template <class... Args>
  [[noreturn]] void operator()(fmt::format_string<Args...> text, Args&&... args) const {
    throw Error(Failure::checkpoint, path + ": " + fmt::format(text, std::forward<Args>(args)...), broken_hint);
  }
};

Json parse_header(std::string_view text, const Refuser& refuse) {
  std::set<std::string> keys;
  std::string twice;
  const auto watch = [&](int depth, nlohmann::json::parse_event_t event, Json& parsed) {
    if (event == nlohmann::json::parse_event_t::key && depth == 1 && !keys.insert(parsed.get<std::string>()).second)
      twice = parsed;
    return true;
  };
  Json header;
  try {
    header = Json::parse(text.begin(), text.end(), watch);
  } catch (const nlohmann::json::exception& problem) {
    refuse("its header is no valid JSON: {}", said_by_parser(problem));
  }
  if (!twice.empty()) refuse("its header has the tensor '{}' twice", twice);
  if (!header.is_object()) refuse("its header is no JSON object");
  return header;
}

uint64_t number_of(const Json& value, const std::string& name, const char* field, const Refuser& refuse) {
  if (!value.is_number_unsigned())
    refuse("tensor '{}': {} holds {}, expected a number from 0", name, field, value.dump());
  return value.get<uint64_t>();
}

SafetensorsEntry parse_entry(const std::string& name, const Json& fields, uint64_t data_begin, uint64_t data_bytes,
                             const Refuser& refuse) {
  if (!fields.is_object()) refuse("tensor '{}' is described by {}, expected an object", name, fields.type_name());
  for (const char* field : {"dtype", "shape", "data_offsets"}) {
    if (!fields.contains(field)) refuse("tensor '{}' has no {}", name, field);
  }
  SafetensorsEntry entry;
  entry.name = name;
  if (!fields["dtype"].is_string()) refuse("tensor '{}': its dtype is no text", name);
  const auto& dtype = fields["dtype"].get_ref<const std::string&>();
  const auto row = std::find_if(std::begin(dtype_names), std::end(dtype_names),
                                [&](const DTypeName& known) { return known.name == dtype; });
  if (row == std::end(dtype_names)) {
    throw Error(Failure::checkpoint,
                fmt::format("{}: tensor '{}' has the dtype {}, which is not supported", refuse.path, name, dtype),
                "supported are F64, F32, F16, BF16, F8_E4M3, F8_E5M2, the integers of 8 to 64 bits and BOOL; convert "
                "the checkpoint to one of these");
  }
  entry.dtype = row->dtype;
  if (!fields["shape"].is_array() || fields["shape"].size() > 16)
    refuse("tensor '{}': its shape is no list of at most 16 sizes", name);
  uint64_t expected = ir::size_of(entry.dtype);
  for (const Json& size : fields["shape"]) {
    const uint64_t length = number_of(size, name, "shape", refuse);
    if (length > uint64_t{INT64_MAX} || __builtin_mul_overflow(expected, length, &expected))
      refuse("tensor '{}': its shape overflows", name);
    entry.shape.push_back(static_cast<int64_t>(length));
  }
  const Json& offsets = fields["data_offsets"];
  if (!offsets.is_array() || offsets.size() != 2) refuse("tensor '{}': data_offsets is no pair", name);
  const uint64_t begin = number_of(offsets[0], name, "data_offsets", refuse),
                 end = number_of(offsets[1], name, "data_offsets", refuse);
  if (begin > end || end > data_bytes) {
    refuse("tensor '{}' lies at [{}, {}) of {} bytes of data: outside the file, which may be cut off", name, begin, end,
           data_bytes);
  }
  if (end - begin != expected) {
    refuse("tensor '{}' of {} [{}] takes {} bytes; the header gives it {}", name, dtype, fmt::join(entry.shape, ", "),
           expected, end - begin);
  }
  entry.offset = data_begin + begin;
  entry.bytes = expected;
  return entry;
}

/// The format wants the data covered without overlaps or holes.
void check_cover(std::vector<SafetensorsEntry>& entries, uint64_t data_begin, uint64_t file_bytes,
                 const Refuser& refuse) {
  std::sort(entries.begin(), entries.end(), [](const SafetensorsEntry& a, const SafetensorsEntry& b) {
    return std::pair(a.offset, a.offset + a.bytes) < std::pair(b.offset, b.offset + b.bytes);
  });
  uint64_t at = data_begin;
  const std::string* before = nullptr;
  for (const SafetensorsEntry& entry : entries) {
    if (entry.offset < at)
      refuse("the tensors '{}' and '{}' overlap", before == nullptr ? entry.name : *before, entry.name);
    if (entry.offset > at) refuse("{} bytes before the tensor '{}' belong to none", entry.offset - at, entry.name);
    at = entry.offset + entry.bytes;
    before = &entry.name;
  }
  if (at != file_bytes) refuse("{} bytes after the last tensor belong to none", file_bytes - at);
}

}  // namespace

std::vector<SafetensorsEntry> parse_safetensors_header(std::span<const std::byte> bytes, const std::string& path) {
  const Refuser refuse{path};
  if (bytes.size() < 8)
    refuse("{} bytes are too few for a safetensors file, which begins with 8 bytes of header length", bytes.size());
  uint64_t length = 0;
  static_assert(std::endian::native == std::endian::little, "the format is little-endian");
  std::memcpy(&length, bytes.data(), sizeof length);
  if (length > longest_header || length > bytes.size() - 8) refuse_other_content(bytes, path);
  if (length == 0) refuse("its header is empty");
  if (length > longest_header)
    refuse("its header would be {} bytes long; at most {} are allowed", length, longest_header);
  if (length > bytes.size() - 8)
    refuse("its header would be {} bytes long; the file has {} after the length", length, bytes.size() - 8);
  const Json header =
      parse_header({reinterpret_cast<const char*>(bytes.data()) + 8, static_cast<size_t>(length)}, refuse);
  std::vector<SafetensorsEntry> entries;
  for (const auto& [name, fields] : header.items()) {
    if (name == "__metadata__") continue;
    entries.push_back(parse_entry(name, fields, 8 + length, bytes.size() - 8 - length, refuse));
  }
  check_cover(entries, 8 + length, bytes.size(), refuse);
  return entries;
}

std::vector<StoredTensor> read_safetensors(const std::string& path) {
  return parse_safetensors(MappedFile::open(path));
}

std::vector<StoredTensor> parse_safetensors(const std::shared_ptr<const MappedFile>& file) {
  std::vector<StoredTensor> tensors;
  for (SafetensorsEntry& entry : parse_safetensors_header(file->bytes(), file->path())) {
    tensors.push_back({file, std::move(entry.name), entry.dtype, std::move(entry.shape), entry.offset, entry.bytes});
  }
  std::sort(tensors.begin(), tensors.end(),
            [](const StoredTensor& a, const StoredTensor& b) { return a.name < b.name; });
  return tensors;
}

void write_safetensors(const std::filesystem::path& path, const std::map<std::string, ir::Tensor>& tensors) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  header["__metadata__"] = {{"format", "pt"}};
  uint64_t offset = 0;
  for (const auto& [name, tensor] : tensors) {
    const auto row = std::find_if(std::begin(dtype_names), std::end(dtype_names),
                                  [dtype = tensor.dtype](const DTypeName& known) { return known.dtype == dtype; });
    if (row == std::end(dtype_names))
      throw Error(Failure::internal, fmt::format("a safetensors file cannot hold {}", ir::name_of(tensor.dtype)));
    header[name] = {
        {"dtype", row->name}, {"shape", tensor.shape}, {"data_offsets", {offset, offset + tensor.data.size()}}};
    offset += tensor.data.size();
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const uint64_t length = text.size();
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(reinterpret_cast<const char*>(&length), sizeof length);
  out.write(text.data(), static_cast<std::streamsize>(text.size()));
  for (const auto& [name, tensor] : tensors) {
    out.write(reinterpret_cast<const char*>(tensor.data.data()), static_cast<std::streamsize>(tensor.data.size()));
  }
  out.close();
  if (!out)
    throw Error(Failure::output, fmt::format("{} cannot be written", path.string()),
                "check the folder's permissions and its disk");
}

}  // namespace onnxport
