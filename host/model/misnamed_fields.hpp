// SPDX-License-Identifier: Apache-2.0
// Names of fields that an extension's manifest gives and nobody has.
#pragma once

#include "host/model/selection.hpp"

namespace onnxport {

/// A model that was defined; `strict`: a name by which a value is lost is refused.
struct NamedFields {
  const Selection& selection;
  const Json& config;  ///< config.json as it is
  bool strict = false;
};

/// Notes the names of config_names, config_defaults and config_values that cannot be right. Throws Error(plugin) or
/// Error(checkpoint) for one by which a value is lost, where `strict`.
void note_misnamed(const NamedFields& fields, Console& console);

}  // namespace onnxport
