// SPDX-License-Identifier: Apache-2.0
#include "core/onnx/model_file.hpp"

#include <fmt/format.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/wire_format_lite.h>

#include <map>
#include <optional>
#include <set>

#include "core/checkpoint/convert.hpp"
#include "core/checkpoint/parallel_writer.hpp"
#include "core/error.hpp"
#include "core/files/output_file.hpp"

namespace onnxport {
namespace {

namespace io = google::protobuf::io;
using Wire = google::protobuf::internal::WireFormatLite;

constexpr uint64_t protobuf_limit = (uint64_t{1} << 31) - 1;
constexpr uint64_t page = 4096;
constexpr uint64_t inline_below = 1024;  // external data of a few bytes costs more than it saves

/// Bytes of the model file that lie in memory, at their offset.
struct Piece {
  uint64_t offset;
  std::string bytes;
};

struct Job {
  std::shared_ptr<const Weight> weight;
  size_t file;  // among Layout::files
  uint64_t offset;
};

/// Where everything goes: the models' files in their order, then the data file where it has bytes.
struct Layout {
  std::vector<ExportedFile> files;
  std::vector<std::vector<Piece>> pieces;  // by model
  std::vector<Job> jobs;
};

std::string field_header(int field, uint64_t length) {
  std::string bytes;
  io::StringOutputStream stream(&bytes);
  io::CodedOutputStream coded(&stream);
  coded.WriteTag(Wire::MakeTag(field, Wire::WIRETYPE_LENGTH_DELIMITED));
  coded.WriteVarint64(length);
  coded.Trim();
  return bytes;
}

std::string serialized(const google::protobuf::MessageLite& message) {
  std::string bytes;
  {
    io::StringOutputStream stream(&bytes);
    io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    message.SerializeToCodedStream(&coded);
  }
  return bytes;
}

/// Where the bytes of an initializer lie outside the model's file.
struct Reference {
  std::string location;
  uint64_t offset, length;
};

void set_external(pb::TensorProto& tensor, const Reference& reference) {
  tensor.set_data_location(pb::TensorProto_DataLocation_EXTERNAL);
  const auto add = [&](const char* key, const std::string& value) {
    pb::StringStringEntryProto* entry = tensor.add_external_data();
    entry->set_key(key);
    entry->set_value(value);
  };
  add("location", reference.location);
  add("offset", std::to_string(reference.offset));
  add("length", std::to_string(reference.length));
}

/// The place of a weight in a file of the checkpoint that stays where it is; nullopt where it has none.
std::optional<Reference> linked_place(const Weight& weight, const LinkedFiles& linked) {
  const auto file = linked.find(weight.stored->file.get());
  if (file == linked.end() || !weight.pieces().empty()) return std::nullopt;
  const std::optional<uint64_t> offset = TileReader(weight).untouched();
  if (!offset) return std::nullopt;
  return Reference{file->second, *offset, weight.bytes()};
}

/// The data file under construction: page-aligned, each weight once.
class DataFile {
 public:
  struct Place {
    uint64_t offset;
    bool fresh;  // whether this is the first that asks for these bytes
  };

  DataFile(std::string name, size_t index) : name(std::move(name)), index(index) {}

  Place place(const Weight& weight) {
    std::vector<std::pair<Weight, uint64_t>>& known = placed_[{weight.stored->file.get(), weight.stored->offset}];
    for (const auto& [other, offset] : known) {
      if (other.same_as(weight)) return {offset, false};
    }
    const uint64_t offset = (bytes_ + page - 1) / page * page;
    bytes_ = offset + weight.bytes();
    known.emplace_back(weight, offset);
    return {offset, true};
  }
  uint64_t bytes() const { return bytes_; }

  const std::string name;
  const size_t index;  // among Layout::files

 private:
  uint64_t bytes_ = 0;
  std::map<std::pair<const MappedFile*, uint64_t>, std::vector<std::pair<Weight, uint64_t>>> placed_;
};

/// Lays out one model. A ModelProto is its fields without the graph, then the graph field: the graph's fields without
/// streamed weights, then one initializer field a weight. The order of fields is free in protobuf, and this one lets
/// every weight be copied to its place without being held.
void lay_out(const ModelToWrite& model, const ModelFileOptions& options, DataFile& data, Layout& layout) {
  struct Embedded {
    std::string head;
    std::shared_ptr<const Weight> weight;
  };
  const size_t file = layout.files.size();
  const bool apart = options.external_data || !options.linked.empty();
  std::vector<Embedded> embedded;
  std::string inline_headers;
  uint64_t graph_bytes = 0;
  for (const StreamedInitializer& initializer : model.parts.weights) {
    const uint64_t bytes = initializer.weight->bytes();
    pb::TensorProto header = initializer.header;
    if (apart && bytes >= inline_below) {
      if (const auto place = linked_place(*initializer.weight, options.linked)) {
        set_external(header, *place);
      } else {
        const DataFile::Place placed = data.place(*initializer.weight);
        set_external(header, {data.name, placed.offset, bytes});
        if (placed.fresh) layout.jobs.push_back({initializer.weight, data.index, placed.offset});
      }
      const std::string body = serialized(header);
      inline_headers += field_header(pb::GraphProto::kInitializerFieldNumber, body.size()) + body;
      continue;
    }
    std::string body = serialized(header) + field_header(pb::TensorProto::kRawDataFieldNumber, bytes);
    std::string head = field_header(pb::GraphProto::kInitializerFieldNumber, body.size() + bytes) + body;
    graph_bytes += head.size() + bytes;
    embedded.push_back({std::move(head), initializer.weight});
  }
  const std::string graph = serialized(model.parts.model.graph());
  graph_bytes += graph.size() + inline_headers.size();
  pb::ModelProto outer = model.parts.model;
  outer.clear_graph();
  std::vector<Piece> pieces;
  Piece current{
      0, serialized(outer) + field_header(pb::ModelProto::kGraphFieldNumber, graph_bytes) + graph + inline_headers};
  for (Embedded& item : embedded) {
    current.bytes += item.head;
    const uint64_t at = current.offset + current.bytes.size();
    pieces.push_back(std::move(current));
    layout.jobs.push_back({item.weight, file, at});
    current = {at + item.weight->bytes(), {}};
  }
  const uint64_t bytes = current.offset + current.bytes.size();
  if (!current.bytes.empty()) pieces.push_back(std::move(current));
  if (bytes > protobuf_limit) {
    throw Error(Failure::usage,
                fmt::format("{} would be {:.1f} GB in one file, above the 2 GB that a protobuf file can hold",
                            model.file, static_cast<double>(bytes) / 1e9),
                "pass --external-data to keep the weights in a file beside it");
  }
  layout.files.push_back({model.file, bytes});
  layout.pieces.push_back(std::move(pieces));
}

Layout lay_out(const std::vector<ModelToWrite>& models, const ModelFileOptions& options) {
  Layout layout;
  DataFile data(options.data_file.empty() ? models.at(0).file + "_data" : options.data_file, models.size());
  for (const ModelToWrite& model : models) lay_out(model, options, data, layout);
  if (data.bytes() > 0) layout.files.push_back({data.name, data.bytes()});
  for (ExportedFile& file : layout.files) file.path = options.folder / file.path;
  return layout;
}

}  // namespace

std::vector<ExportedFile> plan_models(const std::vector<ModelToWrite>& models, const ModelFileOptions& options) {
  return lay_out(models, options).files;
}

std::vector<ExportedFile> write_models(const std::vector<ModelToWrite>& models, const ModelFileOptions& options) {
  const Layout layout = lay_out(models, options);
  if (options.planned) options.planned(layout.files);
  std::vector<std::unique_ptr<OutputFile>> files;
  for (const ExportedFile& file : layout.files) files.push_back(std::make_unique<OutputFile>(file.path, file.bytes));
  for (size_t i = 0; i < models.size(); ++i) {
    for (const Piece& piece : layout.pieces[i]) files[i]->write(std::as_bytes(std::span(piece.bytes)), piece.offset);
  }
  std::vector<WriteJob> jobs;
  for (const Job& job : layout.jobs) jobs.push_back({*job.weight, files[job.file]->descriptor(), job.offset});
  WriteOptions how{.threads = options.threads,
                   .progress =
                       [&](uint64_t done, uint64_t total) {
                         if (options.progress.report) options.progress.report("writing weights", done, total);
                       },
                   .cancel = options.progress.cancel};
  if (options.memory > 0) how.memory = options.memory;
  write_weights(jobs, how);
  for (const auto& file : files) file->close();
  return layout.files;
}

std::vector<std::string> weights_not_linked(const std::vector<ModelToWrite>& models, const ModelFileOptions& options) {
  std::set<std::string> names;
  for (const ModelToWrite& model : models) {
    for (const StreamedInitializer& initializer : model.parts.weights) {
      if (initializer.weight->bytes() >= inline_below && !linked_place(*initializer.weight, options.linked))
        names.insert(initializer.header.name());
    }
  }
  return {names.begin(), names.end()};
}

}  // namespace onnxport
