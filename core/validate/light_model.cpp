// SPDX-License-Identifier: Apache-2.0
#include "core/validate/light_model.hpp"

#include <fmt/format.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/wire_format_lite.h>

#include <functional>
#include <map>

#include "core/error.hpp"

namespace onnxport {
namespace {

namespace pb = inspect::pb;
namespace fs = std::filesystem;

/// Where a tensor stands.
enum class Place { initializer, node };
using Visit = std::function<void(pb::TensorProto&, Place)>;

void each_tensor(pb::GraphProto& graph, const Visit& visit);

void each_tensor(google::protobuf::RepeatedPtrField<pb::NodeProto>& nodes, const Visit& visit) {
  for (pb::NodeProto& node : nodes) {
    for (pb::AttributeProto& attribute : *node.mutable_attribute()) {
      if (attribute.has_t()) visit(*attribute.mutable_t(), Place::node);
      for (pb::TensorProto& tensor : *attribute.mutable_tensors()) visit(tensor, Place::node);
      if (attribute.has_sparse_tensor()) {
        visit(*attribute.mutable_sparse_tensor()->mutable_values(), Place::node);
        visit(*attribute.mutable_sparse_tensor()->mutable_indices(), Place::node);
      }
      if (attribute.has_g()) each_tensor(*attribute.mutable_g(), visit);
      for (pb::GraphProto& graph : *attribute.mutable_graphs()) each_tensor(graph, visit);
    }
  }
}

void each_tensor(pb::GraphProto& graph, const Visit& visit) {
  for (pb::TensorProto& tensor : *graph.mutable_initializer()) visit(tensor, Place::initializer);
  for (pb::SparseTensorProto& sparse : *graph.mutable_sparse_initializer()) {
    visit(*sparse.mutable_values(), Place::node);
    visit(*sparse.mutable_indices(), Place::node);
  }
  each_tensor(*graph.mutable_node(), visit);
}

void each_tensor(pb::ModelProto& model, const Visit& visit) {
  each_tensor(*model.mutable_graph(), visit);
  for (pb::FunctionProto& function : *model.mutable_functions()) each_tensor(*function.mutable_node(), visit);
}

/// The field in which a tensor of the type holds numbers in protobuf's own form.
int number_field_of(int32_t type) {
  switch (type) {
    case pb::TensorProto::INT64:
      return pb::TensorProto::kInt64DataFieldNumber;
    case pb::TensorProto::UINT32:
    case pb::TensorProto::UINT64:
      return pb::TensorProto::kUint64DataFieldNumber;
    default:
      return pb::TensorProto::kInt32DataFieldNumber;
  }
}

/// The files in which a model's tensors lie, mapped when one is asked for.
class DataFiles {
 public:
  explicit DataFiles(const inspect::OnnxFile& model) : model_(model) { files_.emplace("", model.mapping); }
  const MappedFile& at(const std::string& location) {
    std::shared_ptr<const MappedFile>& file = files_[location];
    if (file == nullptr) file = MappedFile::open((model_.folder() / location).string());
    return *file;
  }
  /// A tensor's bytes as they lie there. check_tensor_places() has found them to be there.
  std::string bytes_of(const pb::TensorProto& tensor) {
    const inspect::TensorPlace place = *inspect::place_of(tensor);
    const auto bytes =
        at(place.location).bytes().subspan(place.offset, place.length.value_or(inspect::bytes_of(tensor)));
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

 private:
  const inspect::OnnxFile& model_;
  std::map<std::string, std::shared_ptr<const MappedFile>> files_;
};

/// Puts the elements of a tensor into its message.
void put_back(pb::TensorProto& tensor, DataFiles& files) {
  const std::string data = files.bytes_of(tensor);
  const bool is_raw = inspect::place_of(tensor)->is_raw;
  tensor.clear_external_data();
  tensor.clear_data_location();
  if (is_raw) {
    tensor.set_raw_data(data);
    return;
  }
  using Wire = google::protobuf::internal::WireFormatLite;
  std::string field;
  {
    google::protobuf::io::StringOutputStream stream(&field);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.WriteTag(Wire::MakeTag(number_field_of(tensor.data_type()), Wire::WIRETYPE_LENGTH_DELIMITED));
    coded.WriteVarint64(data.size());
    coded.WriteString(data);
  }
  if (!tensor.MergeFromString(field))
    throw Error(Failure::differs, fmt::format("the elements of '{}' are damaged", tensor.name()));
}

bool is_in_model_file(const pb::TensorProto& tensor) {
  const auto place = inspect::place_of(tensor);
  return place && place->location.empty();
}

void set_location(pb::TensorProto& tensor, const std::string& location) {
  for (pb::StringStringEntryProto& entry : *tensor.mutable_external_data()) {
    if (entry.key() == "location") entry.set_value(location);
  }
}

}  // namespace

ModelImage image_of(const inspect::OnnxFile& file) {
  return image_of(file, file.model);
}

ModelImage image_of(const inspect::OnnxFile& file, pb::ModelProto model) {
  DataFiles files(file);
  each_tensor(model, [&](pb::TensorProto& tensor, Place place) {
    if (!is_in_model_file(tensor)) return;
    if (place == Place::node || !inspect::place_of(tensor)->is_raw)
      put_back(tensor, files);
    else
      set_location(tensor, file.path.filename().string());
  });
  const fs::path folder = file.folder().empty() ? fs::path(".") : file.folder();
  return {file.path.string(), model.SerializeAsString(), folder, true};
}

std::map<std::string, std::string> check_tensor_places(const inspect::OnnxFile& file) {
  std::map<std::string, std::string> locations;
  DataFiles files(file);
  pb::ModelProto model = file.model;
  each_tensor(model, [&](pb::TensorProto& tensor, Place) {
    const auto place = inspect::place_of(tensor);
    if (!place) return;
    if (!place->location.empty()) locations.emplace(place->location, tensor.name());
    const uint64_t size = files.at(place->location).bytes().size();
    const bool is_counted = place->is_raw && inspect::bits_of(tensor.data_type()) > 0;
    const uint64_t wanted = is_counted ? inspect::bytes_of(tensor) : place->length.value_or(0);
    const uint64_t length = place->length.value_or(wanted);
    if (length != wanted) {
      throw Error(Failure::differs,
                  fmt::format("{} gives '{}' {} bytes, and its type and dimensions take {}", file.path.string(),
                              tensor.name(), length, wanted),
                  "export the model again");
    }
    if (place->offset > size || length > size - place->offset) {
      throw Error(
          Failure::differs,
          fmt::format("{} ends before the weight '{}' does: it has {} bytes, and the weight takes {} from {} on",
                      files.at(place->location).path(), tensor.name(), size, length, place->offset),
          "the file is incomplete or was changed: export the model again");
    }
  });
  return locations;
}

pb::ModelProto for_checker(const inspect::OnnxFile& file) {
  pb::ModelProto model = file.model;
  DataFiles files(file);
  each_tensor(model, [&](pb::TensorProto& tensor, Place) {
    const auto place = inspect::place_of(tensor);
    if (!place) return;
    if (inspect::bytes_of(tensor) <= inspect::kept_bytes) return put_back(tensor, files);
    tensor.clear_external_data();
    tensor.clear_data_location();
    tensor.set_raw_data("-");  // it asks whether there is a value, and not how long it is
  });
  return model;
}

}  // namespace onnxport
