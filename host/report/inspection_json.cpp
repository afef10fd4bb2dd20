// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "host/report/inspection.hpp"

namespace onnxport {
namespace {

using Json = nlohmann::ordered_json;

Json object_of(const inspect::Stored& stored) {
  return {{"tensors", stored.tensors}, {"parameters", stored.parameters}, {"bytes", stored.bytes}};
}

Json list_of(const std::vector<inspect::Port>& ports) {
  Json list = Json::array();
  for (const inspect::Port& port : ports) list.push_back({{"name", port.name}, {"type", port.type}});
  return list;
}

Json cost_of(const inspect::Inspection& found) {
  Json cost{{"sizes", found.sizes},
            {"operations", found.cost.operations},
            {"operations_by_operator", found.cost.by_operator},
            {"activation_bytes", found.cost.activations},
            {"activations_at", found.cost.activations_at},
            {"not_counted", {{"unknown_sizes", found.cost.unsized}, {"unknown_operators", found.cost.unlisted}}}};
  if (found.cost.endless_loops > 0) cost["loops_counted_once"] = found.cost.endless_loops;
  if (!found.law) return cost;
  cost["law"] = Json::array();
  for (const inspect::CostTerm& term : *found.law)
    cost["law"].push_back({{"factor", term.factor}, {"powers", term.powers}});
  return cost;
}

}  // namespace

void fill_json(const inspect::Inspection& found, Json& json) {
  json["producer"] = {{"name", found.producer}, {"version", found.producer_version}};
  json["ir_version"] = found.ir_version;
  for (const auto& [domain, version] : found.opsets) json["opset_import"][domain_name(domain)] = version;
  json["inputs"] = list_of(found.inputs);
  json["outputs"] = list_of(found.outputs);
  json["axes"] = Json::array();
  for (const inspect::OpenAxis& axis : found.axes) json["axes"].push_back({{"name", axis.name}, {"of", axis.place}});
  json["nodes"] = found.nodes;
  json["operators"] = found.operators;
  for (const auto& [domain, nodes] : found.domains) json["domains"][domain_name(domain)] = nodes;
  json["functions"] = found.functions;
  json["initializers"] = Json::object();
  for (const auto& [type, stored] : found.by_type) json["initializers"][type] = object_of(stored);
  json["modules"] = Json::array();
  for (const auto& [module, share] : found.by_module) {
    Json row{{"path", module}, {"nodes", share.nodes}, {"operations", share.operations}};
    row.update(object_of(share.stored));
    json["modules"].push_back(row);
  }
  json["external_files"] = Json::array();
  for (const auto& [file, bytes] : found.external_files) json["external_files"].push_back(file);
  json["external_bytes"] = found.external_files;
  json["cost"] = cost_of(found);
  json["findings"] = Json::array();
  for (const inspect::Finding& finding : found.findings) {
    json["findings"].push_back({{"kind", finding.kind},
                                {"severity", finding.weight == inspect::Finding::Weight::error ? "error" : "note"},
                                {"text", finding.text},
                                {"places", finding.places},
                                {"bytes", finding.bytes}});
  }
  json["metadata"] = found.metadata;
}

}  // namespace onnxport
