// SPDX-License-Identifier: Apache-2.0
// onnxport inspect FILE.onnx
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "core/error.hpp"
#include "core/format_bytes.hpp"
#include "host/commands.hpp"
#include "host/model/model_summary.hpp"

namespace onnxport {
namespace {

std::string domain_name(const std::string& domain) {
  return domain.empty() ? "ai.onnx" : domain;
}

void fill(nlohmann::ordered_json& json, const ModelSummary& model) {
  json["producer"] = {{"name", model.producer}, {"version", model.producer_version}};
  json["ir_version"] = model.ir_version;
  for (const auto& [domain, version] : model.opsets) json["opset_import"][domain_name(domain)] = version;
  for (const char* key : {"inputs", "outputs"}) {
    auto& list = json[key] = nlohmann::ordered_json::array();
    for (const auto& tensor : *key == 'i' ? model.inputs : model.outputs)
      list.push_back({{"name", tensor.name}, {"type", tensor.type}});
  }
  json["nodes"] = model.nodes;
  json["operators"] = model.operators;
  json["functions"] = model.functions;
  auto& weights = json["initializers"] = nlohmann::ordered_json::object();
  for (const auto& [type, sum] : model.initializers) weights[type] = {{"tensors", sum.tensors}, {"bytes", sum.bytes}};
  json["external_files"] = model.external_files;
  json["metadata"] = model.metadata;
}

void print(Console& console, const ModelSummary& model) {
  console.line(fmt::format("producer      {} {}", model.producer, model.producer_version));
  std::string opsets;
  for (const auto& [domain, version] : model.opsets)
    opsets += fmt::format("{}{} {}", opsets.empty() ? "" : ", ", domain_name(domain), version);
  console.line(fmt::format("opsets        {} (IR version {})", opsets, model.ir_version));
  const auto list = [&](const char* title, const std::vector<ModelSummary::TensorInfo>& tensors) {
    for (size_t i = 0; i < tensors.size(); ++i) {
      console.line(fmt::format("{:<13} {:<20} {}", i == 0 ? title : "", tensors[i].name, tensors[i].type));
    }
  };
  list("inputs", model.inputs);
  list("outputs", model.outputs);
  std::string operators = fmt::format("{} in all", model.nodes);
  std::vector<std::pair<std::string, size_t>> counts(model.operators.begin(), model.operators.end());
  std::stable_sort(counts.begin(), counts.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
  for (const auto& [name, count] : counts) operators += fmt::format(", {} {}", count, name);
  console.line("nodes         " + operators);
  if (model.functions > 0) console.line(fmt::format("functions     {}", model.functions));
  for (const auto& [type, sum] : model.initializers) {
    console.line(fmt::format("initializers  {} of {}, {}", sum.tensors, type, format_bytes(sum.bytes)));
  }
  for (const std::string& file : model.external_files) console.line("external data " + file);
  for (const auto& [key, value] : model.metadata) console.line(fmt::format("metadata      {} = {}", key, value));
}

}  // namespace

int run_inspect(const InspectArguments& arguments, Console& console) {
  std::error_code ignored;
  if (!std::filesystem::exists(arguments.file, ignored)) {
    throw Error(Failure::checkpoint, "there is no file " + arguments.file.string(), "name the .onnx file of an export");
  }
  std::filesystem::path file = arguments.file;
  if (std::filesystem::is_directory(file, ignored)) file /= "model.onnx";
  const ModelSummary model = read_model_summary(file);
  console.result()["status"] = "ok";
  console.result()["file"] = file.string();
  fill(console.result(), model);
  print(console, model);
  return 0;
}

}  // namespace onnxport
