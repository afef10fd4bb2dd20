// SPDX-License-Identifier: Apache-2.0
// What a definition reads of config.json as something else than it is, so that it would go on with a default.
#pragma once

#include <string>
#include <string_view>

#include "core/checkpoint/checkpoint.hpp"
#include "core/definition/config_names.hpp"

namespace onnxport {

/// Whether no config class takes null for a field of this name, wherever it stands. Null elsewhere may be a value of
/// its own: no window, as many key heads as there are heads.
bool is_never_null(std::string_view field);

/// The first field of a config that was read as what it is not.
class Misread {
 public:
  /// Notes a field by its path and what it holds; later ones do not count.
  void note(const std::string& path, const Json& found, std::string_view expected);
  /// Throws Error(checkpoint) where there is one, that says what was found and what was expected, with the user's name
  /// of the field where `names` has one.
  void check(const ConfigNames* names) const;

 private:
  std::string path_, found_, expected_;
};

/// The field that a message begins with, "config field 'F' …"; empty where it begins otherwise.
std::string field_of(const std::string& message);

/// A plugin's message that a field has another type than is expected, with what the config holds there in its place;
/// any other message as it is.
std::string with_what_is_there(const std::string& message, const Json& config);

}  // namespace onnxport
