// SPDX-License-Identifier: Apache-2.0
// Names of fields that an extension gives and nobody has: neither the checkpoint nor the plugin that it extends.
#pragma once

#include <string>
#include <vector>

#include "core/definition/config_fields.hpp"
#include "core/definition/config_names.hpp"
#include "core/error.hpp"

namespace onnxport {

/// A name of an extension's manifest that cannot be right.
struct Misnamed {
  std::string told;        ///< what is wrong, in the user's names
  std::string nearest;     ///< a name that is likely to be meant; empty where none is near
  bool is_lost;            ///< a value of the checkpoint, or of the manifest, reaches nobody for it
  bool in_manifest;        ///< the manifest names it after the plugin, which reads none of that name
  std::string told_early;  ///< the same of a definition that ended before it read all of its fields
};

/// The key of an extension's manifest by which the plugin's field has its value; empty where config.json gives it.
std::string given_by(const std::string& field, const ConfigNames& names, const Json& checkpoint);

/// What a plugin was asked to read, and did.
struct ConfigReading {
  const ConfigNames& names;
  const Json& checkpoint;        ///< config.json as it is
  const Json& read;              ///< as the plugin sees it
  const AskedFields& asked;      ///< by the plugin
  const std::string& plugin_id;  ///< of the plugin
};

/// The names that cannot be right, in the manifest's order. While a definition is not whole, a plugin may yet ask for
/// more.
std::vector<Misnamed> misnamed_fields(const ConfigReading& reading);

/// An error of a definition, or the misnamed fields that it follows from: a plugin that looks for a field and has none
/// takes its default, and what comes of that says nothing of the name.
Error explained_by(const std::vector<Misnamed>& misnamed, const Error& error);

/// Throws Error(plugin) or, where only config.json lacks a name, Error(checkpoint) for names by which a value is lost.
void refuse_lost(const std::vector<Misnamed>& misnamed);

}  // namespace onnxport
