// SPDX-License-Identifier: Apache-2.0
#include "core/inspect/onnx_file.hpp"

#include <charconv>
#include <limits>
#include <map>
#include <set>
#include <string_view>

#include "core/error.hpp"
#include "core/tensor/dtype.hpp"

namespace onnxport::inspect {
namespace {

constexpr const char* encoding_key = "encoding";  // of a tensor whose bytes are protobuf's numbers

/// A reader of protobuf's wire format.
class Wire {
 public:
  explicit Wire(std::string_view bytes) : rest_(bytes) {}
  bool done() const { return rest_.empty(); }

  uint64_t varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const auto byte = static_cast<unsigned char>(take(1)[0]);
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    throw std::runtime_error("a number is too long");
  }
  std::string_view take(uint64_t size) {
    if (size > rest_.size()) throw std::runtime_error("it ends too early");
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }
  const char* position() const { return rest_.data(); }

 private:
  std::string_view rest_;
};

void put_varint(std::string& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
  out.push_back(static_cast<char>(value));
}

void put_message(std::string& out, uint64_t tag, const std::string& message) {
  put_varint(out, tag);
  put_varint(out, message.size());
  out += message;
}

/// A message on the way to tensors: the fields in which there are further ones, by number. A tensor has its payload.
struct Level {
  std::map<uint64_t, const Level*> inner{};
  /// The fields that hold a tensor's elements, and whether as plain bytes.
  std::map<uint64_t, bool> payload{};
};

/// ModelProto's level, with all below.
const Level& model_level() {
  using Tensor = pb::TensorProto;
  static const Level tensor{.payload = {{Tensor::kRawDataFieldNumber, true},
                                        {Tensor::kFloatDataFieldNumber, true},
                                        {Tensor::kDoubleDataFieldNumber, true},
                                        {Tensor::kInt32DataFieldNumber, false},
                                        {Tensor::kInt64DataFieldNumber, false},
                                        {Tensor::kUint64DataFieldNumber, false}}};
  static const Level sparse{.inner = {{pb::SparseTensorProto::kValuesFieldNumber, &tensor},
                                      {pb::SparseTensorProto::kIndicesFieldNumber, &tensor}}};
  // Graphs hold nodes, which hold attributes, which hold graphs.
  static Level attribute, node, graph;
  static const Level function = [] {
    attribute.inner = {{pb::AttributeProto::kTFieldNumber, &tensor},
                       {pb::AttributeProto::kTensorsFieldNumber, &tensor},
                       {pb::AttributeProto::kSparseTensorFieldNumber, &sparse},
                       {pb::AttributeProto::kGFieldNumber, &graph},
                       {pb::AttributeProto::kGraphsFieldNumber, &graph}};
    node.inner = {{pb::NodeProto::kAttributeFieldNumber, &attribute}};
    graph.inner = {{pb::GraphProto::kInitializerFieldNumber, &tensor},
                   {pb::GraphProto::kSparseInitializerFieldNumber, &sparse},
                   {pb::GraphProto::kNodeFieldNumber, &node}};
    return Level{.inner = {{pb::FunctionProto::kNodeFieldNumber, &node}}};
  }();
  static const Level model{
      .inner = {{pb::ModelProto::kGraphFieldNumber, &graph}, {pb::ModelProto::kFunctionsFieldNumber, &function}}};
  return model;
}

class Stripper {
 public:
  explicit Stripper(std::string_view file) : file_(file) {}

  std::string run(std::string_view message, const Level& level, int depth = 0) const {
    enum { number = 0, eight_bytes = 1, length = 2, four_bytes = 5 };
    if (depth > 200) throw std::runtime_error("its graphs stand within each other too deep");
    std::string out;
    for (Wire wire(message); !wire.done();) {
      const char* begin = wire.position();
      const uint64_t tag = wire.varint(), field = tag >> 3;
      switch (tag & 7) {
        case number:
          wire.varint();
          break;
        case eight_bytes:
          wire.take(8);
          break;
        case four_bytes:
          wire.take(4);
          break;
        case length: {
          const std::string_view body = wire.take(wire.varint());
          if (const auto payload = level.payload.find(field);
              payload != level.payload.end() && body.size() > kept_bytes) {
            refer(out, body, payload->second);
            continue;
          }
          if (const auto inner = level.inner.find(field); inner != level.inner.end()) {
            put_message(out, tag, run(body, *inner->second, depth + 1));
            continue;
          }
          break;
        }
        default:
          throw std::runtime_error("a field has the unknown wire type " + std::to_string(tag & 7));
      }
      out.append(begin, wire.position());
    }
    return out;
  }

 private:
  /// In place of a payload: fields of TensorProto that say where it lies.
  void refer(std::string& out, std::string_view body, bool is_raw) const {
    pb::TensorProto fields;
    fields.set_data_location(pb::TensorProto::EXTERNAL);
    const auto add = [&](const char* key, const std::string& value) {
      pb::StringStringEntryProto& entry = *fields.add_external_data();
      entry.set_key(key);
      entry.set_value(value);
    };
    add("location", "");
    add("offset", std::to_string(body.data() - file_.data()));
    add("length", std::to_string(body.size()));
    if (!is_raw) add(encoding_key, "protobuf");
    out += fields.SerializeAsString();
  }

  std::string_view file_;
};

uint64_t number_in(const std::string& text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  // What is no number lies beyond any file, and is told as missing.
  return error == std::errc() && end == text.data() + text.size() ? value : std::numeric_limits<uint64_t>::max();
}

}  // namespace

pb::ModelProto parse_without_weights(const char* bytes, size_t size) {
  const std::string_view file(bytes, size);
  pb::ModelProto model;
  if (!model.ParseFromString(Stripper(file).run(file, model_level())))
    throw std::runtime_error("its messages are not those of a model");
  if (!model.has_graph() || model.opset_import_size() == 0) throw std::runtime_error("it has no graph or no opset");
  return model;
}

OnnxFile read_onnx_file(const std::filesystem::path& file) {
  OnnxFile read{file, MappedFile::open(file.string()), {}};
  const auto bytes = read.mapping->bytes();
  try {
    read.model = parse_without_weights(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  } catch (const std::exception& reason) {
    throw Error(Failure::checkpoint, file.string() + " is no ONNX model, or a damaged one: " + reason.what(),
                "copy or export it again, or name the .onnx file of an export");
  }
  return read;
}

std::optional<TensorPlace> place_of(const pb::TensorProto& tensor) {
  if (tensor.data_location() != pb::TensorProto::EXTERNAL) return std::nullopt;
  TensorPlace place;
  for (const auto& entry : tensor.external_data()) {
    if (entry.key() == "location") place.location = entry.value();
    if (entry.key() == "offset") place.offset = number_in(entry.value());
    if (entry.key() == "length") place.length = number_in(entry.value());
    if (entry.key() == encoding_key) place.is_raw = false;
  }
  return place;
}

uint64_t elements_of(const pb::TensorProto& tensor) {
  constexpr uint64_t most = std::numeric_limits<int64_t>::max();
  uint64_t count = 1;
  for (int64_t size : tensor.dims()) {
    if (size <= 0) return 0;
    count = count > most / static_cast<uint64_t>(size) ? most : count * static_cast<uint64_t>(size);
  }
  return count;
}

uint64_t bits_of(int32_t type) {
  switch (type) {
    case pb::TensorProto::UINT4:
    case pb::TensorProto::INT4:
    case pb::TensorProto::FLOAT4E2M1:
      return 4;
    case pb::TensorProto::COMPLEX64:
      return 64;
    case pb::TensorProto::COMPLEX128:
      return 128;
    case pb::TensorProto::FLOAT8E4M3FNUZ:
    case pb::TensorProto::FLOAT8E5M2FNUZ:
      return 8;
    default:
      return ir::size_of(static_cast<ir::DType>(type)) * 8;
  }
}

uint64_t bytes_of(const pb::TensorProto& tensor) {
  const uint64_t count = elements_of(tensor), bits = bits_of(tensor.data_type());
  return count > std::numeric_limits<uint64_t>::max() / 128 ? count : (count * bits + 7) / 8;
}

std::string type_name(int32_t type) {
  if (ir::size_of(static_cast<ir::DType>(type)) > 0) return std::string(ir::name_of(static_cast<ir::DType>(type)));
  return pb::TensorProto_DataType_IsValid(type)
             ? pb::TensorProto_DataType_Name(static_cast<pb::TensorProto_DataType>(type))
             : "type " + std::to_string(type);
}

}  // namespace onnxport::inspect
