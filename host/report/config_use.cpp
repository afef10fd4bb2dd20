// SPDX-License-Identifier: Apache-2.0
#include "host/report/config_use.hpp"

#include <algorithm>

namespace onnxport {
namespace {

Json axes_of(const NamedAxes& ports) {
  Json object = Json::object();
  for (const auto& [name, axes] : ports) {
    object[name] = Json::object();
    for (const auto& [axis, symbol] : axes) object[name][std::to_string(axis)] = symbol;
  }
  return object;
}

}  // namespace

/// The lines of a report name what nobody asked for already; the rest would be too much for them.
void print_text(const ConfigUse&, Console&) {}

void fill_json(const ConfigUse& use, Json& json) {
  const AskedFields& asked = use.onnx_config.asked_fields();
  const std::vector<std::string> unread = unread_fields(use.config, asked);
  Json fields{{"read", Json::object()},
              {"defaulted", Json::array()},
              {"without_effect", Json::array()},
              {"not_of_the_graph", Json::array()},
              {"unread", unread}};
  for (const auto& [name, value] : use.config.items()) {
    const auto found = asked.find(name);
    if (found != asked.end() && found->second)
      fields["read"][name] = value;
    else if (found != asked.end())
      fields["without_effect"].push_back(name);
    else if (std::find(unread.begin(), unread.end(), name) == unread.end())
      fields["not_of_the_graph"].push_back(name);
  }
  for (const auto& [name, looked_at] : asked) {
    if (!use.config.contains(name)) fields["defaulted"].push_back(name);
  }
  json["config_fields"] = fields;
  json["axes"] = {{"inputs", axes_of(use.onnx_config.inputs())}, {"outputs", axes_of(use.onnx_config.outputs())}};
}

}  // namespace onnxport
