// SPDX-License-Identifier: Apache-2.0
#include "core/onnx/model_reader.hpp"

#include <fmt/format.h>

#include <charconv>
#include <map>
#include <optional>

#include "core/error.hpp"
#include "core/onnx/wire.hpp"

namespace onnxport {
namespace {

namespace fs = std::filesystem;
using TensorProto = pb::TensorProto;

constexpr uint64_t apart_from = 1024;  // bytes of an initializer that is not held

/// Bits of an element; 0 where it has no fixed size.
uint64_t bits_of(int32_t type) {
  switch (type) {
    case TensorProto::UINT4:
    case TensorProto::INT4:
    case TensorProto::FLOAT4E2M1:
      return 4;
    case TensorProto::FLOAT8E4M3FNUZ:
    case TensorProto::FLOAT8E5M2FNUZ:
      return 8;
    case TensorProto::COMPLEX64:
      return 64;
    case TensorProto::COMPLEX128:
      return 128;
    default:
      return ir::size_of(static_cast<ir::DType>(type)) * 8;
  }
}

uint64_t bytes_of(const TensorProto& tensor) {
  uint64_t count = 1;
  for (int64_t size : tensor.dims()) count *= static_cast<uint64_t>(size);
  return (count * bits_of(tensor.data_type()) + 7) / 8;
}

/// An initializer without the bytes that can be left where they lie, and where that is.
struct Found {
  TensorProto header;
  std::string_view data;  // empty: in the header
};

/// Floats without raw_data are packed, which is the same bytes.
bool holds_plain_bytes(const Wire::Field& field) {
  return field.has_length() &&
         (field.field() == TensorProto::kRawDataFieldNumber || field.field() == TensorProto::kFloatDataFieldNumber ||
          field.field() == TensorProto::kDoubleDataFieldNumber);
}

Found read_initializer(std::string_view message) {
  std::string rest;
  Found found;
  for (Wire wire(message); !wire.done();) {
    const Wire::Field field = wire.next();
    if (holds_plain_bytes(field) && field.body.size() >= apart_from && found.data.empty())
      found.data = field.body;
    else
      rest += field.whole;
  }
  const auto parse = [&](const std::string& bytes) {
    if (!found.header.ParseFromString(bytes)) throw std::runtime_error("an initializer is no tensor");
  };
  parse(rest);
  // Not all of it in one piece, or another type's: as protocol buffers have it.
  if (!found.data.empty() && found.data.size() != bytes_of(found.header)) {
    found.data = {};
    parse(std::string(message));
  }
  return found;
}

class Reader {
 public:
  explicit Reader(const fs::path& file) : file_(file), mapped_(MappedFile::open(file.string())) {}

  ReadModel run() {
    const std::span<const std::byte> bytes = mapped_->bytes();
    std::string rest;
    for (Wire wire({reinterpret_cast<const char*>(bytes.data()), bytes.size()}); !wire.done();) {
      const Wire::Field field = wire.next();
      if (field.has_length() && field.field() == pb::ModelProto::kGraphFieldNumber)
        graph_ += without_initializers(field.body);
      else
        rest += field.whole;
    }
    pb::ModelProto& model = read_.parts.model;
    if (!model.ParseFromString(rest) || !model.mutable_graph()->ParseFromString(graph_))
      throw std::runtime_error("its messages are not those of a model");
    if (model.opset_import_size() == 0 || (model.graph().node_size() == 0 && model.graph().output_size() == 0))
      throw std::runtime_error("it has no graph or no opset");
    for (TensorProto& tensor : kept_) *model.mutable_graph()->add_initializer() = std::move(tensor);
    return std::move(read_);
  }

 private:
  std::string without_initializers(std::string_view graph) {
    std::string rest;
    for (Wire wire(graph); !wire.done();) {
      const Wire::Field field = wire.next();
      if (field.has_length() && field.field() == pb::GraphProto::kInitializerFieldNumber)
        take(read_initializer(field.body));
      else
        rest += field.whole;
    }
    return rest;
  }

  void take(Found found) {
    if (found.header.data_location() == TensorProto::EXTERNAL) return take_external(std::move(found.header));
    if (found.data.empty()) {
      kept_.push_back(std::move(found.header));
      return;
    }
    const auto* begin = reinterpret_cast<const char*>(mapped_->bytes().data());
    add(std::move(found.header), mapped_, static_cast<uint64_t>(found.data.data() - begin));
  }

  void take_external(TensorProto header) {
    std::string location;
    uint64_t offset = 0;
    const uint64_t bytes = bytes_of(header);
    for (const auto& entry : header.external_data()) {
      if (entry.key() == "location") location = entry.value();
      if (entry.key() == "offset")
        std::from_chars(entry.value().data(), entry.value().data() + entry.value().size(), offset);
    }
    const std::shared_ptr<const MappedFile>& data = data_file(location);
    if (bytes == 0 || offset > data->bytes().size() || bytes > data->bytes().size() - offset) {
      throw Error(Failure::checkpoint,
                  fmt::format("{} says that '{}' is {} bytes at {} of {}, which has {}", file_.string(), header.name(),
                              bytes, offset, data->path(), data->bytes().size()),
                  "the two files do not belong together; copy both again");
    }
    header.clear_external_data();
    header.clear_data_location();
    read_.has_external_data = true;
    add(std::move(header), data, offset);
  }

  const std::shared_ptr<const MappedFile>& data_file(const std::string& location) {
    const auto known = data_files_.find(location);
    if (known != data_files_.end()) return known->second;
    const fs::path place = fs::path(location).lexically_normal();
    if (place.empty() || place.is_absolute() || *place.begin() == "..") {
      throw Error(Failure::checkpoint,
                  fmt::format("{} keeps weights in '{}', outside of its folder", file_.string(), location),
                  "nothing outside of a model's folder is read; move the data beside the model");
    }
    return data_files_[location] = MappedFile::open((file_.parent_path() / place).string());
  }

  /// The element type is the view's where the graph has it; others are written as the bytes that they are.
  void add(TensorProto header, const std::shared_ptr<const MappedFile>& file, uint64_t offset) {
    StoredTensor stored;
    stored.file = file;
    stored.name = header.name();
    stored.offset = offset;
    stored.bytes = bytes_of(header);
    stored.dtype = static_cast<ir::DType>(header.data_type());
    if (ir::size_of(stored.dtype) > 0) {
      stored.shape.assign(header.dims().begin(), header.dims().end());
    } else {
      stored.dtype = ir::DType::u8;
      stored.shape = {static_cast<int64_t>(stored.bytes)};
    }
    const Weight weight{std::make_shared<const StoredTensor>(std::move(stored)), {}};
    read_.parts.weights.push_back({std::move(header), std::make_shared<const Weight>(weight)});
  }

  const fs::path file_;
  const std::shared_ptr<const MappedFile> mapped_;
  std::map<std::string, std::shared_ptr<const MappedFile>> data_files_;
  std::string graph_;
  std::vector<TensorProto> kept_;
  ReadModel read_;
};

}  // namespace

ReadModel read_model(const fs::path& file) {
  try {
    return Reader(file).run();
  } catch (const std::runtime_error& reason) {
    if (dynamic_cast<const Error*>(&reason) != nullptr) throw;
    throw Error(Failure::checkpoint, file.string() + " is no ONNX model: " + reason.what(), "name an .onnx file");
  }
}

}  // namespace onnxport
