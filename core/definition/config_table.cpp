// SPDX-License-Identifier: Apache-2.0
// config/1
#include <limits>

#include "core/definition/host_tables.hpp"

namespace onnxport {
namespace {

using detail::abi;
using detail::clipped;

const onnxport_config absent_config{};

/// What a node within another is made of: its name there, and its note.
struct Within {
  const Json* json;
  std::string name;
  bool* looked_at = nullptr;
};

std::unique_ptr<onnxport_config> node_of(const onnxport_config& parent, const Within& within) {
  auto node = std::make_unique<onnxport_config>();
  node->json = within.json;
  node->looked_at = within.looked_at;
  node->components = parent.components;
  node->misread = parent.misread;
  node->path = parent.path.empty() ? within.name : parent.path + "." + within.name;
  return node;
}

/// Notes a node that is taken for what it is not. Null counts as absent.
void misread(const onnxport_config* node, std::string_view expected) {
  if (node->misread != nullptr && node->json != nullptr && !node->json->is_null())
    node->misread->note(node->path, *node->json, expected);
}

/// The last part of a node's path.
std::string_view name_of(const onnxport_config& node) {
  return std::string_view(node.path).substr(node.path.rfind('.') + 1);
}

/// Notes that someone wants to know what a field says.
void look_at(const onnxport_config* node) {
  if (node->looked_at != nullptr) *node->looked_at = true;
}

const onnxport_config* config_member(const onnxport_config* self, onnxport_string key) {
  look_at(self);
  if (self->json == nullptr || !self->json->is_object()) {
    misread(self, "a map");
    return &absent_config;
  }
  const std::string name(clipped(key));
  bool* looked_at = self->fields == nullptr ? nullptr : &self->fields->try_emplace(name, false).first->second;
  const auto found = self->json->find(name);
  if (found == self->json->end()) return &absent_config;
  auto& slot = self->members[name];
  if (slot == nullptr) slot = node_of(*self, {&*found, name, looked_at});
  return slot.get();
}

const onnxport_config* config_entry(const onnxport_config* self, size_t index) {
  look_at(self);
  if (self->json != nullptr && self->json->is_primitive()) misread(self, "a list");
  if (self->json == nullptr || !self->json->is_array() || index >= self->json->size()) return &absent_config;
  auto& slot = self->entries[index];
  if (slot == nullptr) slot = node_of(*self, {&(*self->json)[index], std::to_string(index)});
  return slot.get();
}

onnxport_config_type config_type(const onnxport_config* self) {
  if (self->json == nullptr) return ONNXPORT_CONFIG_ABSENT;
  look_at(self);
  switch (self->json->type()) {
    case Json::value_t::null:
      if (self->misread != nullptr && is_never_null(name_of(*self)))
        self->misread->note(self->path, *self->json, "a value, as no class takes null for it");
      return ONNXPORT_CONFIG_NULL;
    case Json::value_t::boolean:
      return ONNXPORT_CONFIG_BOOL;
    case Json::value_t::number_integer:
      return ONNXPORT_CONFIG_INT;
    case Json::value_t::number_unsigned: {
      constexpr uint64_t most = std::numeric_limits<int64_t>::max();
      return self->json->get<uint64_t>() <= most ? ONNXPORT_CONFIG_INT : ONNXPORT_CONFIG_FLOAT;
    }
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
  // A number may be meant to have none: one size for height and width.
  if (self->json != nullptr && (self->json->is_string() || self->json->is_boolean())) misread(self, "a list or a map");
  return self->json != nullptr && self->json->is_structured() ? self->json->size() : 0;
}
int32_t config_bool(const onnxport_config* self) {
  return config_type(self) == ONNXPORT_CONFIG_BOOL && self->json->get<bool>() ? 1 : 0;
}
int64_t config_int(const onnxport_config* self) {
  // Sizes, counts and ids are far below; what is above overflows where it is added to or multiplied.
  constexpr int64_t most = int64_t{1} << 53;
  if (config_type(self) != ONNXPORT_CONFIG_INT) return 0;
  const auto number = self->json->get<int64_t>();
  if (number < -most || number > most) misread(self, "a number of at most 2^53");
  return number;
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

const onnxport_config_1 config_functions{sizeof(onnxport_config_1),
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
  return config_functions;
}

}  // namespace onnxport
