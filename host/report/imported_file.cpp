// SPDX-License-Identifier: Apache-2.0
#include "host/report/imported_file.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>

#include "core/format_bytes.hpp"

namespace onnxport {
namespace {

std::string described(const std::vector<ExportedValue>& values) {
  std::string text;
  for (const ExportedValue& value : values)
    text += fmt::format("{}{} {}[{}]", text.empty() ? "" : ", ", value.name, ir::name_of(value.dtype),
                        fmt::join(value.axes, ", "));
  return text;
}

nlohmann::ordered_json objects_of(const std::vector<ExportedValue>& values) {
  auto list = nlohmann::ordered_json::array();
  for (const ExportedValue& value : values)
    list.push_back({{"name", value.name}, {"type", ir::name_of(value.dtype)}, {"axes", value.axes}});
  return list;
}

}  // namespace

void print_text(const ImportedFile& file, Console& console) {
  console.line(fmt::format("imported: {}", file.from.string()));
  console.line("  inputs: " + described(file.graph.inputs));
  console.line("  outputs: " + described(file.graph.outputs));
  console.line(fmt::format("written: opset {}, {} nodes, {} initializers", file.opset, file.graph.nodes,
                           file.graph.initializers));
  for (const auto& [gone, kept] : file.tied) console.line(fmt::format("  {} is {}, written once", gone, kept));
  console.line(fmt::format("files in {}", file.folder.string()));
  for (const ExportedFile& one : file.files)
    console.line(fmt::format("  {:<34} {:>10}", one.path.string(), format_bytes(one.bytes)));
}

void fill_json(const ImportedFile& file, nlohmann::ordered_json& json) {
  json["from"] = file.from.string();
  json["model_file"] = (file.folder / file.graph.file).string();
  json["opset"] = file.opset;
  json["inputs"] = objects_of(file.graph.inputs);
  json["outputs"] = objects_of(file.graph.outputs);
  json["nodes"] = file.graph.nodes;
  json["initializers"] = file.graph.initializers;
  for (const auto& [gone, kept] : file.tied) json["tied"][gone] = kept;
  json["files"] = nlohmann::ordered_json::array();
  for (const ExportedFile& one : file.files)
    json["files"].push_back({{"path", (file.folder / one.path).string()}, {"bytes", one.bytes}});
}

}  // namespace onnxport
