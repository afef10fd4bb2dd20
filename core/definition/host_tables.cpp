// SPDX-License-Identifier: Apache-2.0
#include "core/definition/host_tables.hpp"

#include "core/definition/onnx_config.hpp"
#include "core/version.hpp"

namespace onnxport {
namespace {

using detail::abi;
using detail::clipped;

LogSink log_sink = nullptr;

onnxport_status* make_status(onnxport_code code, onnxport_string what, onnxport_string place) {
  return new onnxport_status{code, std::string(clipped(what)), std::string(clipped(place))};
}

void log_message(onnxport_log_level level, onnxport_string what) {
  if (log_sink != nullptr) log_sink(level, std::string(clipped(what)));
}
const onnxport_log_1 log_table{sizeof(onnxport_log_1), log_message};

const void* get_interface(const onnxport_host*, onnxport_string of_name, uint32_t version) {
  const std::string_view name = clipped(of_name);
  if (version != 1) return nullptr;
  if (name == "graph") return &detail::graph_table();
  if (name == "weights") return &detail::weights_table();
  if (name == "config") return &detail::config_table();
  if (name == "models") return &detail::models_table();
  if (name == "log") return &log_table;
  return nullptr;
}

}  // namespace

void set_log_sink(LogSink sink) {
  log_sink = sink;
}

const onnxport_host& plugin_host() {
  static const onnxport_host host{
      sizeof(onnxport_host),
      ONNXPORT_ABI_MAJOR,
      ONNXPORT_ABI_MINOR,
      abi("onnxport"),
      abi(version),
      get_interface,
      make_status,
      [](const onnxport_status* status) { return status->code; },
      [](const onnxport_status* status) { return abi(status->text); },
      [](const onnxport_status* status) { return abi(status->place); },
      [](onnxport_status* status) { delete status; },
  };
  return host;
}

}  // namespace onnxport
