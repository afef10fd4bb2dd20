// SPDX-License-Identifier: Apache-2.0
// All that is told of an ONNX file, as a value.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/inspect/findings.hpp"
#include "core/inspect/model_cost.hpp"
#include "core/inspect/onnx_file.hpp"
#include "core/inspect/runtime.hpp"

namespace onnxport::inspect {

struct InspectOptions {
  ir::Lengths sizes;               // of open axes; others are 1 where they lead, else 128
  std::optional<Runtime> runtime;  // whose lacks are wanted
  bool wants_law = true;           // the operations as a polynomial, which takes some dozens of shape inferences
};

/// An input or output.
struct Port {
  std::string name, type;                              // "i64[batch, sequence]"
  std::string element;                                 // "i64"; empty where it is no tensor
  std::optional<std::vector<std::string>> dimensions;  // "batch", "768", "?"; none where any rank will do
};

/// What is stored, of one element type or in one module.
struct Stored {
  uint64_t tensors = 0, parameters = 0, bytes = 0;
  Stored& operator+=(const Stored& other);
};

/// A module of the original model, with all that stands below it.
struct ModuleShare {
  Stored stored;
  uint64_t nodes = 0;
  int64_t operations = 0;
};

struct Inspection {
  std::string producer, producer_version;
  int64_t ir_version = 0;
  std::vector<std::pair<std::string, int64_t>> opsets;  // domain ("" is ONNX) -> version
  std::vector<Port> inputs, outputs;
  std::map<std::string, uint64_t> operators;  // "MatMul", "com.microsoft:Gelu" -> nodes, those of bodies too
  std::map<std::string, uint64_t> domains;    // -> nodes
  uint64_t nodes = 0, functions = 0;
  std::map<std::string, Stored> by_type;           // "f32"
  std::map<std::string, ModuleShare> by_module;    // "encoder.layer.0.attention"; each also holds what is below it
  std::map<std::string, uint64_t> external_files;  // -> bytes that weights take of it
  std::map<std::string, std::string> metadata;
  std::vector<OpenAxis> axes;
  ir::Lengths sizes;  // at which the cost is told
  ModelCost cost;
  std::optional<std::vector<CostTerm>> law;
  std::vector<Finding> findings;

  bool is_sound() const;
};

/// Reads nothing of weights but a few places of those that are of the same size. Throws Error(usage) for a size of an
/// axis that the model does not have.
Inspection inspect(const OnnxFile& file, const InspectOptions& options);

/// The inputs that are no weights, and the outputs.
std::vector<Port> inputs_of(const pb::GraphProto& graph);
std::vector<Port> outputs_of(const pb::GraphProto& graph);

}  // namespace onnxport::inspect
