// SPDX-License-Identifier: Apache-2.0
#include "registry/recognised.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "core/error.hpp"
#include "registry/registry.hpp"

namespace onnxport {

std::vector<Recognised> recognised_by(const yaml::Node& node, const std::filesystem::path& file,
                                      const Manifest& manifest) {
  if (node.kind != yaml::Node::Kind::map)
    yaml::fail(file, node.line, "'recognised_by' must be a map from model types to {fields: […], feature: …}");
  std::vector<Recognised> result;
  for (size_t i = 0; i + 1 < node.items.size(); i += 2) {
    const std::string& type = yaml::word(node.items[i], file, "recognised_by");
    const bool is_added = std::any_of(manifest.aliases.begin(), manifest.aliases.end(),
                                      [&](const Manifest::Alias& alias) { return alias.type == type; });
    // What an extension's types have is known when its plugin is.
    const Manifest::Model* model = is_added ? nullptr : manifest.model(type);
    if (model == nullptr && !is_added)
      yaml::fail(file, node.items[i].line, fmt::format("'{}' is no model type of this manifest", type));
    yaml::Map map(node.items[i + 1], file, fmt::format("what '{}' is recognised by", type));
    Recognised recognised{type, yaml::strings(map.required("fields"), file, "fields"), {}};
    if (const yaml::Node* feature = map.optional("feature")) {
      recognised.feature = yaml::word(*feature, file, "feature");
      const bool is_known = model == nullptr || std::find(model->features.begin(), model->features.end(),
                                                          recognised.feature) != model->features.end();
      if (!is_known) yaml::fail(file, feature->line, fmt::format("'{}' has no feature '{}'", type, recognised.feature));
    }
    map.finish();
    result.push_back(std::move(recognised));
  }
  return result;
}

std::optional<Recognised> recognise(const Registry& registry, const Json& config) {
  std::optional<Recognised> best, rival;
  if (!config.is_object()) return best;
  for (const Candidate& candidate : registry.candidates()) {
    if (!candidate.is_healthy()) continue;
    for (const Recognised& one : candidate.manifest.recognised) {
      const bool fits = std::all_of(one.fields.begin(), one.fields.end(),
                                    [&](const std::string& field) { return config.contains(field); });
      if (!fits || (best && one.fields.size() < best->fields.size())) continue;
      const bool is_tie = best && one.fields.size() == best->fields.size();
      if (!is_tie) {
        best = one;
        rival.reset();
      } else if (normal_type(one.type) != normal_type(best->type)) {
        rival = one;
      }
    }
  }
  if (!rival) return best;
  throw Error(Failure::checkpoint,
              fmt::format("config.json has no model_type, and by its fields it is of type '{}' as well as '{}'",
                          best->type, rival->type),
              "write the right one into config.json (\"model_type\": \"NAME\")");
}

}  // namespace onnxport
