// SPDX-License-Identifier: Apache-2.0
// config/1
#include "core/definition/host_tables.hpp"

namespace onnxport {
namespace {

using detail::abi;
using detail::text;

const onnxport_config absent_config{};

std::unique_ptr<onnxport_config> node_of(const onnxport_config& parent, const Json* json, bool* looked_at = nullptr) {
  auto node = std::make_unique<onnxport_config>();
  node->json = json;
  node->looked_at = looked_at;
  node->components = parent.components;
  return node;
}

/// Notes that someone wants to know what a field says.
void look_at(const onnxport_config* node) {
  if (node->looked_at != nullptr) *node->looked_at = true;
}

const onnxport_config* config_member(const onnxport_config* self, onnxport_string key) {
  look_at(self);
  if (self->json == nullptr || !self->json->is_object()) return &absent_config;
  const std::string name(text(key));
  bool* looked_at = self->fields == nullptr ? nullptr : &self->fields->try_emplace(name, false).first->second;
  const auto found = self->json->find(name);
  if (found == self->json->end()) return &absent_config;
  auto& slot = self->members[name];
  if (slot == nullptr) slot = node_of(*self, &*found, looked_at);
  return slot.get();
}

const onnxport_config* config_entry(const onnxport_config* self, size_t index) {
  look_at(self);
  if (self->json == nullptr || !self->json->is_array() || index >= self->json->size()) return &absent_config;
  auto& slot = self->entries[index];
  if (slot == nullptr) slot = node_of(*self, &(*self->json)[index]);
  return slot.get();
}

onnxport_config_type config_type(const onnxport_config* self) {
  if (self->json == nullptr) return ONNXPORT_CONFIG_ABSENT;
  look_at(self);
  switch (self->json->type()) {
    case Json::value_t::null:
      return ONNXPORT_CONFIG_NULL;
    case Json::value_t::boolean:
      return ONNXPORT_CONFIG_BOOL;
    case Json::value_t::number_integer:
    case Json::value_t::number_unsigned:
      return ONNXPORT_CONFIG_INT;
    case Json::value_t::number_float:
      return ONNXPORT_CONFIG_FLOAT;
    case Json::value_t::string:
      return ONNXPORT_CONFIG_STRING;
    case Json::value_t::array:
      return ONNXPORT_CONFIG_LIST;
    case Json::value_t::object:
      return ONNXPORT_CONFIG_MAP;
    default:
      return ONNXPORT_CONFIG_ABSENT;
  }
}

size_t config_size(const onnxport_config* self) {
  look_at(self);
  return self->json != nullptr && self->json->is_structured() ? self->json->size() : 0;
}
int32_t config_bool(const onnxport_config* self) {
  return config_type(self) == ONNXPORT_CONFIG_BOOL && self->json->get<bool>() ? 1 : 0;
}
int64_t config_int(const onnxport_config* self) {
  return config_type(self) == ONNXPORT_CONFIG_INT ? self->json->get<int64_t>() : 0;
}
double config_float(const onnxport_config* self) {
  return self->json != nullptr && self->json->is_number() ? self->json->get<double>() : 0.0;
}
onnxport_string config_string(const onnxport_config* self) {
  if (config_type(self) != ONNXPORT_CONFIG_STRING) return {nullptr, 0};
  return abi(self->json->get_ref<const std::string&>());
}
onnxport_string config_key(const onnxport_config* self, size_t index) {
  if (config_type(self) != ONNXPORT_CONFIG_MAP || index >= self->json->size()) return {nullptr, 0};
  return abi((self->json->begin() + static_cast<std::ptrdiff_t>(index)).key());
}

const onnxport_config_1 table{sizeof(onnxport_config_1),
                              config_member,
                              config_entry,
                              config_type,
                              config_size,
                              config_bool,
                              config_int,
                              config_float,
                              config_string,
                              config_key};

}  // namespace

const onnxport_config_1& detail::config_table() {
  return table;
}

}  // namespace onnxport
