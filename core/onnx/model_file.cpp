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
  bool in_data_file;
  uint64_t offset;
};

/// Where everything goes.
struct Layout {
  std::vector<Piece> pieces;
  std::vector<Job> jobs;
  uint64_t model_bytes = 0, data_bytes = 0;
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

/// A ModelProto is its fields without the graph, then the graph field: the graph's fields without streamed weights,
/// then one initializer field a weight. The order of fields is free in protobuf, and this one lets every weight be
/// copied to its place without being held.
Layout lay_out(const ModelParts& parts, const ModelFileOptions& options) {
  struct Embedded {
    std::string head;
    std::shared_ptr<const Weight> weight;
  };
  Layout layout;
  std::vector<Embedded> embedded;
  std::string inline_headers;
  uint64_t graph_bytes = 0;
  for (const StreamedInitializer& initializer : parts.weights) {
    const uint64_t bytes = initializer.weight->bytes();
    pb::TensorProto header = initializer.header;
    if (options.external_data && bytes >= inline_below) {
      layout.data_bytes = (layout.data_bytes + page - 1) / page * page;
      header.set_data_location(pb::TensorProto_DataLocation_EXTERNAL);
      add_entry(header, "location", options.model_file + "_data");
      add_entry(header, "offset", std::to_string(layout.data_bytes));
      add_entry(header, "length", std::to_string(bytes));
      layout.jobs.push_back({initializer.weight, true, layout.data_bytes});
      layout.data_bytes += bytes;
      const std::string body = serialized(header);
      inline_headers += field_header(pb::GraphProto::kInitializerFieldNumber, body.size()) + body;
      continue;
    }
    std::string body = serialized(header) + field_header(pb::TensorProto::kRawDataFieldNumber, bytes);
    std::string head = field_header(pb::GraphProto::kInitializerFieldNumber, body.size() + bytes) + body;
    graph_bytes += head.size() + bytes;
    embedded.push_back({std::move(head), initializer.weight});
  }
  const std::string graph = serialized(parts.model.graph());
  graph_bytes += graph.size() + inline_headers.size();
  pb::ModelProto outer = parts.model;
  outer.clear_graph();
  Piece current{
      0, serialized(outer) + field_header(pb::ModelProto::kGraphFieldNumber, graph_bytes) + graph + inline_headers};
  for (Embedded& item : embedded) {
    current.bytes += item.head;
    const uint64_t at = current.offset + current.bytes.size();
    layout.pieces.push_back(std::move(current));
    layout.jobs.push_back({item.weight, false, at});
    current = {at + item.weight->bytes(), {}};
  }
  layout.model_bytes = current.offset + current.bytes.size();
  if (!current.bytes.empty()) layout.pieces.push_back(std::move(current));
  if (layout.model_bytes > protobuf_limit) {
    throw Error(Failure::usage,
                fmt::format("{} would be {:.1f} GB in one file, above the 2 GB that a protobuf file can hold",
                            options.model_file, static_cast<double>(layout.model_bytes) / 1e9),
                "pass --external-data to keep the weights in a file beside it");
  }
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

std::vector<ExportedFile> files_of(const Layout& layout, const ModelFileOptions& options) {
  std::vector<ExportedFile> files{{options.folder / options.model_file, layout.model_bytes}};
  if (layout.data_bytes > 0) files.push_back({options.folder / (options.model_file + "_data"), layout.data_bytes});
  return files;
}

}  // namespace

std::vector<ExportedFile> plan_model(const ModelParts& parts, const ModelFileOptions& options) {
  return files_of(lay_out(parts, options), options);
}

std::vector<ExportedFile> write_model(const ModelParts& parts, const ModelFileOptions& options) {
  const Layout layout = lay_out(parts, options);
  const std::vector<ExportedFile> files = files_of(layout, options);
  OutputFile model(files[0].path, files[0].bytes);
  std::optional<OutputFile> data;
  if (files.size() > 1) data.emplace(files[1].path, files[1].bytes);
  for (const Piece& piece : layout.pieces) model.write(piece);
  std::vector<WriteJob> jobs;
  for (const Job& job : layout.jobs) {
    jobs.push_back({*job.weight, job.in_data_file ? data->descriptor() : model.descriptor(), job.offset});
  }
  write_weights(jobs, {.threads = options.threads,
                       .progress =
                           [&](uint64_t done, uint64_t total) {
                             if (options.progress.report) options.progress.report("writing weights", done, total);
                           },
                       .cancel = options.progress.cancel});
  model.close();
  if (data) data->close();
  return files;
}

}  // namespace onnxport
