// SPDX-License-Identifier: Apache-2.0
#include "host/export/exported_facts.hpp"

#include <algorithm>
#include <cctype>

#include "core/version.hpp"

namespace onnxport {
namespace {

namespace fs = std::filesystem;

/// In the order of onnxport_role.
constexpr const char* role_names[] = {"other",  "ids",        "mask",        "positions", "token_types",
                                      "boxes",  "pixels",     "waveform",    "features",  "state",
                                      "hidden", "embeddings", "global_mask", "flag"};

/// "past_key_values.%d.key" and 3, of "past_key_values.3.key": the first word of the name that is a number, -1 where
/// there is none.
std::pair<std::string, int64_t> numbered(const std::string& name) {
  const auto is_digit = [](char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; };
  const auto bounds = [&](size_t at) { return at >= name.size() || name[at] == '.' || name[at] == '_'; };
  for (size_t begin = 0; begin < name.size(); ++begin) {
    if (!is_digit(name[begin]) || (begin > 0 && !bounds(begin - 1))) continue;
    size_t end = begin;
    while (end < name.size() && is_digit(name[end])) ++end;
    if (bounds(end))
      return {name.substr(0, begin) + "%d" + name.substr(end), std::stoll(name.substr(begin, end - begin))};
    begin = end;
  }
  return {name, -1};
}

Json axes_of(const ExportedValue& value) {
  Json axes = Json::array();
  for (const std::string& axis : value.axes) {
    const bool is_size =
        !axis.empty() && std::all_of(axis.begin(), axis.end(), [](char c) { return c >= '0' && c <= '9'; });
    axes.push_back(is_size ? Json(std::stoll(axis)) : Json(axis));
  }
  return axes;
}

Json value_of(const ExportedValue& value) {
  return {{"name", value.name}, {"type", ir::name_of(value.dtype)}, {"axes", axes_of(value)}};
}

/// The cache, a group for all layers that call a state alike.
Json states_of(const DescribedParts& parts, const ExportedGraph& written) {
  Json groups = Json::array();
  for (const auto& [part, description] : parts) {
    for (const StateSpec& state : description->states) {
      const auto [past, layer] = numbered(state.past);
      const auto input = std::find_if(written.inputs.begin(), written.inputs.end(),
                                      [&](const ExportedValue& value) { return value.name == state.past; });
      if (input == written.inputs.end()) continue;
      auto group =
          std::find_if(groups.begin(), groups.end(), [&, &past = past](const Json& g) { return g["past"] == past; });
      if (group == groups.end()) {
        groups.push_back({{"past", past},
                          {"present", numbered(state.present).first},
                          {"type", ir::name_of(input->dtype)},
                          {"axes", axes_of(*input)},
                          {"grows", state.grows ? Json(*state.grows) : Json(nullptr)},
                          {"alike", true},
                          {"layers", Json::array()}});
        group = groups.end() - 1;
      }
      Json& layers = (*group)["layers"];
      if (std::find(layers.begin(), layers.end(), Json(layer)) != layers.end()) continue;  // of the other step
      if ((*group)["axes"] != axes_of(*input)) (*group)["alike"] = false;
      layers.push_back(layer);
    }
  }
  return groups;
}

Json graph_of(const DescribedParts& parts, const ExportedGraph& written, const WrittenExport& whole) {
  Json json{{"file", written.file}, {"parts", Json::array()}, {"inputs", Json::array()}, {"outputs", Json::array()}};
  for (const auto& [part, description] : parts) {
    if (!part.empty()) json["parts"].push_back(part);
  }
  for (const ExportedValue& value : written.inputs) {
    Json& input = json["inputs"].emplace_back(value_of(value));
    for (const auto& [part, description] : parts) {
      const InputSpec* spec = description->input(value.name);
      if (spec == nullptr || input.contains("role")) continue;
      input["role"] = role_names[spec->role];
      if (!spec->of.empty()) input["of"] = spec->of;
      if (spec->limit > 0) input["limit"] = spec->limit;
    }
  }
  for (const ExportedValue& value : written.outputs) json["outputs"].push_back(value_of(value));
  json["states"] = states_of(parts, written);
  json["data"] = Json::array();
  for (const WrittenExport::File& file : whole.files) {
    if (file.name.generic_string().starts_with(written.file + "_data"))
      json["data"].push_back(file.name.generic_string());
  }
  return json;
}

/// The configs among the companions; tokenizers and vocabularies are too large for a template to want them.
Json configs_in(const fs::path& folder, const std::vector<WrittenExport::File>& files) {
  Json configs = Json::object();
  for (const WrittenExport::File& file : files) {
    if (file.name.generic_string().ends_with("config.json"))
      configs[file.name.generic_string()] = read_json(folder / file.name);
  }
  return configs;
}

/// Of the model as one graph, and of its parts: what the plugin says of it in numbers and words.
Json facts_of(const Description& description) {
  Json facts = Json::object();
  for (const auto& [name, value] : description.integers) facts[name] = value;
  for (const auto& [name, value] : description.texts) facts[name] = value;
  return facts;
}

}  // namespace

Json folder_facts(const ToldFolder& told, const fs::path& staging) {
  const WrittenExport& written = told.written;
  Json json{{"version", std::string(version)},
            {"model", told.model},
            {"model_id", fs::is_directory(told.model) ? Json(nullptr) : Json(told.model)},
            {"layout", told.layout},
            {"model_type", written.model_type},
            {"feature", written.feature},
            {"opset", written.opset},
            {"dtype", told.dtype},
            {"facts", facts_of(told.description)},
            {"configs", configs_in(staging, written.files)},
            {"files", Json::array()},
            {"graphs", Json::array()}};
  for (const WrittenExport::File& file : written.files)
    json["files"].push_back({{"name", file.name.generic_string()}, {"bytes", file.bytes}});
  for (size_t i = 0; i < written.graphs.size(); ++i)
    json["graphs"].push_back(graph_of(told.graphs[i], written.graphs[i], written));
  return json;
}

Json exported_facts(const ExportPlan& plan, const ExportSource& source, const WrittenExport& written,
                    const fs::path& staging) {
  ToldFolder told{plan.model.name,
                  plan.layout->name,
                  name_of(dtype_choices, plan.weights.dtype),
                  source.selection.onnx_config->description(),
                  written,
                  {}};
  for (const GraphToExport& graph : source.defined.graphs) {
    DescribedParts& parts = told.graphs.emplace_back();
    for (const Definition* definition : graph.definitions)
      parts.emplace_back(definition->part, &definition->description);
  }
  return folder_facts(told, staging);
}

}  // namespace onnxport
