// SPDX-License-Identifier: Apache-2.0
// models/1
#include "core/definition/components.hpp"

#include <fmt/format.h>

#include "core/definition/status.hpp"
#include "core/error.hpp"

namespace onnxport {
namespace {

using detail::text;

/// Deeper than any model is; a plugin that opens its own type over and over ends here.
constexpr int deepest = 4;

onnxport_code code_of(const Error& error) {
  switch (error.failure()) {
    case Failure::checkpoint:
      return ONNXPORT_CONFIG;
    case Failure::usage:
      return ONNXPORT_UNSUPPORTED;
    default:
      return ONNXPORT_INTERNAL;
  }
}

onnxport_status* status_of(const Error& error, const std::string& what) {
  return new onnxport_status{code_of(error), what.empty() ? error.what() : fmt::format("{}: {}", what, error.what()),
                             ""};
}

/// Runs `body` on behalf of the plugin of the model around; an error says what it was about.
template <class Body>
onnxport_status* within(const std::string& what, Body body) noexcept {
  onnxport_status* failure = nullptr;
  onnxport_status* const other = detail::guarded(ONNXPORT_INTERNAL, [&] {
    try {
      body();
    } catch (const Error& error) {
      failure = status_of(error, what);
    }
  });
  return failure != nullptr ? failure : other;
}

Json options_of(const onnxport_component_request& request) {
  if (request.options.size == 0) return Json::object();
  Json options = Json::parse(text(request.options), nullptr, false);
  if (!options.is_object()) throw Error(Failure::plugin, "the options of a component are no JSON map");
  return options;
}

std::string type_of(const onnxport_component_request& request) {
  if (request.model_type.size > 0) return std::string(text(request.model_type));
  const Json& config = *request.config->json;
  const auto stated = config.find("model_type");
  if (stated != config.end() && stated->is_string()) return stated->get<std::string>();
  throw Error(Failure::checkpoint, "the config of a part of the model states no model_type",
              "write the part's type into its map (\"model_type\": \"NAME\"), or save the model again with a later "
              "transformers");
}

onnxport_status* models_open(const onnxport_component_request* request, onnxport_component** out) {
  onnxport_status* const broken = detail::guarded(ONNXPORT_INVALID_ARGUMENT, [&] {
    detail::whole(request, ONNXPORT_SIZE_THROUGH(onnxport_component_request, options), "a component's request");
    if (request->config == nullptr) detail::invalid("a null pointer was given as a component's config");
  });
  if (broken != nullptr) return broken;
  const onnxport_config* config = request->config;
  const std::string section =
      config->components != nullptr && config->json != nullptr ? config->components->section_of(*config->json) : "";
  return within(section, [&] {
    if (config->components == nullptr || config->json == nullptr || !config->json->is_object())
      throw Error(Failure::checkpoint, "config.json has no map of the part of the model that is to be made",
                  "download config.json again, or save the model again with a later transformers");
    *out = &config->components->open(*request);
  });
}

onnxport_status* models_describe(onnxport_component* self, onnxport_string part, onnxport_description* out) {
  return within(self->section, [&] { self->model.describe_part(std::string(detail::optional_name_from(part)), *out); });
}

onnxport_status* models_forward(onnxport_component* self, onnxport_graph* graph, const onnxport_component_call* given,
                                onnxport_value* outputs) {
  return within(self->section, [&] {
    using namespace detail;
    ComponentScope scope;
    const auto& call = whole(given, ONNXPORT_SIZE_THROUGH(onnxport_component_call, output_count), "a component's call");
    scope.path = optional_name_from(call.scope);
    scope.steps = optional_name_from(call.steps);
    for (const auto& [from, to] : list(call.prefixes, call.prefix_count, bounds::facts))
      scope.prefixes.emplace_back(optional_name_from(from), optional_name_from(to));
    const auto names = list(call.input_names, call.input_count, bounds::inputs);
    const auto values = list(call.inputs, call.input_count, bounds::inputs);
    for (size_t i = 0; i < names.size(); ++i) scope.inputs.emplace(name_from(names[i]), values[i]);
    self->model.run_part(std::string(optional_name_from(call.part)), *graph, scope);
    const auto wanted = list(call.output_names, call.output_count, bounds::outputs);
    list(outputs, wanted.size(), bounds::outputs);
    for (size_t i = 0; i < wanted.size(); ++i) {
      const std::string_view name = name_from(wanted[i]);
      auto found = scope.outputs.find(name);
      if (found == scope.outputs.end()) {
        found = scope.marks.find(name);
        if (found == scope.marks.end()) {
          throw Error(Failure::plugin, fmt::format("the model type '{}' with feature '{}' has neither an output nor a "
                                                   "step '{}'",
                                                   self->model.model_type(), self->model.feature(), name));
        }
      }
      outputs[i] = found->second;
    }
  });
}

const onnxport_models_1 models_functions{sizeof(onnxport_models_1), models_open, models_describe, models_forward};

}  // namespace

namespace detail {

const onnxport_models_1& models_table() {
  return models_functions;
}

std::string ComponentScope::path_of(std::string_view own) const {
  if (path.empty() || own.empty()) return path + std::string(own);
  return fmt::format("{}.{}", path, own);
}

std::vector<std::string> ComponentScope::names_of(std::string_view tensor) const {
  std::vector<std::string> names;
  for (const auto& [from, to] : prefixes) {
    if (tensor.starts_with(from)) names.push_back(to + std::string(tensor.substr(from.size())));
  }
  if (names.empty()) names.emplace_back(tensor);
  return names;
}

onnxport_component& Components::open(const onnxport_component_request& request) {
  const std::string type = type_of(request);
  if (finder_ == nullptr || !*finder_) {
    throw Error(Failure::plugin,
                fmt::format("the model has a part of the type '{}', and nobody was named who finds its plugin", type));
  }
  if (depth_ >= deepest)
    throw Error(Failure::plugin,
                fmt::format("more than {} models stand within each other, the last of type '{}'", deepest, type));
  Json config = *request.config->json;
  const char* const version = "transformers_version";  // of the file, and so of its parts
  const auto stated = config_->find(version);
  if (!config.contains(version) && stated != config_->end()) config[version] = *stated;
  const FoundModel found = (*finder_)(type, std::string(text(request.feature)));
  OnnxConfig model =
      OnnxConfig::component(found.plugin, config, {found.model_type, found.feature, options_of(request)}, depth_ + 1);
  if (!model.patching_specs().empty()) {
    throw Error(
        Failure::usage,
        fmt::format("plugin {} lowers operators of the type '{}' itself, which it cannot do within another model",
                    model.plugin_id(), type));
  }
  opened_.push_back(
      std::make_unique<onnxport_component>(onnxport_component{std::move(model), section_of(*request.config->json)}));
  return *opened_.back();
}

std::string Components::section_of(const Json& part) const {
  for (const auto& [key, value] : config_->items()) {
    if (&value == &part) return key;
  }
  return {};
}

std::vector<std::string> Components::unread() const {
  std::vector<std::string> fields;
  for (const auto& component : opened_) {
    if (component->section.empty()) continue;
    for (const std::string& field : component->model.unread()) fields.push_back(component->section + "." + field);
  }
  return fields;
}

void Components::add_asked(AskedFields& fields) const {
  for (const auto& component : opened_) {
    if (!component->section.empty()) continue;
    const AskedFields& asked = component->model.asked_fields();
    fields.insert(asked.begin(), asked.end());
  }
}

void Components::take_off_read(std::vector<std::string>& fields) const {
  for (const auto& component : opened_) {
    if (!component->section.empty()) continue;
    std::erase_if(fields, [&](const std::string& field) { return component->model.asked_fields().contains(field); });
  }
}

}  // namespace detail
}  // namespace onnxport
