// SPDX-License-Identifier: Apache-2.0
// Layers of two shapes, as Gemma 4 has them: those that see the whole text have wider heads, and maybe fewer of them
// for keys and values.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <string>
#include <vector>

#include <onnxport/config.hpp>

namespace onnxport::family {

using namespace onnxport::sdk;

inline constexpr const char *full_attention = "full_attention", *sliding_attention = "sliding_attention";

/// What keys and values are like in a layer.
struct KeyShape {
  int64_t heads, width;
};

struct KeyShapes {
  std::vector<std::string> types;  ///< of the layers
  KeyShape own, whole;             ///< of most, and of those that see the whole text
  int64_t heads;                   ///< of queries
};

/// Those of each layer. Files of the library state each layer that departs; published ones give layers that see the
/// whole text a shape. Source: Gemma4TextConfig, transformers 5.24.
inline std::vector<KeyShape> key_shapes(const Config& c, const KeyShapes& of) {
  const bool stated = c.has("per_layer_config");
  const Config by_layer = c.section("per_layer_config");
  const std::string longest = std::to_string(of.types.size() - 1);
  std::vector<KeyShape> shapes;
  for (size_t i = 0; i < of.types.size(); ++i) {
    KeyShape shape = of.own;
    if (stated) {
      // Numbers of one length: "05", where there are more than ten layers.
      const std::string name = std::to_string(i);
      const std::string padded = std::string(longest.size() - name.size(), '0') + name;
      const Config layer = by_layer.section(by_layer.has(padded) ? padded : name);
      shape = {layer.size("num_key_value_heads", shape.heads), layer.size("head_dim", shape.width)};
    } else if (of.types[i] == full_attention) {
      shape = of.whole;
    }
    require_multiple({"num_attention_heads", of.heads}, {"num_key_value_heads", shape.heads});
    shapes.push_back(shape);
  }
  return shapes;
}

/// Throws CONFIG where layers of one type, which turn alike, are not equally wide.
inline void require_equal_widths(const std::vector<std::string>& types, const std::vector<KeyShape>& shapes) {
  for (size_t i = 0; i < types.size(); ++i) {
    for (size_t before = 0; before < i; ++before) {
      if (types[before] != types[i]) continue;
      const std::string field = "per_layer_config." + std::to_string(i) + ".head_dim";
      require_equal({field, shapes[i].width}, {"that of the other layers of its type", shapes[before].width});
      break;
    }
  }
}

}  // namespace onnxport::family
