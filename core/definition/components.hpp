// SPDX-License-Identifier: Apache-2.0
// Models that another model is put together of, each defined by the plugin of its own type.
#pragma once

#include <onnxport/abi.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/definition/host_tables.hpp"
#include "core/definition/onnx_config.hpp"

/// One of them.
struct onnxport_component {
  onnxport::OnnxConfig model;
  std::string section;  // the field of config.json that it was made of; "" where that was all of it
};

namespace onnxport::detail {

/// What was opened for one model. Lives as long as that one's onnx-config.
class Components {
 public:
  /// `config` is the model's own; both must outlive this. `depth`: how many models this one stands within.
  Components(const ModelFinder* finder, const Json& config, int depth)
      : finder_(finder), config_(&config), depth_(depth) {}

  /// Errors as of OnnxConfig::from_model_config and of the finder.
  onnxport_component& open(const onnxport_component_request& request);
  /// The field of config.json that is this map; "" where it is all of it, or lies deeper.
  std::string section_of(const Json& part) const;
  /// The fields that nobody read, each behind the section's name: "text_config.rope_scaling".
  std::vector<std::string> unread() const;
  /// Adds what those asked for that were made of the whole of config.json.
  void add_asked(AskedFields& fields) const;
  /// Takes off the list what those read that were made of the whole of config.json.
  void take_off_read(std::vector<std::string>& fields) const;

 private:
  const ModelFinder* finder_;
  const Json* config_;
  int depth_;
  std::vector<std::unique_ptr<onnxport_component>> opened_;
};

}  // namespace onnxport::detail
