// SPDX-License-Identifier: Apache-2.0
#include "registry/extension_manifest.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <set>
#include <stdexcept>
#include <utility>

#include "registry/yaml_json.hpp"

namespace onnxport {
namespace {

using Path = std::filesystem::path;
using Node = yaml::Node;

/// The entries of a map from texts to something; `form` says what is expected.
std::vector<std::pair<const Node*, const Node*>> entries(const Node& node, const Path& file, const char* form) {
  if (node.kind != Node::Kind::map || node.items.empty()) yaml::fail(file, node.line, form);
  std::vector<std::pair<const Node*, const Node*>> result;
  for (size_t i = 0; i + 1 < node.items.size(); i += 2) result.emplace_back(&node.items[i], &node.items[i + 1]);
  return result;
}

/// Pairs of names of which the right ones are, unless `many`, different ones.
std::vector<std::pair<std::string, std::string>> names(const Node& node, const Path& file, const char* form,
                                                       bool many) {
  std::vector<std::pair<std::string, std::string>> result;
  std::set<std::string> seen;
  for (const auto& [key, value] : entries(node, file, form)) {
    const std::string& name = yaml::word(*value, file, key->text);
    if (!seen.insert(name).second && !many)
      yaml::fail(file, value->line, fmt::format("two names are given for '{}'", name));
    result.emplace_back(key->text, name);
  }
  return result;
}

/// What a plain text means in YAML: a number, true, false, null, or a text.
Json scalar(const Node& node) {
  if (node.quoted) return node.text;
  if (node.text == "true" || node.text == "false") return node.text == "true";
  if (node.text == "null" || node.text == "~") return nullptr;
  const char* const end = node.text.data() + node.text.size();
  int64_t integer = 0;
  if (const auto read = std::from_chars(node.text.data(), end, integer); read.ec == std::errc() && read.ptr == end)
    return integer;
  double real = 0;
  if (const auto read = std::from_chars(node.text.data(), end, real); read.ec == std::errc() && read.ptr == end)
    return real;
  return node.text;
}

/// Fields with what they are. A field that config_names renames may go by either name.
Json fields(const Node& node, const Path& file, const ConfigNames& known) {
  Json result = Json::object();
  for (const auto& [key, value] :
       entries(node, file, "'config_defaults' and 'config_values' are maps from fields of config.json to values")) {
    const auto renamed = std::find_if(known.fields.begin(), known.fields.end(),
                                      [&, name = key->text](const auto& field) { return field.first == name; });
    result[renamed == known.fields.end() ? key->text : renamed->second] = yaml::json_of(*value, scalar);
  }
  return result;
}

/// One or several beginnings of names. One alone may be empty: a prefix that is put in front, or taken away.
std::vector<NamePattern> patterns(const Node& node, const Path& file, const char* key) {
  std::vector<std::string> texts;
  if (node.kind == Node::Kind::scalar)
    texts.push_back(node.text);
  else if (node.kind == Node::Kind::sequence)
    texts = yaml::strings(node, file, key);
  else
    yaml::fail(file, node.line,
               fmt::format("'{}' must be a text or a list of texts; write \"\" for an empty one", key));
  std::vector<NamePattern> result;
  try {
    for (std::string& text : texts) result.emplace_back(std::move(text));
  } catch (const std::invalid_argument& mistake) {
    yaml::fail(file, node.line, mistake.what());
  }
  return result;
}

/// All sides of a rule have the same words in braces, so that each name tells the others.
void check_words(const Manifest::WeightName& rule, const Path& file, int line) {
  const auto words = [](const NamePattern& pattern) {
    return std::set<std::string>(pattern.words().begin(), pattern.words().end());
  };
  for (const std::vector<NamePattern>* side : {&rule.from, &rule.to}) {
    for (const NamePattern& pattern : *side) {
      if (words(pattern) == words(rule.from[0])) continue;
      yaml::fail(file, line,
                 fmt::format("'{}' and '{}' have other words in braces; each must have those of the other",
                             rule.from[0].text(), pattern.text()));
    }
  }
}

Manifest::WeightName weight_name(const Node& item, const Path& file) {
  yaml::Map entry(item, file, "an entry of weight_names");
  Manifest::WeightName rule{
      patterns(entry.required("from"), file, "from"), patterns(entry.required("to"), file, "to"), 0, {}, {}};
  if (rule.from.size() > 1 && rule.to.size() > 1)
    yaml::fail(file, item.line, "both 'from' and 'to' are lists; a rule either splits a tensor or joins several");
  const bool splits = rule.to.size() > 1, joins = rule.from.size() > 1;
  if (const Node* axis = splits || joins ? entry.optional("axis") : nullptr) {
    const Json value = scalar(*axis);
    if (!value.is_number_integer()) yaml::fail(file, axis->line, "'axis' must be an integer");
    rule.axis = value.get<int64_t>();
  }
  if (const Node* sizes = splits ? entry.optional("sizes") : nullptr) {
    if (sizes->kind != Node::Kind::sequence || sizes->items.size() != rule.to.size())
      yaml::fail(file, sizes->line,
                 fmt::format("'sizes' must be a list of {} sizes, one for each of 'to'", rule.to.size()));
    for (const Node& size : sizes->items) rule.sizes.push_back(yaml::word(size, file, "sizes"));
  }
  if (const Node* groups = splits || joins ? entry.optional("groups") : nullptr)
    rule.groups = yaml::word(*groups, file, "groups");
  entry.finish();
  check_words(rule, file, item.line);
  return rule;
}

void weight_names(const Node& node, const Path& file, Manifest& manifest) {
  if (node.kind != Node::Kind::sequence)
    yaml::fail(file, node.line, "'weight_names' must be a list of {from: …, to: …}");
  std::vector<int> lines;
  for (const Node& item : node.items) {
    Manifest::WeightName rule = weight_name(item, file);
    for (const NamePattern& from : rule.from) {
      for (size_t i = 0; i < lines.size(); ++i) {
        for (const NamePattern& earlier : manifest.weight_names[i].from) {
          if (!earlier.covers(from)) continue;
          yaml::fail(file, item.line,
                     fmt::format("the rule for '{}' is never reached, since that for '{}' in line {} comes first; put "
                                 "the longer one in front",
                                 from.text(), earlier.text(), lines[i]));
        }
      }
    }
    lines.push_back(item.line);
    manifest.weight_names.push_back(std::move(rule));
  }
}

}  // namespace

void read_extension(yaml::Map& map, const Path& file, Manifest& manifest) {
  manifest.extends = yaml::identifier(*map.optional("extends"), file, "extends");
  const char* const types = "'model_types' must be a map from new model types to those of the extended plugin";
  for (const auto& [key, value] : entries(map.required("model_types"), file, types))
    manifest.aliases.push_back({yaml::word(*key, file, "model_types"), yaml::word(*value, file, key->text)});
  ConfigNames& config = manifest.config_names;
  config.extension = manifest.id;
  if (const Node* node = map.optional("config_names"))
    config.fields =
        names(*node, file, "'config_names' must be a map from the checkpoint's fields to the plugin's", false);
  if (const Node* node = map.optional("config_defaults")) config.defaults = fields(*node, file, config);
  if (const Node* node = map.optional("config_values")) config.values = fields(*node, file, config);
  if (const Node* node = map.optional("weight_names")) weight_names(*node, file, manifest);
  if (const Node* node = map.optional("architectures"))
    manifest.architectures = names(*node, file, "'architectures' must be a map from class names to features", true);
  if (const Node* node = map.optional("features")) manifest.offered = yaml::strings(*node, file, "features");
  if (const Node* node = map.optional("feature_names"))
    manifest.feature_names = names(*node, file, "'feature_names' must be a map from new names to features", true);
  if (const Node* node = map.optional("outputs")) {
    for (const auto& [key, value] : entries(*node, file, "'outputs' must be a map from features to lists of steps"))
      manifest.outputs.emplace_back(key->text, yaml::strings(*value, file, key->text));
  }
}

}  // namespace onnxport
