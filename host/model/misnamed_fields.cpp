// SPDX-License-Identifier: Apache-2.0
#include "host/model/misnamed_fields.hpp"

#include <algorithm>

#include "core/definition/misnamed.hpp"
#include "registry/features_manager.hpp"

namespace onnxport {
namespace {

/// What the plugin asked for of a config, that of its parts included.
AskedFields asked_by(const OnnxConfig& model, const ConfigNames& names) {
  AskedFields asked = model.asked_fields();
  const std::vector<std::string> unread = model.unread();
  for (const auto& [field, value] : model.model_config().items()) {
    if (std::find(unread.begin(), unread.end(), names.own_name(field)) == unread.end()) asked.emplace(field, true);
  }
  return asked;
}

}  // namespace

void note_misnamed(const NamedFields& fields, Console& console) {
  const Selection& selection = fields.selection;
  if (!selection.is_extension) return;
  const auto supported =
      FeaturesManager(*selection.registry)
          .check_supported_model_or_raise(selection.model_type, selection.feature, selection.extension_id);
  const auto names = supported.config_names();
  const OnnxConfig& model = *selection.onnx_config;
  const AskedFields asked = asked_by(model, *names);
  const std::vector<Misnamed> misnamed =
      misnamed_fields({*names, fields.config, model.model_config(), asked, selection.plugin_id});
  if (fields.strict) refuse_lost(misnamed);
  for (const Misnamed& one : misnamed) console.note(one.told);
}

}  // namespace onnxport
