// SPDX-License-Identifier: Apache-2.0
#include "core/transform/read_model.hpp"

#include <fmt/format.h>

#include <map>
#include <utility>

#include "core/error.hpp"
#include "core/inspect/onnx_file.hpp"

namespace onnxport {
namespace {

namespace fs = std::filesystem;
using pb::TensorProto;

/// The field in which a tensor keeps numbers of its type where these are no raw bytes.
int field_of(int32_t type) {
  switch (type) {
    case TensorProto::INT64:
      return TensorProto::kInt64DataFieldNumber;
    case TensorProto::UINT64:
    case TensorProto::UINT32:
      return TensorProto::kUint64DataFieldNumber;
    default:
      return TensorProto::kInt32DataFieldNumber;
  }
}

/// A file that holds bytes of tensors.
struct Place {
  std::shared_ptr<const MappedFile> file;
  uint64_t offset, bytes;

  std::string_view text() const { return {reinterpret_cast<const char*>(file->bytes().data()) + offset, bytes}; }
};

class Reader {
 public:
  explicit Reader(const fs::path& path) : file_(inspect::read_onnx_file(path)) {
    data_files_.emplace("", file_.mapping);
  }

  ReadModel run() {
    read_.parts.model = std::move(file_.model);
    pb::GraphProto& graph = *read_.parts.model.mutable_graph();
    google::protobuf::RepeatedPtrField<TensorProto> kept;
    for (TensorProto& tensor : *graph.mutable_initializer()) {
      if (!take(tensor)) *kept.Add() = std::move(tensor);
    }
    graph.mutable_initializer()->Swap(&kept);
    fill_nodes(*graph.mutable_node());
    for (pb::FunctionProto& function : *read_.parts.model.mutable_functions()) fill_nodes(*function.mutable_node());
    return std::move(read_);
  }

 private:
  /// Whether the initializer is apart now.
  bool take(TensorProto& tensor) {
    const auto place = inspect::place_of(tensor);
    if (!place) return false;
    read_.has_external_data = read_.has_external_data || !place->location.empty();
    if (!place->is_raw) {
      fill(tensor);
      return false;
    }
    const Place found = find(tensor, *place);
    tensor.clear_external_data();
    tensor.clear_data_location();
    StoredTensor stored;
    stored.file = found.file;
    stored.name = tensor.name();
    stored.offset = found.offset;
    stored.bytes = found.bytes;
    stored.dtype = static_cast<ir::DType>(tensor.data_type());
    if (ir::size_of(stored.dtype) > 0) {
      stored.shape.assign(tensor.dims().begin(), tensor.dims().end());
    } else {  // of a type that the graph does not have, and so written as the bytes that it is
      stored.dtype = ir::DType::u8;
      stored.shape = {static_cast<int64_t>(stored.bytes)};
    }
    const Weight weight{std::make_shared<const StoredTensor>(std::move(stored)), {}};
    read_.parts.weights.push_back({std::move(tensor), std::make_shared<const Weight>(weight)});
    return true;
  }

  void fill_nodes(google::protobuf::RepeatedPtrField<pb::NodeProto>& nodes) {
    for (pb::NodeProto& node : nodes) {
      for (pb::AttributeProto& attribute : *node.mutable_attribute()) {
        if (attribute.has_t()) fill(*attribute.mutable_t());
        for (TensorProto& tensor : *attribute.mutable_tensors()) fill(tensor);
        if (attribute.has_g()) fill_graph(*attribute.mutable_g());
        for (pb::GraphProto& graph : *attribute.mutable_graphs()) fill_graph(graph);
      }
    }
  }
  void fill_graph(pb::GraphProto& graph) {
    for (TensorProto& tensor : *graph.mutable_initializer()) fill(tensor);
    fill_nodes(*graph.mutable_node());
  }

  /// Puts the bytes into the message.
  void fill(TensorProto& tensor) {
    const auto place = inspect::place_of(tensor);
    if (!place) return;
    const Place found = find(tensor, *place);
    tensor.clear_external_data();
    tensor.clear_data_location();
    if (place->is_raw) {
      tensor.set_raw_data(std::string(found.text()));
      return;
    }
    std::string message;
    const auto put = [&](uint64_t number) {
      for (; number >= 0x80; number >>= 7) message.push_back(static_cast<char>(number | 0x80));
      message.push_back(static_cast<char>(number));
    };
    constexpr uint64_t with_length = 2;
    put(static_cast<uint64_t>(field_of(tensor.data_type())) << 3 | with_length);
    put(found.bytes);
    message += found.text();
    if (!tensor.MergeFromString(message)) refuse(tensor, "holds numbers that cannot be read");
  }

  Place find(const TensorProto& tensor, const inspect::TensorPlace& place) {
    const uint64_t expected = inspect::bytes_of(tensor), bytes = place.is_raw ? expected : place.length.value_or(0);
    const std::shared_ptr<const MappedFile>& file = data_file(place.location);
    const uint64_t size = file->bytes().size();
    if (bytes == 0 || place.offset > size || bytes > size - place.offset || (place.length && *place.length != bytes)) {
      refuse(tensor, fmt::format("is {} bytes at {} of {}, which has {}", place.length.value_or(bytes), place.offset,
                                 file->path(), size));
    }
    return {file, place.offset, bytes};
  }

  const std::shared_ptr<const MappedFile>& data_file(const std::string& location) {
    const auto known = data_files_.find(location);
    if (known != data_files_.end()) return known->second;
    const fs::path place = fs::path(location).lexically_normal();
    if (place.is_absolute() || *place.begin() == "..") {
      throw Error(Failure::checkpoint,
                  fmt::format("{} keeps weights in '{}', outside of its folder", file_.path.string(), location),
                  "nothing outside of a model's folder is read; move the data beside the model");
    }
    return data_files_[location] = MappedFile::open((file_.folder() / place).string());
  }

  [[noreturn]] void refuse(const TensorProto& tensor, const std::string& what) const {
    throw Error(Failure::checkpoint, fmt::format("{} says that '{}' {}", file_.path.string(), tensor.name(), what),
                "the files do not belong together; copy them again");
  }

  inspect::OnnxFile file_;
  std::map<std::string, std::shared_ptr<const MappedFile>> data_files_;  // "" is the model's own
  ReadModel read_;
};

}  // namespace

ReadModel read_model(const fs::path& file) {
  return Reader(file).run();
}

}  // namespace onnxport
