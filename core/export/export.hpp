// SPDX-License-Identifier: Apache-2.0
// export_onnx: from a definition to files on disk.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/definition/onnx_config.hpp"
#include "core/files/mapped_file.hpp"
#include "core/ir/target.hpp"
#include "core/onnx/axis_names.hpp"
#include "core/onnx/exported_file.hpp"
#include "core/passes/pipeline.hpp"
#include "core/progress.hpp"

namespace onnxport {

struct ModelParts;  // core/onnx/model_proto.hpp

struct ExportOptions {
  bool keep_custom_ops = false;  ///< operators of the plugin's own stay calls of a kernel, without a function
  int64_t opset = 18;
  Target target = Target::onnx;
  bool external_data = false;  // also where the model is above protobuf's 2 GB
  std::string model_file = "model.onnx";
  std::string data_file;    // of external data; empty: model_file + "_data"
  uint64_t data_piece = 0;  // not 0: each graph has files of its own for that, of at most so many bytes
  AxisNames axes{};
  /// Not empty: models refer to the checkpoint's own bytes, in its layout and type, wherever they can.
  LinkedFiles linked;
  /// Weights that files of this folder hold already: models refer to their bytes.
  PlacedWeights placed{};
  bool tells_places = false;  // for models that are to refer to what is written
  /// f16 and bf16 store weights and compute in the type; inputs and outputs stay as they are
  /// (core/passes/precision.hpp).
  ir::DType dtype = ir::DType::f32;
  KeptModules keep_in_fp32 = {};  // beside those that the plugin keeps
  InputForm inputs = {};
  int64_t newest_ir_version = 0;                // of the file format, that readers know; 0: what came with the opset
  std::map<std::string, std::string> metadata;  // written as metadata_props
  int threads = 0;                              // 0: as many as cores
  uint64_t memory = 0;                          // for tiles on their way; 0: 16 MB
  /// Called with what will be written before anything is.
  std::function<void(const std::vector<ExportedFile>&)> planned;
  Progress progress;
  std::set<std::string>* not_finite = nullptr;  // as WriteOptions has it: not null has all written bytes looked at
};

/// Metadata of a file that holds parts of a model: which, joined by commas. Added to the caller's own.
inline constexpr const char* parts_metadata = "onnxport.parts";

/// An input or output as the file states it.
struct ExportedValue {
  std::string name;
  ir::DType dtype = ir::DType::undefined;
  std::vector<std::string> axes;  // names, and sizes as digits
};

/// What was written as one graph.
struct ExportedGraph {
  std::string file;
  std::vector<ExportedValue> inputs, outputs;
  size_t nodes = 0, initializers = 0;
};

/// What the parts of a file say of the graph that was lowered.
ExportedGraph told_of(const std::string& file, const ModelParts& parts, const ir::Graph& lowered);

struct ExportResult {
  std::vector<ExportedFile> files;
  std::vector<ExportedGraph> graphs;
  /// Weights that the checkpoint holds under two names and the model once: name that is gone, name that stands for it.
  std::map<std::string, std::string> tied;
  /// With `linked`: weights that are written all the same, because their bytes are not those of the checkpoint.
  std::vector<std::string> not_linked;
  PlacedWeights placed{};  // where the files hold their weights, where that was asked for
};

/// One file and the definitions that it holds: one, or the first step's and the cached step's, which are merged.
struct GraphToExport {
  std::string file;
  std::vector<const Definition*> definitions;
};

/// Lowers the definition and writes it into `folder`, which exists. Same input, same bytes. Not atomic by itself: the
/// caller gives a staging folder. Throws Error(usage) for an opset out of range, Error(output) where a file
/// cannot be written.
ExportResult export_onnx(const OnnxConfig& config, const Definition& definition, const std::filesystem::path& folder,
                         const ExportOptions& options);
/// The same for the graphs of a layout. With external data all of them share one data file.
ExportResult export_graphs(const OnnxConfig& config, const std::vector<GraphToExport>& graphs,
                           const std::filesystem::path& folder, const ExportOptions& options);

/// What decides how a definition becomes a graph of ONNX operators.
struct GraphForm {
  int64_t opset = 18;
  ir::DType dtype = ir::DType::f32;  // f16 or bf16: see core/passes/precision.hpp
  bool weights_as_stored = false;    // for models that refer to the checkpoint's bytes
  InputForm inputs = {};
  KeptModules keep_in_fp32 = {};  // in 16 bits, beside those that the plugin keeps
};

/// All modules of the definition that the form keeps in f32.
KeptModules kept_in(const Definition& definition, const GraphForm& form);

/// The output that holds logits, or other numbers, for each of the tokens that the model is given: the one of which
/// only the last are put out with InputForm::kept_logits. Empty where there is none.
std::string logits_of(const Description& description);

/// The states to which a step of the graph appends: those that InputForm::max_sequence is about. Where no input is as
/// long as all that they hold then, or as the step, its name is empty.
std::vector<GrowingState> growing_states(const Description& description);

/// The graph that is written for one of the definition (or for it with other marks). Deterministic: a second call finds
/// the names that the file has. `tied` is told of weights that the checkpoint holds twice.
ir::Graph lowered_graph(const OnnxConfig& config, const Definition& definition, ir::Graph graph, const GraphForm& form,
                        TiedWeights* tied = nullptr);

/// The plugin's patching specs in the form that lowering takes; they refer to `config`.
std::vector<Patch> patches_of(const OnnxConfig& config);

/// The opsets that can be written.
constexpr int64_t lowest_opset = 13, highest_opset = 24;

}  // namespace onnxport
