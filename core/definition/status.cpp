// SPDX-License-Identifier: Apache-2.0
#include "core/definition/status.hpp"

#include <fmt/format.h>

#include <memory>

#include "core/error.hpp"
#include "core/out_of_memory.hpp"
#include "core/printable.hpp"

namespace onnxport::detail {

void throw_status(onnxport_status* status, const std::string& plugin_id, const std::string& model_type) {
  if (status == nullptr) return;
  const std::unique_ptr<onnxport_status> owned(status);
  owned->text =
      owned->text.empty() ? fmt::format("plugin {} failed and does not say why", plugin_id) : shortened(owned->text);
  owned->place = shortened(owned->place);
  const bool is_told = owned->place.empty() || owned->text.starts_with(fmt::format("'{}'", owned->place));
  const std::string where = is_told ? "" : fmt::format(" at '{}'", owned->place);
  if (tells_of_memory(owned->text))
    throw OutOfMemory(fmt::format("plugin {} got no memory{}: {}", plugin_id, where, owned->text));
  switch (owned->code) {
    case ONNXPORT_CONFIG:
      throw Error(
          Failure::checkpoint, owned->text,
          fmt::format("correct config.json; it was read for model type '{}' by plugin {}", model_type, plugin_id));
    case ONNXPORT_UNSUPPORTED:
      throw Error(
          Failure::checkpoint, owned->text + where,
          fmt::format("correct config.json where that is a mistake; if not, plugin {} does not have it for model "
                      "type '{}'",
                      plugin_id, model_type));
    case ONNXPORT_WEIGHTS:
      throw Error(Failure::checkpoint, owned->text + where, "");
    default:
      throw Error(Failure::plugin,
                  fmt::format("plugin {} failed for model type '{}'{}: {}", plugin_id, model_type, where, owned->text),
                  "this is a defect of the plugin; tell its author, with this message");
  }
}

}  // namespace onnxport::detail
