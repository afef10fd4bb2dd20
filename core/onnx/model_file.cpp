// SPDX-License-Identifier: Apache-2.0
#include "core/onnx/model_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/wire_format_lite.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <map>

#include "core/checkpoint/parallel_writer.hpp"
#include "core/error.hpp"

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

void add_entry(pb::TensorProto& tensor, const char* key, const std::string& value) {
  pb::StringStringEntryProto* entry = tensor.add_external_data();
  entry->set_key(key);
  entry->set_value(value);
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

/// Lays out one model; `data` is null where it embeds its weights. A ModelProto is its fields without the graph, then
/// the graph field: the graph's fields without streamed weights, then one initializer field a weight. The order of
/// fields is free in protobuf, and this one lets every weight be copied to its place without being held.
void lay_out(const ModelToWrite& model, DataFile* data, Layout& layout) {
  struct Embedded {
    std::string head;
    std::shared_ptr<const Weight> weight;
  };
  const size_t file = layout.files.size();
  std::vector<Embedded> embedded;
  std::string inline_headers;
  uint64_t graph_bytes = 0;
  for (const StreamedInitializer& initializer : model.parts.weights) {
    const uint64_t bytes = initializer.weight->bytes();
    pb::TensorProto header = initializer.header;
    if (data != nullptr && bytes >= inline_below) {
      const DataFile::Place place = data->place(*initializer.weight);
      header.set_data_location(pb::TensorProto_DataLocation_EXTERNAL);
      add_entry(header, "location", data->name);
      add_entry(header, "offset", std::to_string(place.offset));
      add_entry(header, "length", std::to_string(bytes));
      if (place.fresh) layout.jobs.push_back({initializer.weight, data->index, place.offset});
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
  for (const ModelToWrite& model : models) lay_out(model, options.external_data ? &data : nullptr, layout);
  if (data.bytes() > 0) layout.files.push_back({data.name, data.bytes()});
  for (ExportedFile& file : layout.files) file.path = options.folder / file.path;
  return layout;
}

/// An open file that closes itself.
class OutputFile {
 public:
  OutputFile(std::filesystem::path path, uint64_t bytes) : path_(std::move(path)) {
    descriptor_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (descriptor_ < 0) fail("cannot be created");
    if (::ftruncate(descriptor_, static_cast<off_t>(bytes)) != 0) fail("cannot be given its size");
  }
  ~OutputFile() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  int descriptor() const { return descriptor_; }
  void write(const Piece& piece) {
    for (size_t done = 0; done < piece.bytes.size();) {
      const ssize_t count = ::pwrite(descriptor_, piece.bytes.data() + done, piece.bytes.size() - done,
                                     static_cast<off_t>(piece.offset + done));
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) fail("cannot be written");
      done += static_cast<size_t>(count);
    }
  }
  /// Reports what the file system only tells at the end.
  void close() {
    const int descriptor = std::exchange(descriptor_, -1);
    if (::close(descriptor) != 0) fail("cannot be written");
  }

 private:
  [[noreturn]] void fail(const char* what) const {
    const int reason = errno;
    throw Error(Failure::output, fmt::format("{} {}: {}", path_.string(), what, std::strerror(reason)),
                reason == ENOSPC ? "free some space, or choose another output folder"
                                 : "check the output folder's permissions and its disk");
  }

  std::filesystem::path path_;
  int descriptor_ = -1;
};

}  // namespace

std::vector<ExportedFile> plan_models(const std::vector<ModelToWrite>& models, const ModelFileOptions& options) {
  return lay_out(models, options).files;
}

std::vector<ExportedFile> write_models(const std::vector<ModelToWrite>& models, const ModelFileOptions& options) {
  const Layout layout = lay_out(models, options);
  std::vector<std::unique_ptr<OutputFile>> files;
  for (const ExportedFile& file : layout.files) files.push_back(std::make_unique<OutputFile>(file.path, file.bytes));
  for (size_t i = 0; i < models.size(); ++i) {
    for (const Piece& piece : layout.pieces[i]) files[i]->write(piece);
  }
  std::vector<WriteJob> jobs;
  for (const Job& job : layout.jobs) jobs.push_back({*job.weight, files[job.file]->descriptor(), job.offset});
  write_weights(jobs, {.threads = options.threads,
                       .progress =
                           [&](uint64_t done, uint64_t total) {
                             if (options.progress.report) options.progress.report("writing weights", done, total);
                           },
                       .cancel = options.progress.cancel});
  for (const auto& file : files) file->close();
  return layout.files;
}

}  // namespace onnxport
