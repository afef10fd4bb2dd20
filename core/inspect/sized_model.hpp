// SPDX-License-Identifier: Apache-2.0
// A model's shapes for given lengths of its axes, by onnx's own shape inference.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/inspect/onnx_file.hpp"
#include "core/ir/lengths.hpp"

namespace onnxport::inspect {

using Sizes = std::vector<int64_t>;

/// An axis of the inputs that the file leaves open.
struct OpenAxis {
  std::string name;                  // "sequence"; where the file gives none, "input_ids[1]"
  std::string place;                 // the first input that has it, "input_ids[1]"
  bool leads = false;                // it is the first axis wherever it stands
  std::optional<int64_t> only = {};  // the one length that the weights allow, such as an image's channels
};

/// Shapes and types of values by name, those of the graphs around included.
class ValueTypes {
 public:
  ValueTypes() = default;
  explicit ValueTypes(const pb::GraphProto& graph, const ValueTypes* around = nullptr);

  /// nullopt where a dimension, or all of the type, is unknown.
  std::optional<Sizes> sizes(const std::string& value) const;
  /// Of onnx.TensorProto.DataType; 0 where it is unknown.
  int32_t element_type(const std::string& value) const;
  std::optional<uint64_t> bytes(const std::string& value) const;

 private:
  struct Known {
    int32_t type = 0;
    std::optional<Sizes> sizes{};
  };
  const Known* find(const std::string& value) const;
  void add(const pb::ValueInfoProto& value);
  void add(const pb::TensorProto& tensor);

  std::map<std::string, Known> known_;
  const ValueTypes* around_ = nullptr;
};

/// A model whose inputs have lengths, with what shape inference found.
struct SizedModel {
  pb::ModelProto model;               // its bodies and functions too
  std::vector<std::string> problems;  // what contradicts itself at these lengths, with node and operator
  /// Integers that the graph computes of shapes, such as the trips of a loop, by the value's name.
  std::map<std::string, Sizes> integers;
};

/// Takes the shapes of a model's inputs apart, once, and puts lengths into them, as often as wanted.
class SizableModel {
 public:
  explicit SizableModel(const pb::ModelProto& model);

  const std::vector<OpenAxis>& axes() const { return axes_; }
  /// The lengths of all open axes by name. Those that are not given are what the weights demand, else 1 where the axis
  /// leads, else `otherwise`.
  ir::Lengths complete(ir::Lengths given, int64_t otherwise) const;
  SizedModel at(const ir::Lengths& lengths) const;

 private:
  void collect_axes();
  void find_demands();

  pb::ModelProto model_;
  std::vector<OpenAxis> axes_;
};

/// Whether the axis' text is a name and no sum, product or quotient.
bool is_plain_name(const std::string& axis);

}  // namespace onnxport::inspect
