// SPDX-License-Identifier: Apache-2.0
#include "host/model/model_summary.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <onnx/onnx_pb.h>

#include <cstring>
#include <set>
#include <string_view>

#include "core/checkpoint/weight.hpp"
#include "core/error.hpp"

namespace onnxport {
namespace {

namespace proto = ONNX_NAMESPACE;

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

/// Where a message may hold weights: the fields to go into, and those to leave out.
struct Level {
  const std::map<uint64_t, const Level*>& inner;
  const std::set<uint64_t>& left_out;
};

/// Copies a message without the fields that are left out.
std::string without(std::string_view message, const Level& level) {
  enum { number = 0, eight_bytes = 1, length = 2, four_bytes = 5 };
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
        if (level.left_out.contains(field)) continue;
        if (const auto inner = level.inner.find(field); inner != level.inner.end()) {
          const std::string stripped = without(body, *inner->second);
          put_varint(out, tag);
          put_varint(out, stripped.size());
          out += stripped;
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

/// ModelProto.graph.initializer without raw_data and the typed data fields.
proto::ModelProto read_without_weights(std::string_view bytes) {
  using Tensor = proto::TensorProto;
  static const std::set<uint64_t> data{Tensor::kRawDataFieldNumber,    Tensor::kFloatDataFieldNumber,
                                       Tensor::kInt32DataFieldNumber,  Tensor::kInt64DataFieldNumber,
                                       Tensor::kDoubleDataFieldNumber, Tensor::kUint64DataFieldNumber};
  static const std::set<uint64_t> nothing;
  static const std::map<uint64_t, const Level*> no_inner;
  static const Level tensor{no_inner, data};
  static const std::map<uint64_t, const Level*> initializers{{proto::GraphProto::kInitializerFieldNumber, &tensor}};
  static const Level graph{initializers, nothing};
  static const std::map<uint64_t, const Level*> graphs{{proto::ModelProto::kGraphFieldNumber, &graph}};
  static const Level model{graphs, nothing};
  proto::ModelProto read;
  if (!read.ParseFromString(without(bytes, model))) throw std::runtime_error("its messages are not those of a model");
  if (!read.has_graph() || read.opset_import_size() == 0) throw std::runtime_error("it has no graph or no opset");
  return read;
}

/// "f32", "i64", …; ONNX's own name for types that the graph does not have.
std::string type_name(int32_t type) {
  const std::string_view own = ir::name_of(static_cast<ir::DType>(type));
  if (ir::size_of(static_cast<ir::DType>(type)) > 0) return std::string(own);
  return proto::TensorProto_DataType_IsValid(type)
             ? proto::TensorProto_DataType_Name(static_cast<proto::TensorProto_DataType>(type))
             : "type " + std::to_string(type);
}

ModelSummary::TensorInfo describe(const proto::ValueInfoProto& value) {
  ModelSummary::TensorInfo info{value.name(), "(no tensor)", {}, std::nullopt};
  if (!value.type().has_tensor_type()) return info;
  const auto& type = value.type().tensor_type();
  info.type = info.element = type_name(type.elem_type());
  if (!type.has_shape()) return info;
  std::vector<std::string>& dimensions = info.dimensions.emplace();
  for (const auto& dim : type.shape().dim()) {
    const std::string symbol = dim.dim_param().empty() ? "?" : dim.dim_param();
    dimensions.push_back(dim.has_dim_value() ? std::to_string(dim.dim_value()) : symbol);
  }
  info.type += fmt::format("[{}]", fmt::join(dimensions, ", "));
  return info;
}

uint64_t bits_of(int32_t type) {
  switch (type) {
    case proto::TensorProto::UINT4:
    case proto::TensorProto::INT4:
    case proto::TensorProto::FLOAT4E2M1:
      return 4;
    case proto::TensorProto::COMPLEX64:
      return 64;
    case proto::TensorProto::COMPLEX128:
      return 128;
    case proto::TensorProto::FLOAT8E4M3FNUZ:
    case proto::TensorProto::FLOAT8E5M2FNUZ:
      return 8;
    default:
      return ir::size_of(static_cast<ir::DType>(type)) * 8;
  }
}

void count_nodes(const google::protobuf::RepeatedPtrField<proto::NodeProto>& nodes, ModelSummary& out) {
  for (const proto::NodeProto& node : nodes) {
    ++out.nodes;
    ++out.operators[node.domain().empty() ? node.op_type() : node.domain() + ":" + node.op_type()];
    for (const auto& attribute : node.attribute()) {
      if (attribute.has_g()) count_nodes(attribute.g().node(), out);
      for (const auto& graph : attribute.graphs()) count_nodes(graph.node(), out);
    }
  }
}

void add_initializers(const proto::GraphProto& graph, ModelSummary& out) {
  std::set<std::string> files;
  for (const proto::TensorProto& tensor : graph.initializer()) {
    uint64_t count = 1;
    for (int64_t size : tensor.dims()) count *= static_cast<uint64_t>(size);
    ModelSummary::Weights& weights = out.initializers[type_name(tensor.data_type())];
    ++weights.tensors;
    weights.bytes += (count * bits_of(tensor.data_type()) + 7) / 8;
    if (tensor.data_location() != proto::TensorProto::EXTERNAL) continue;
    for (const auto& entry : tensor.external_data()) {
      if (entry.key() == "location") files.insert(entry.value());
    }
  }
  out.external_files.assign(files.begin(), files.end());
}

}  // namespace

int64_t ModelSummary::opset() const {
  for (const auto& [domain, version] : opsets) {
    if (domain.empty()) return version;
  }
  return 0;
}

ModelSummary read_model_summary(const std::filesystem::path& file) {
  const auto mapped = MappedFile::open(file.string());
  const std::string_view bytes(reinterpret_cast<const char*>(mapped->bytes().data()), mapped->bytes().size());
  proto::ModelProto model;
  try {
    model = read_without_weights(bytes);
  } catch (const std::exception& reason) {
    throw Error(Failure::checkpoint, file.string() + " is no ONNX model: " + reason.what(),
                "name the .onnx file of an export");
  }
  ModelSummary out;
  out.producer = model.producer_name();
  out.producer_version = model.producer_version();
  out.ir_version = model.ir_version();
  for (const auto& opset : model.opset_import()) {
    out.opsets.emplace_back(opset.domain() == "ai.onnx" ? "" : opset.domain(), opset.version());
  }
  std::set<std::string> weights;  // before IR version 4 they are inputs as well
  for (const auto& tensor : model.graph().initializer()) weights.insert(tensor.name());
  for (const auto& input : model.graph().input()) {
    if (!weights.contains(input.name())) out.inputs.push_back(describe(input));
  }
  for (const auto& output : model.graph().output()) out.outputs.push_back(describe(output));
  count_nodes(model.graph().node(), out);
  out.functions = static_cast<size_t>(model.functions_size());
  add_initializers(model.graph(), out);
  for (const auto& entry : model.metadata_props()) out.metadata[entry.key()] = entry.value();
  return out;
}

}  // namespace onnxport
