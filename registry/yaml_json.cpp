// SPDX-License-Identifier: Apache-2.0
#include "registry/yaml_json.hpp"

#include <nlohmann/json.hpp>

namespace onnxport::yaml {

Json json_of(const Node& node, const std::function<Json(const Node&)>& scalar) {
  switch (node.kind) {
    case Node::Kind::null:
      return nullptr;
    case Node::Kind::scalar:
      return scalar(node);
    case Node::Kind::sequence: {
      Json list = Json::array();
      for (const Node& item : node.items) list.push_back(json_of(item, scalar));
      return list;
    }
    case Node::Kind::map: {
      Json map = Json::object();
      for (size_t i = 0; i + 1 < node.items.size(); i += 2)
        map[node.items[i].text] = json_of(node.items[i + 1], scalar);
      return map;
    }
  }
  return nullptr;
}

}  // namespace onnxport::yaml
