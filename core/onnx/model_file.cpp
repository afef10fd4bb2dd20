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

/// Where everything goes: the models' files in their order, then the data files that have bytes.
struct Layout {
  std::vector<ExportedFile> files;
  std::vector<std::vector<Piece>> pieces;  // by model
  std::vector<Job> jobs;
  std::vector<Job> data_jobs;  // their files are those of DataFiles, until all are known
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

/// Weights by where their bytes are stored, so that only few are compared as wholes.
template <class Place>
class WeightMap {
 public:
  const Place* find(const Weight& weight) const {
    const auto bucket = places_.find(key_of(weight));
    if (bucket == places_.end()) return nullptr;
    for (const auto& [other, place] : bucket->second) {
      if (other.same_as(weight)) return &place;
    }
    return nullptr;
  }
  const Place& add(const Weight& weight, Place place) {
    return places_[key_of(weight)].emplace_back(weight, std::move(place)).second;
  }
  void clear() { places_.clear(); }

 private:
  using Key = std::pair<const MappedFile*, uint64_t>;
  static Key key_of(const Weight& weight) { return {weight.stored->file.get(), weight.stored->offset}; }
  std::map<Key, std::vector<std::pair<Weight, Place>>> places_;
};

/// Those of earlier files that a model may refer to: of its own folder.
WeightMap<Reference> references_of(const ModelToWrite& model, const PlacedWeights& placed) {
  WeightMap<Reference> known;
  for (const PlacedWeight& one : placed) {
    const std::filesystem::path file = one.file;
    if (file.parent_path() == std::filesystem::path(model.file).parent_path())
      known.add(*one.weight, {file.filename().string(), one.offset, one.weight->bytes()});
  }
  return known;
}

/// The data files under construction: page-aligned, each weight once in those of one model, or of all.
class DataFiles {
 public:
  struct Place {
    size_t file;  // among files()
    uint64_t offset;
    bool fresh;  // whether this is the first that asks for these bytes
  };
  struct File {
    std::filesystem::path name;
    uint64_t bytes = 0;
    /// As the models say it, which lie in the same folder.
    std::string location() const { return name.filename().string(); }
  };

  /// `piece`: the largest that a file may become, unless a single weight is larger; 0 where nothing bounds it.
  explicit DataFiles(uint64_t piece) : piece_(piece) {}

  /// What is placed from here on goes into the file of that name and those that continue it.
  void begin(const std::filesystem::path& name) {
    stem_ = name.string();
    pieces_ = 0;
    placed_.clear();
    files_.push_back({name});
  }

  Place place(const Weight& weight) {
    if (const Place* known = placed_.find(weight)) return {known->file, known->offset, false};
    uint64_t offset = (files_.back().bytes + page - 1) / page * page;
    if (piece_ > 0 && offset > 0 && offset + weight.bytes() > piece_) {
      files_.push_back({stem_ + "_" + std::to_string(++pieces_)});
      offset = 0;
    }
    files_.back().bytes = offset + weight.bytes();
    return placed_.add(weight, {files_.size() - 1, offset, true});
  }
  const std::vector<File>& files() const { return files_; }

 private:
  uint64_t piece_;
  std::string stem_;
  size_t pieces_ = 0;
  std::vector<File> files_;
  WeightMap<Place> placed_;
};

/// Lays out one model. A ModelProto is its fields without the graph, then the graph field: the graph's fields without
/// streamed weights, then one initializer field a weight. The order of fields is free in protobuf, and this one lets
/// every weight be copied to its place without being held.
void lay_out(const ModelToWrite& model, const ModelFileOptions& options, DataFiles& data, Layout& layout) {
  struct Embedded {
    std::string head;
    std::shared_ptr<const Weight> weight;
  };
  const size_t file = layout.files.size();
  const bool apart = options.external_data || !options.linked.empty();
  std::vector<Embedded> embedded;
  std::string inline_headers;
  uint64_t graph_bytes = 0;
  const WeightMap<Reference> earlier = references_of(model, options.placed);
  // Where the bytes of a weight lie that are not in the model; null where they are.
  const auto place_outside = [&](const StreamedInitializer& initializer) -> std::optional<Reference> {
    const uint64_t bytes = initializer.weight->bytes();
    if (bytes < inline_below) return std::nullopt;
    if (const Reference* known = earlier.find(*initializer.weight)) return *known;
    if (!apart) return std::nullopt;
    if (auto place = linked_place(*initializer.weight, options.linked)) return place;
    const DataFiles::Place placed = data.place(*initializer.weight);
    if (placed.fresh) layout.data_jobs.push_back({initializer.weight, placed.file, placed.offset});
    return Reference{data.files()[placed.file].location(), placed.offset, bytes};
  };
  for (const StreamedInitializer& initializer : model.parts.weights) {
    const uint64_t bytes = initializer.weight->bytes();
    pb::TensorProto header = initializer.header;
    if (const auto outside = place_outside(initializer)) {
      set_external(header, *outside);
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
  DataFiles data(options.data_piece);
  const bool shared = options.data_piece == 0;
  require_data_file_name(options.data_file);
  const std::filesystem::path first = models.at(0).file;
  const std::string own_name = first.filename().string() + "_data";
  if (shared) data.begin(first.parent_path() / (options.data_file.empty() ? own_name : options.data_file));
  for (const ModelToWrite& model : models) {
    if (!shared) data.begin(model.file + "_data");
    lay_out(model, options, data, layout);
  }
  std::vector<size_t> places;
  for (const DataFiles::File& file : data.files()) {
    const auto is_taken = [&](const ModelToWrite& model) { return model.file == file.name; };
    if (file.bytes > 0 && std::any_of(models.begin(), models.end(), is_taken)) {
      throw Error(Failure::usage,
                  fmt::format("the weights cannot lie in {}, which is the name of a model", file.name.string()),
                  "give --data-name another one");
    }
    places.push_back(layout.files.size());
    if (file.bytes > 0) layout.files.push_back({file.name, file.bytes});
  }
  for (Job& job : layout.data_jobs) layout.jobs.push_back({std::move(job.weight), places[job.file], job.offset});
  layout.data_jobs.clear();
  for (ExportedFile& file : layout.files) file.path = options.folder / file.path;
  return layout;
}

}  // namespace

void require_data_file_name(const std::filesystem::path& name) {
  if (name.empty() || (!name.has_parent_path() && name != "." && name != "..")) return;
  throw Error(Failure::usage, "--data-name " + name.string() + " is not the name of a file",
              "give a name without folders; the file lies beside the model");
}

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
                   .cancel = options.progress.cancel,
                   .not_finite = options.not_finite};
  if (options.memory > 0) how.memory = options.memory;
  write_weights(jobs, how);
  for (const auto& file : files) file->close();
  return layout.files;
}

PlacedWeights places_of(const std::vector<ModelToWrite>& models, const ModelFileOptions& options) {
  const Layout layout = lay_out(models, options);
  PlacedWeights places;
  for (const Job& job : layout.jobs) {
    if (job.weight->bytes() < inline_below) continue;
    places.push_back({job.weight, layout.files[job.file].path.lexically_relative(options.folder), job.offset});
  }
  return places;
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
