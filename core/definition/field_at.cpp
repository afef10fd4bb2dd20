// SPDX-License-Identifier: Apache-2.0
#include "core/definition/field_at.hpp"

namespace onnxport {

const Json* field_at(const Json& map, const std::string& path) {
  if (!map.is_object()) return nullptr;
  if (const auto found = map.find(path); found != map.end()) return &*found;
  const size_t dot = path.find('.');
  if (dot == std::string::npos) return nullptr;
  const auto section = map.find(path.substr(0, dot));
  return section == map.end() ? nullptr : field_at(*section, path.substr(dot + 1));
}

}  // namespace onnxport
