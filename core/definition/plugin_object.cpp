// SPDX-License-Identifier: Apache-2.0
#include "core/definition/plugin_object.hpp"

#include <fmt/format.h>

#include <cstddef>
#include <exception>
#include <utility>

#include "core/activity.hpp"
#include "core/definition/host_tables.hpp"
#include "core/error.hpp"
#include "core/printable.hpp"

namespace onnxport::detail {

template <class Call>
void PluginObject::call(const char* function, Call table_function) const {
  onnxport_status* status = nullptr;
  std::string thrown;
  try {
    const PluginCall at_work(plugin_.plugin_id, function);
    status = table_function();
  } catch (const std::exception& exception) {
    thrown = fmt::format("an exception: {}", shortened(exception.what()));
  } catch (...) {
    thrown = "an exception that is no std::exception";
  }
  if (!thrown.empty()) {
    throw Error(Failure::plugin,
                fmt::format("plugin {} let {} leave {}() for model type '{}'", plugin_.plugin_id, thrown, function,
                            model_type_),
                "the ABI forbids this; tell the plugin's author, with this message");
  }
  const ConfigNames* names = plugin_.names.get();
  if (status != nullptr && names != nullptr) status->text = names->in_own_words(status->text);
  const std::string id = names == nullptr ? plugin_.plugin_id : plugin_.plugin_id + ", extended by " + names->extension;
  throw_status(status, id, model_type_);
}

PluginObject::PluginObject(PluginTable plugin, const onnxport_request& request)
    : plugin_(std::move(plugin)),
      model_type_(plugin_.names ? plugin_.names->model_type : std::string(text(request.model_type))) {
  call("create", [&] { return plugin_.table->create(&request, &object_); });
  if (object_ != nullptr) return;
  throw Error(Failure::plugin, fmt::format("plugin {} created nothing for model type '{}' and reported no error",
                                           plugin_.plugin_id, model_type_));
}

PluginObject::~PluginObject() {
  const PluginCall at_work(plugin_.plugin_id, "release");
  plugin_.table->release(object_);
}

void PluginObject::describe(const std::string& part, onnxport_description& sink) const {
  call("describe", [&] { return plugin_.table->describe(object_, abi(part), &sink); });
}

void PluginObject::forward(const std::string& part, onnxport_graph& graph) const {
  call("forward", [&] { return plugin_.table->forward(object_, abi(part), &graph); });
}

void PluginObject::dummy_inputs(const std::string& part, const onnxport_dummy_request& request, OwnInputs& own) const {
  constexpr size_t needed = offsetof(onnxport_onnx_config_1, dummy_inputs) + sizeof plugin_.table->dummy_inputs;
  if (plugin_.table->struct_size < needed || plugin_.table->dummy_inputs == nullptr) return;
  call("dummy_inputs", [&] { return plugin_.table->dummy_inputs(object_, abi(part), &request, &own); });
}

std::vector<onnxport_value> PluginObject::lower(uint64_t tag, onnxport_graph& graph, const ir::Node& node) const {
  if (plugin_.table->lower == nullptr) {
    throw Error(Failure::plugin, fmt::format("plugin {} claims to lower {} itself, and has no function for it",
                                             plugin_.plugin_id, node.op));
  }
  const std::vector<onnxport_attribute> attributes = abi_attributes(node);
  const onnxport_node from{sizeof(onnxport_node), abi(node.domain),   abi(node.op),
                           abi(node.scope),       node.inputs.data(), node.inputs.size(),
                           attributes.data(),     attributes.size(),  node.outputs.size()};
  std::vector<onnxport_value> results(node.outputs.size());
  call("lower", [&] { return plugin_.table->lower(object_, tag, &graph, &from, results.data()); });
  for (const onnxport_value result : results) {
    if (result != ir::absent && result < graph.graph->values.size()) continue;
    throw Error(Failure::plugin,
                fmt::format("plugin {} lowers {} for model type '{}' to the value {}, which does not exist",
                            plugin_.plugin_id, node.op, model_type_, result),
                "this is a defect of the plugin; tell its author, with this message");
  }
  return results;
}

}  // namespace onnxport::detail
