// SPDX-License-Identifier: Apache-2.0
#include "host/package/sentence_pieces.hpp"

#include <fmt/format.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

#include <bit>
#include <fstream>
#include <functional>
#include <limits>
#include <sstream>

#include "core/error.hpp"

namespace onnxport {
namespace {

namespace fs = std::filesystem;
using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;

/// A field of a message, of one of the forms that are read here.
struct Field {
  int number = 0;
  uint64_t integer = 0;  // of an integer, a truth or an enumeration
  float real = 0;
  std::string bytes{};  // of a text or a message
};

bool read_bytes(CodedInputStream& in, std::string& bytes) {
  uint32_t length = 0;
  return in.ReadVarint32(&length) && length <= uint32_t{std::numeric_limits<int>::max()} &&
         in.ReadString(&bytes, static_cast<int>(length));
}

/// Whether it is a message whose every field could be read.
bool each_field(const std::string& message, const std::function<void(const Field&)>& use) {
  if (message.size() > size_t{std::numeric_limits<int>::max()}) return false;
  CodedInputStream in(reinterpret_cast<const uint8_t*>(message.data()), static_cast<int>(message.size()));
  while (const uint32_t tag = in.ReadTag()) {
    Field field{.number = WireFormatLite::GetTagFieldNumber(tag)};
    uint32_t real = 0;
    switch (WireFormatLite::GetTagWireType(tag)) {
      case WireFormatLite::WIRETYPE_VARINT:
        if (!in.ReadVarint64(&field.integer)) return false;
        break;
      case WireFormatLite::WIRETYPE_LENGTH_DELIMITED:
        if (!read_bytes(in, field.bytes)) return false;
        break;
      case WireFormatLite::WIRETYPE_FIXED32:
        if (!in.ReadLittleEndian32(&real)) return false;
        field.real = std::bit_cast<float>(real);
        break;
      default:
        if (!WireFormatLite::SkipField(&in, tag)) return false;
        continue;
    }
    use(field);
  }
  return in.ConsumedEntireMessage();
}

bool read_piece(const std::string& message, Piece& piece) {
  return each_field(message, [&](const Field& field) {
    if (field.number == 1) piece.text = field.bytes;
    if (field.number == 2) piece.score = field.real;
    if (field.number == 3) piece.kind = static_cast<Piece::Kind>(field.integer);
  });
}

bool read_trainer(const std::string& message, SentencePieces& model) {
  return each_field(message, [&](const Field& field) {
    const auto number = static_cast<int64_t>(field.integer);
    switch (field.number) {
      case 3:
        model.model = static_cast<SentencePieces::Model>(number);
        break;
      case 35:
        model.bytes_where_unknown = number != 0;
        break;
      case 40:
        model.unknown = number;
        break;
      case 41:
        model.begin = number;
        break;
      case 42:
        model.end = number;
        break;
      case 43:
        model.padding = number;
        break;
      default:
        break;
    }
  });
}

bool read_normalizer(const std::string& message, SentencePieces& model) {
  return each_field(message, [&](const Field& field) {
    if (field.number == 2) model.characters = field.bytes;
    if (field.number == 3) model.adds_space = field.integer != 0;
    if (field.number == 4) model.removes_spaces = field.integer != 0;
  });
}

}  // namespace

SentencePieces read_sentence_pieces(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  if (!in) throw Error(Failure::checkpoint, file.string() + " cannot be read", "check its permissions");
  SentencePieces model;
  bool whole = true;
  whole = each_field(text.str(),
                     [&](const Field& field) {
                       if (field.number == 1) whole = whole && read_piece(field.bytes, model.pieces.emplace_back());
                       if (field.number == 2) whole = whole && read_trainer(field.bytes, model);
                       if (field.number == 3) whole = whole && read_normalizer(field.bytes, model);
                     }) &&
          whole;
  if (whole && !model.pieces.empty()) return model;
  throw Error(Failure::checkpoint,
              fmt::format("{}: {}", file.string(),
                          whole ? "holds no pieces" : "is no model of sentencepiece: a field of it cannot be read"),
              "download it again");
}

}  // namespace onnxport
