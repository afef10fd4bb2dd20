// SPDX-License-Identifier: Apache-2.0
#include "host/report/candidate.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace onnxport {

nlohmann::ordered_json json_of(const Candidate& candidate) {
  const Manifest& manifest = candidate.manifest;
  nlohmann::ordered_json json{{"id", manifest.id},
                              {"name", manifest.name},
                              {"version", manifest.version},
                              {"license", manifest.license},
                              {"vendor", manifest.vendor},
                              {"state", std::string(to_string(candidate.state))},
                              {"reason", candidate.reason},
                              {"hint", candidate.hint},
                              {"place", candidate.place},
                              {"manifest", candidate.manifest_path.string()},
                              {"model_types", types_of(candidate)},
                              {"features", nlohmann::ordered_json::object()}};
  for (const Manifest::Model& model : manifest.models) {
    for (const std::string& type : model.types) json["features"][type] = model.features;
  }
  if (manifest.is_extension())
    json["extends"] = manifest.extends;
  else
    json["abi"] = fmt::format("{}.{}", manifest.abi_major, manifest.abi_minor);
  return json;
}

}  // namespace onnxport
