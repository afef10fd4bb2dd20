// SPDX-License-Identifier: Apache-2.0
#include "core/definition/config_names.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>

#include "core/definition/field_at.hpp"
#include "core/error.hpp"

namespace onnxport {
namespace {

/// Takes the field at a path off the map, and a section that this leaves empty.
std::optional<Json> take(Json& map, const std::string& path) {
  if (!map.is_object()) return std::nullopt;
  if (const auto found = map.find(path); found != map.end()) {
    Json value = std::move(*found);
    map.erase(path);
    return value;
  }
  const size_t dot = path.find('.');
  if (dot == std::string::npos) return std::nullopt;
  const auto section = map.find(path.substr(0, dot));
  if (section == map.end()) return std::nullopt;
  std::optional<Json> value = take(*section, path.substr(dot + 1));
  if (value && section->empty()) map.erase(path.substr(0, dot));
  return value;
}

void put(Json& map, const std::string& path, const Json& value) {
  const size_t dot = path.find('.');
  if (dot == std::string::npos) {
    map[path] = value;
    return;
  }
  Json& section = map[path.substr(0, dot)];
  if (!section.is_object()) section = Json::object();
  put(section, path.substr(dot + 1), value);
}

bool is_part_of_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/// Whether a text at a place is a field's name: in quotes, or of a form that ordinary words do not have.
bool is_name_at(const std::string& text, size_t at, const std::string& name) {
  const size_t end = at + name.size();
  const bool begins = at == 0 || !is_part_of_name(text[at - 1]);
  const bool ends = end == text.size() || !is_part_of_name(text[end]);
  if (!begins || !ends) return false;
  const bool quoted = at > 0 && text[at - 1] == '\'' && end < text.size() && (text[end] == '\'' || text[end] == '.');
  return quoted || name.find('_') != std::string::npos;
}

}  // namespace

Json ConfigNames::applied_to(const Json& config) const {
  Json read = config;
  std::vector<std::pair<const std::pair<std::string, std::string>*, Json>> moved;
  for (const auto& field : fields) {
    if (std::optional<Json> value = take(read, field.first)) moved.emplace_back(&field, std::move(*value));
  }
  for (const auto& [field, value] : moved) {
    if (field_at(read, field->second) != nullptr) {
      throw Error(Failure::checkpoint,
                  fmt::format("config.json has both '{}' and '{}', and {} takes the first for the second", field->first,
                              field->second, extension),
                  "take one of them off config.json, or rename the other in config_names as well");
    }
    put(read, field->second, value);
  }
  for (const auto& [field, value] : defaults.items()) {
    if (field_at(read, field) == nullptr) put(read, field, value);
  }
  for (const auto& [field, value] : values.items()) put(read, field, value);
  read["model_type"] = base_type;
  return read;
}

std::string ConfigNames::own_name(const std::string& field) const {
  for (const auto& [own, theirs] : fields) {
    if (theirs == field) return own;
  }
  return field;
}

std::string ConfigNames::in_own_words(const std::string& message) const {
  std::string text;
  for (size_t at = 0; at < message.size();) {
    const auto named = std::find_if(fields.begin(), fields.end(), [&](const auto& field) {
      return message.compare(at, field.second.size(), field.second) == 0 && is_name_at(message, at, field.second);
    });
    if (named == fields.end()) {
      text += message[at++];
      continue;
    }
    text += named->first;
    at += named->second.size();
  }
  return text;
}

int64_t size_by_config(const std::string& expression, const Json& config, const ConfigNames& names) {
  const auto fail = [&](const std::string& what) -> Error {
    return {Failure::checkpoint,
            fmt::format("the size '{}' in weight_names of {}: {}", expression, names.extension, what),
            "correct config.json, or the sizes in the plugin's manifest"};
  };
  int64_t result = 1;
  bool divides = false;
  for (size_t at = 0; at <= expression.size();) {
    const size_t end = std::min(expression.find_first_of("*/", at), expression.size());
    const std::string factor = expression.substr(at, end - at);
    if (factor.empty()) throw fail("expected a number or a field on both sides of '*' and '/'");
    int64_t value = 0;
    const auto read = std::from_chars(factor.data(), factor.data() + factor.size(), value);
    if (read.ec != std::errc() || read.ptr != factor.data() + factor.size()) {
      const Json* field = field_at(config, factor);
      const auto own = std::find_if(names.fields.begin(), names.fields.end(),
                                    [&](const auto& renamed) { return renamed.first == factor; });
      if (field == nullptr && own != names.fields.end())
        throw fail(fmt::format("sizes name the plugin's fields, where '{}' is '{}'", factor, own->second));
      if (field == nullptr || !field->is_number_integer()) {
        throw fail(fmt::format("config.json has {} '{}'", field == nullptr ? "no field" : "no integer in",
                               names.own_name(factor)));
      }
      value = field->get<int64_t>();
    }
    if (value <= 0 || value > (int64_t{1} << 40) || result > (int64_t{1} << 40))
      throw fail(fmt::format("'{}' is {}, expected a size", names.own_name(factor), value));
    if (divides && result % value != 0) throw fail(fmt::format("{} does not divide by {}", result, value));
    result = divides ? result / value : result * value;
    divides = end < expression.size() && expression[end] == '/';
    at = end + 1;
  }
  return result;
}

}  // namespace onnxport
