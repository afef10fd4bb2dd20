// SPDX-License-Identifier: Apache-2.0
// onnxport explain CONFIG.json: what would be exported, by which plugin, and what each field of the config does.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/checkpoint/safetensors_writer.hpp"
#include "core/definition/field_effects.hpp"
#include "core/error.hpp"
#include "core/format_bytes.hpp"
#include "host/commands.hpp"
#include "host/model/selection.hpp"
#include "host/report/report.hpp"

namespace onnxport {
namespace {

namespace fs = std::filesystem;

std::string name_of(FieldUse use) {
  switch (use) {
    case FieldUse::read:
      return "read";
    case FieldUse::without_effect:
      return "without effect";
    case FieldUse::general:
      return "not of the graph";
    case FieldUse::unread:
      return "not asked for";
  }
  return {};
}

/// A value on one line of a table.
std::string short_text(const Json& value) {
  constexpr size_t most = 24;
  const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
  return text.size() > most ? text.substr(0, most - 1) + "…" : text;
}

std::string effect_of(const FieldEffect& field) {
  if (field.use != FieldUse::read) return name_of(field.use);
  if (!field.effects.empty()) return fmt::format("as {}: {}", short_text(field.tried), fmt::join(field.effects, "; "));
  if (!field.tried.is_null()) return fmt::format("read; as {} the graph would be the same", short_text(field.tried));
  return field.refusal.empty() ? "read" : "read; refuses " + field.refusal;
}

void fill_axes(const OnnxConfig& config, Json& json) {
  const auto list = [](const NamedAxes& ports) {
    Json object = Json::object();
    for (const auto& [name, axes] : ports) {
      object[name] = Json::object();
      for (const auto& [axis, symbol] : axes) object[name][std::to_string(axis)] = symbol;
    }
    return object;
  };
  json["inputs"] = list(config.inputs());
  json["outputs"] = list(config.outputs());
}

std::string axes_text(const NamedAxes& ports) {
  std::vector<std::string> texts;
  for (const auto& [name, axes] : ports) {
    std::vector<std::string> symbols;
    for (const auto& [axis, symbol] : axes) symbols.push_back(fmt::format("{}: {}", axis, symbol));
    texts.push_back(fmt::format("{} ({})", name, fmt::join(symbols, ", ")));
  }
  return fmt::format("{}", fmt::join(texts, "; "));
}

void say(const Selection& selection, const ConfigEffects& found, Console& console) {
  const OnnxConfig& config = *selection.onnx_config;
  uint64_t parameters = 0;
  for (const auto& [name, shape] : found.weights) parameters += TensorPlan{name, ir::DType::f32, shape}.bytes() / 4;
  console.line(fmt::format("opset: {} by default, {} at least; tolerance {:g}", config.default_onnx_opset(),
                           config.min_opset(), config.atol_for_validation()));
  console.line("inputs: " + axes_text(config.inputs()));
  console.line("outputs: " + axes_text(config.outputs()));
  console.line(fmt::format("weights: {} tensors, {} parameters, {} in f32", found.weights.size(), parameters,
                           format_bytes(4 * parameters)));
  console.line("fields:");
  for (const FieldEffect& field : found.fields)
    console.line(fmt::format("  {:<32} {:<24} {}", field.name, short_text(field.value), effect_of(field)));
  if (!found.defaulted.empty())
    console.line(
        fmt::format("not in the file, so that the plugin's default holds: {}", fmt::join(found.defaulted, ", ")));

  Json& json = console.result();
  json["opset"] = config.default_onnx_opset();
  json["min_opset"] = config.min_opset();
  json["atol"] = config.atol_for_validation();
  fill_axes(config, json);
  json["tensors"] = found.weights.size();
  json["parameters"] = parameters;
  json["fields"] = Json::array();
  for (const FieldEffect& field : found.fields) {
    json["fields"].push_back({{"name", field.name},
                              {"value", field.value},
                              {"use", name_of(field.use)},
                              {"tried", field.tried},
                              {"effects", field.effects},
                              {"refusal", field.refusal}});
  }
  json["defaulted"] = found.defaulted;
}

}  // namespace

int run_explain(const ExplainArguments& arguments, Console& console) {
  const auto [file, config] = read_config(arguments.config);
  const Selection selection = select(arguments.plugins, config, file, {arguments.feature, arguments.plugin}, console);
  report(ChosenModel{file.string(), selection}, console);
  const FeaturesManager features(*selection.registry);
  const auto supported =
      features.check_supported_model_or_raise(selection.model_type, selection.feature, arguments.plugin);
  console.line(fmt::format("features: {}", fmt::join(supported.model->features, ", ")));
  console.result()["features"] = supported.model->features;
  const PluginTable plugin = features.table_of(supported);
  say(selection, effects_of_fields({plugin, config, supported.model_type, selection.feature}), console);
  console.result()["status"] = "ok";
  return 0;
}

}  // namespace onnxport
