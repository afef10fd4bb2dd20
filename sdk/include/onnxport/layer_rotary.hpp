// SPDX-License-Identifier: Apache-2.0
// Models whose kinds of layers turn queries and keys by angles of their own.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <algorithm>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include <onnxport/rotary.hpp>

namespace onnxport::sdk {

/// The kind of each layer, and how each kind turns.
struct LayerRotary {
  std::vector<std::string> types;       ///< of the layers, by their numbers
  std::map<std::string, Rotary> kinds;  ///< a row for every type that occurs

  /// As of Rotary, of any kind.
  bool depends_on_length() const {
    return std::any_of(kinds.begin(), kinds.end(), [](const auto& kind) { return kind.second.depends_on_length(); });
  }
  /// What LayerStack::angles asks for: the angles of positions, i64[batch or 1, n], by a layer's number. Those of a
  /// kind are made once, however many layers turn by them.
  std::function<Angles(int64_t)> angles(const Value& positions) const {
    std::map<std::string, Angles> made;
    for (const auto& [type, rotary] : kinds) made.emplace(type, rotary.angles(positions));
    return [made, types = types](int64_t layer) { return made.at(types.at(static_cast<size_t>(layer))); };
  }
};

}  // namespace onnxport::sdk
