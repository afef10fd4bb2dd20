// SPDX-License-Identifier: Apache-2.0
#include "registry/manifest.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "core/lower_case.hpp"
#include "registry/extension_manifest.hpp"
#include "registry/recognised.hpp"
#include "registry/yaml.hpp"

namespace onnxport {
namespace {

using Path = std::filesystem::path;

/// Of types and of features in one manifest: far more than any plugin has, and few enough to be compared with each
/// other.
constexpr size_t most_names = 1000;

std::vector<std::string> words(const yaml::Node& node, const Path& file, std::string_view what) {
  std::vector<std::string> result = yaml::strings(node, file, what);
  if (result.size() > most_names)
    yaml::fail(file, node.line, fmt::format("'{}' lists {}, expected at most {}", what, result.size(), most_names));
  for (const yaml::Node& item : node.items) yaml::word(item, file, what);
  return result;
}

std::vector<Manifest::KnownGap> known_gaps(const yaml::Node& node, const Path& file) {
  if (node.kind != yaml::Node::Kind::sequence) {
    yaml::fail(file, node.line, "'known_gaps' must be a list of {architecture, feature or option: …, reason: …}");
  }
  std::vector<Manifest::KnownGap> result;
  for (const yaml::Node& item : node.items) {
    yaml::Map map(item, file, "an entry of known_gaps");
    Manifest::KnownGap gap;
    const std::pair<const char*, std::string*> parts[] = {
        {"architecture", &gap.architecture}, {"feature", &gap.feature}, {"option", &gap.option}};
    for (const auto& [key, value] : parts) {
      if (const yaml::Node* given = map.optional(key)) *value = yaml::string(*given, file, key);
    }
    gap.reason = yaml::string(map.required("reason"), file, "reason");
    map.finish();
    if (gap.what().empty()) yaml::fail(file, item.line, "a known gap names an architecture, a feature or an option");
    result.push_back(std::move(gap));
  }
  return result;
}

std::vector<Manifest::Model> models(const yaml::Node& node, const Path& file) {
  if (node.kind != yaml::Node::Kind::sequence || node.items.empty()) {
    yaml::fail(file, node.line, "'models' must be a list with an entry for each family of model types");
  }
  std::vector<Manifest::Model> result;
  std::vector<std::string> seen;
  for (const yaml::Node& item : node.items) {
    yaml::Map map(item, file, "an entry of models");
    Manifest::Model model;
    const yaml::Node& types = map.required("types");
    model.types = words(types, file, "types");
    for (size_t i = 0; i < model.types.size(); ++i) {
      if (std::find(seen.begin(), seen.end(), model.types[i]) != seen.end()) {
        yaml::fail(file, types.items[i].line, fmt::format("the model type '{}' is listed twice", model.types[i]));
      }
      seen.push_back(model.types[i]);
    }
    if (seen.size() > most_names)
      yaml::fail(file, types.line, fmt::format("the models have more than {} types, expected no more", most_names));
    model.features = words(map.required("features"), file, "features");
    if (const yaml::Node* architectures = map.optional("architectures")) {
      if (architectures->kind != yaml::Node::Kind::map) {
        yaml::fail(file, architectures->line, "'architectures' must be a map from class names to features");
      }
      for (size_t i = 0; i + 1 < architectures->items.size(); i += 2) {
        const std::string& name = architectures->items[i].text;
        const std::string& feature = yaml::word(architectures->items[i + 1], file, name);
        if (std::find(model.features.begin(), model.features.end(), feature) == model.features.end()) {
          yaml::fail(file, architectures->items[i].line,
                     fmt::format("'{}' stands for the feature '{}', which is not in 'features'", name, feature));
        }
        model.architectures.emplace_back(name, feature);
      }
    }
    if (const yaml::Node* gaps = map.optional("known_gaps")) model.known_gaps = known_gaps(*gaps, file);
    map.finish();
    result.push_back(std::move(model));
  }
  return result;
}

void abi(const yaml::Node& node, const Path& file, Manifest& manifest) {
  const std::string& text = yaml::string(node, file, "abi");
  const char* end = text.data() + text.size();
  const auto major = std::from_chars(text.data(), end, manifest.abi_major);
  const bool dot = major.ec == std::errc() && major.ptr != end && *major.ptr == '.';
  const auto minor = dot ? std::from_chars(major.ptr + 1, end, manifest.abi_minor) : major;
  if (!dot || minor.ec != std::errc() || minor.ptr != end) {
    yaml::fail(file, node.line, fmt::format("'abi' is '{}', expected \"MAJOR.MINOR\"", text));
  }
}

std::string library(const yaml::Node& node, const Path& file) {
  const std::string& name = yaml::word(node, file, "library");
  if (name.find_first_of("/\\") != std::string::npos || name == "." || name == "..") {
    yaml::fail(file, node.line,
               fmt::format("'library' is '{}', expected the name of a file beside the manifest, without a path", name));
  }
  return name;
}

std::string sha256(const yaml::Node& node, const Path& file) {
  const std::string& sum = yaml::string(node, file, "sha256");
  if (sum.size() != 64 || sum.find_first_not_of("0123456789abcdef") != std::string::npos) {
    yaml::fail(file, node.line, fmt::format("'sha256' is '{}', expected 64 hexadecimal digits in lower case", sum));
  }
  return sum;
}

}  // namespace

std::string normal_type(std::string_view type) {
  std::string result = lower_case(type);
  std::replace(result.begin(), result.end(), '_', '-');
  return result;
}

std::string Manifest::KnownGap::what() const {
  std::string joined;
  for (const std::string* part : {&architecture, &feature, &option}) {
    if (!part->empty()) joined += (joined.empty() ? "" : ", ") + *part;
  }
  return joined;
}

std::string Manifest::feature_of(const std::string& name) const {
  for (const auto& [own, theirs] : feature_names) {
    if (own == name) return theirs;
  }
  return name;
}

const Manifest::Model* Manifest::model(std::string_view type) const {
  const std::string wanted = normal_type(type);
  for (const Model& model : models) {
    for (const std::string& known : model.types) {
      if (normal_type(known) == wanted) return &model;
    }
  }
  return nullptr;
}

void parse_manifest(const std::string& text, const Path& file, Manifest& manifest) {
  parse_manifest(yaml::parse(text, file), file, manifest);
}

void parse_manifest(const yaml::Node& root, const Path& file, Manifest& manifest) {
  yaml::Map map(root, file, "the manifest");

  if (const yaml::Node* format = map.optional("manifest")) {
    if (yaml::string(*format, file, "manifest") != "1") {
      yaml::fail(file, format->line,
                 fmt::format("the manifest has format '{}', this version of onnxport reads 1", format->text));
    }
    manifest.format = 1;
  }
  // The model types come early, so that they are known where a later key is wrong.
  manifest.id = yaml::identifier(map.required("id"), file, "id");
  const bool is_extension = map.optional("extends") != nullptr;
  if (is_extension) {
    read_extension(map, file, manifest);
  } else {
    manifest.models = models(map.required("models"), file);
  }

  if (const yaml::Node* node = map.optional("recognised_by"))
    manifest.recognised = recognised_by(*node, file, manifest);
  manifest.name = yaml::string(map.required("name"), file, "name");
  manifest.version = yaml::word(map.required("version"), file, "version");
  const auto text_of = [&](std::string_view key, std::string& out) {
    // An extension is a config file of its user's, who owes nobody a licence.
    const yaml::Node* node = is_extension ? map.optional(key) : &map.required(key);
    if (node != nullptr) out = yaml::string(*node, file, key);
  };
  text_of("license", manifest.license);
  text_of("vendor", manifest.vendor);

  if (!is_extension) {
    const bool built = manifest.format != 0;
    const auto of_built = [&](std::string_view key) { return built ? &map.required(key) : map.optional(key); };
    if (const yaml::Node* node = of_built("abi")) abi(*node, file, manifest);
    if (built) {
      manifest.platform = yaml::word(map.required("platform"), file, "platform");
      manifest.library = library(map.required("library"), file);
      if (const yaml::Node* sum = map.optional("sha256")) manifest.sha256 = sha256(*sum, file);
    }
  }
  map.finish();
}

Manifest read_manifest(const Path& file) {
  Manifest manifest;
  parse_manifest(yaml::read_text(file), file, manifest);
  return manifest;
}

std::string_view host_platform() {
  return ONNXPORT_PLATFORM;
}

}  // namespace onnxport
