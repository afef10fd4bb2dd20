// SPDX-License-Identifier: Apache-2.0
// To which module of the original model a node or a weight belongs, as far as names tell.
#pragma once

#include <map>
#include <string>

#include "core/inspect/onnx_file.hpp"

namespace onnxport::inspect {

/// "encoder.layer.0.attention.self.query" for a node called "/encoder/layer.0/attention/self/query/MatMul" or one that
/// torch wrote its scopes beside; empty where neither tells.
std::string module_of(const pb::NodeProto& node);

/// Whether a path is the module's or one below it; all are below the model itself, "".
bool is_within(const std::string& path, const std::string& module);

/// Modules of tensors: "encoder.layer.0.query" of "encoder.layer.0.query.weight", and for a name that is none of a
/// module ("onnx::MatMul_1234") the module of the node that uses it.
class WeightModules {
 public:
  explicit WeightModules(const pb::GraphProto& graph);
  std::string of(const std::string& tensor) const;

 private:
  std::map<std::string, std::string> users_;
};

/// The same path with the numbers of repeated modules as stars: "encoder.layer.*.attention".
std::string pattern_of(const std::string& module);

}  // namespace onnxport::inspect
