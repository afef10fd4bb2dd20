// SPDX-License-Identifier: Apache-2.0
// A plugin's object for one model type with one feature, and calls to its functions.
#pragma once

#include <onnxport/abi.h>

#include <string>

#include "core/definition/onnx_config.hpp"
#include "core/definition/own_inputs.hpp"

namespace onnxport::detail {

/// Owns the object. What a function reports becomes the host's error, and so does an exception that the plugin lets
/// through against its promise: the host goes on to report it.
class PluginObject {
 public:
  /// Has the plugin create the object. It may keep what the request points to.
  PluginObject(PluginTable plugin, const onnxport_request& request);
  ~PluginObject();
  PluginObject(const PluginObject&) = delete;
  PluginObject& operator=(const PluginObject&) = delete;

  void describe(const std::string& part, onnxport_description& sink) const;
  void forward(const std::string& part, onnxport_graph& graph) const;
  /// Has the plugin fill `own`. Nothing where it was built before ABI 1.2 or makes no inputs.
  void dummy_inputs(const std::string& part, const onnxport_dummy_request& request, OwnInputs& own) const;
  /// The replacement values of a node that the plugin claimed with a patching spec.
  std::vector<onnxport_value> lower(uint64_t tag, onnxport_graph& graph, const ir::Node& node) const;

 private:
  template <class Call>
  void call(const char* function, Call table_function) const;

  PluginTable plugin_;
  std::string model_type_;
  onnxport_onnx_config* object_ = nullptr;
};

}  // namespace onnxport::detail
