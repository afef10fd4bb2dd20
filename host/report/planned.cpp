// SPDX-License-Identifier: Apache-2.0
#include "host/report/planned.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>

#include "core/format_bytes.hpp"

namespace onnxport {
namespace {

void print_tensors(const char* what, const std::vector<PlannedTensor>& tensors, Console& console) {
  for (const PlannedTensor& tensor : tensors) {
    console.line(
        fmt::format("  {:<7} {:<32} {}[{}]", what, tensor.name, tensor.element, fmt::join(tensor.shape, ", ")));
    what = "";
  }
}

Json object_of(const std::vector<PlannedTensor>& tensors) {
  Json list = Json::array();
  for (const PlannedTensor& tensor : tensors)
    list.push_back({{"name", tensor.name}, {"element", tensor.element}, {"shape", tensor.shape}});
  return list;
}

}  // namespace

void print_text(const PlannedExport& planned, Console& console) {
  console.line(fmt::format("opset: {}; tolerance of validation: {}", planned.opset, planned.atol));
  console.line(fmt::format("weights: {} parameters, {}", planned.parameters, format_bytes(planned.weight_bytes)));
  for (const PlannedGraph& graph : planned.graphs) {
    console.line((planned.folder / graph.file).string());
    print_tensors("inputs", graph.inputs, console);
    print_tensors("outputs", graph.outputs, console);
  }
}

void fill_json(const PlannedExport& planned, Json& json) {
  json["opset"] = planned.opset;
  json["default_opset"] = planned.default_opset;
  json["min_opset"] = planned.min_opset;
  json["atol"] = planned.atol;
  json["parameters"] = planned.parameters;
  json["weight_bytes"] = planned.weight_bytes;
  json["graphs"] = Json::array();
  for (const PlannedGraph& graph : planned.graphs) {
    json["graphs"].push_back({{"path", (planned.folder / graph.file).string()},
                              {"parts", graph.parts},
                              {"inputs", object_of(graph.inputs)},
                              {"outputs", object_of(graph.outputs)}});
  }
}

}  // namespace onnxport
