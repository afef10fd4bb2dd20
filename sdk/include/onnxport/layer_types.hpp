// SPDX-License-Identifier: Apache-2.0
// Models whose layers are of several kinds: which layer is which, by config.json.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include <onnxport/config.hpp>

namespace onnxport::sdk {

struct LayerTypes {
  int64_t layers;
  std::vector<std::string> known;                   ///< "full_attention", "sliding_attention", …
  std::function<std::string(int64_t)> otherwise{};  ///< a layer's kind by its number, where the config has no list
  const char* field = "layer_types";
};

/// The kind of each layer, by the field layer_types or another one. Throws CONFIG where it is of another length,
/// UNSUPPORTED where it names a kind that is not known.
inline std::vector<std::string> layer_types(const Config& c, const LayerTypes& of) {
  constexpr int64_t most = 100'000;
  if (of.layers > most) {
    throw Error(ONNXPORT_CONFIG, "config field 'num_hidden_layers' is " + std::to_string(of.layers) + "; expected " +
                                     std::to_string(most) + " at the most");
  }
  const std::string field = of.field;
  std::vector<std::string> types = c.texts(field);
  if (!c.has(field)) {
    for (int64_t i = 0; i < of.layers; ++i) types.push_back(of.otherwise(i));
  }
  if (static_cast<int64_t>(types.size()) != of.layers) {
    throw Error(ONNXPORT_CONFIG, "config field '" + field + "' has " + std::to_string(types.size()) +
                                     " entries; expected num_hidden_layers (" + std::to_string(of.layers) + ")");
  }
  std::string list;
  for (const std::string& type : of.known) list += (list.empty() ? "" : ", ") + type;
  for (const std::string& type : types) {
    if (std::find(of.known.begin(), of.known.end(), type) == of.known.end())
      throw Error(ONNXPORT_UNSUPPORTED,
                  "config field '" + field + "' has an entry \"" + type + "\"; supported: " + list);
  }
  return types;
}

}  // namespace onnxport::sdk
