// SPDX-License-Identifier: Apache-2.0
// What lies between the classes of this SDK and the functions of the C ABI. ONNXPORT_PLUGIN brings it; no plugin names
// it.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <cstddef>
#include <exception>
#include <memory>
#include <string>
#include <vector>

#include <onnxport/plugin.hpp>

namespace onnxport::sdk::detail {

/// The plugin object behind onnxport_onnx_config.
struct Bridged {
  const onnxport_host* host;
  std::unique_ptr<OnnxConfig> config;
  std::vector<PatchingSpec> patches;
  std::vector<Part> parts, offers;

  /// The part of that name; null for the one graph of the layout single, whose name is empty.
  const Part* part(std::string_view name) const {
    if (name.empty()) return nullptr;
    for (const std::vector<Part>* list : {&parts, &offers}) {
      for (const Part& part : *list) {
        if (part.name == name) return &part;
      }
    }
    throw Error(ONNXPORT_UNSUPPORTED, "the model type '" + config->model_type() + "' with the feature '" +
                                          config->feature() + "' has no part '" + std::string(name) + "'");
  }
};

/// The user's options of a request; a host of ABI 1.0 knows none.
inline Config options_of(const onnxport_request& request) {
  const size_t needed = offsetof(onnxport_request, options) + sizeof request.options;
  if (request.struct_size >= needed && request.options != nullptr) return {request.host, request.options};
  const Config config(request.host, request.config);
  return config.none();
}

inline Bridged& bridged(onnxport_onnx_config* self) {
  return *reinterpret_cast<Bridged*>(self);
}

/// What a host takes since ABI 1.2: roles, sizes of axes, states. An older one is told nothing of them.
inline bool takes_roles(const onnxport_description& out) {
  return out.struct_size >= offsetof(onnxport_description, state) + sizeof out.state;
}

/// Passes a description on to the host, check by check.
class Teller {
 public:
  Teller(const onnxport_host* host, onnxport_description* out) : host_(host), out_(out) {}

  void input(const TensorSpec& spec) const {
    std::vector<onnxport_dim> dims;
    for (const Dim& dim : spec.shape) dims.push_back({dim.size, to_abi(dim.symbol)});
    const onnxport_type type{sizeof(onnxport_type), static_cast<int32_t>(spec.dtype),
                             static_cast<uint32_t>(dims.size()), dims.data()};
    check(host_, out_->input(out_, to_abi(spec.name), &type));
    if (spec.limit != 0) check(host_, out_->value_limit(out_, to_abi(spec.name), spec.limit));
    if (!takes_roles(*out_)) return;
    const onnxport_input_info info{sizeof(onnxport_input_info),
                                   static_cast<int32_t>(spec.role),
                                   to_abi(spec.of),
                                   spec.low,
                                   spec.high,
                                   spec.fill.value_or(0),
                                   spec.fill ? 1 : 0};
    check(host_, out_->input_info(out_, to_abi(spec.name), &info));
  }
  void output(const OutputSpec& spec) const {
    if (!spec.axes.empty() && spec.axes.begin()->first < 0)
      throw Error(ONNXPORT_INVALID_ARGUMENT, "an axis of the output '" + spec.name + "' is " +
                                                 std::to_string(spec.axes.begin()->first) +
                                                 "; axes of outputs are counted from the front, from 0 on");
    std::vector<onnxport_dim> dims(spec.axes.empty() ? 0 : static_cast<size_t>(spec.axes.rbegin()->first) + 1,
                                   onnxport_dim{-1, {nullptr, 0}});
    for (const auto& [index, name] : spec.axes) dims[static_cast<size_t>(index)].symbol = to_abi(name);
    const onnxport_type type{sizeof(onnxport_type), ONNXPORT_UNDEFINED, static_cast<uint32_t>(dims.size()),
                             dims.data()};
    check(host_, out_->output(out_, to_abi(spec.name), &type));
  }
  void axis(const AxisSize& axis) const {
    if (!takes_roles(*out_)) return;
    const onnxport_axis_size size{sizeof(onnxport_axis_size), axis.usual, axis.minimum, axis.maximum, axis.step};
    check(host_, out_->axis_size(out_, to_abi(axis.axis), &size));
  }
  void state(const State& state) const {
    if (!takes_roles(*out_)) return;
    const onnxport_state told{sizeof(onnxport_state), to_abi(state.past), to_abi(state.present),
                              state.grows ? static_cast<int32_t>(*state.grows) : -1, state.kept ? 1 : 0};
    check(host_, out_->state(out_, &told));
  }
  void integer(const char* name, int64_t value) const { check(host_, out_->integer(out_, to_abi(name), value)); }
  void real(const char* name, double value) const { check(host_, out_->real(out_, to_abi(name), value)); }
  /// Nothing where the text is empty.
  void text(const char* name, const std::string& value) const {
    if (!value.empty()) check(host_, out_->text(out_, to_abi(name), to_abi(value)));
  }

 private:
  const onnxport_host* host_;
  onnxport_description* out_;
};

inline std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ",") + word;
  return text;
}

/// Runs `body`; what it throws becomes a status. Nothing leaves.
template <class Body>
onnxport_status* guarded(const onnxport_host* host, const std::string& place, Body body) noexcept {
  try {
    body();
    return nullptr;
  } catch (const Error& error) {
    return host->status_make(error.code(), to_abi(error.what()), to_abi(error.place().empty() ? place : error.place()));
  } catch (const std::out_of_range& error) {  // whose own words are "map::at"
    const std::string text = std::string("a list or map was asked for an entry that it does not have: ") + error.what();
    return host->status_make(ONNXPORT_INTERNAL, to_abi(text), to_abi(place));
  } catch (const std::exception& error) {
    return host->status_make(ONNXPORT_INTERNAL, to_abi(error.what()), to_abi(place));
  } catch (...) {
    return host->status_make(ONNXPORT_INTERNAL, to_abi("an exception that is no std::exception"), to_abi(place));
  }
}

inline Tables::ModelTables::ModelTables(const Model& model) {
  for (const std::string& type : model.types) types.push_back(to_abi(type));
  for (const std::string& feature : model.features) features.push_back(to_abi(feature));
  for (const auto& [name, feature] : model.architectures) architectures.push_back({to_abi(name), to_abi(feature)});
  for (const KnownGap& gap : model.known_gaps)
    known_gaps.push_back({to_abi(gap.architecture), to_abi(gap.feature), to_abi(gap.option), to_abi(gap.reason)});
  abi = {sizeof(onnxport_model), types.data(),         types.size(),      features.data(),  features.size(),
         architectures.data(),   architectures.size(), known_gaps.data(), known_gaps.size()};
}

inline Tables::Tables(const Plugin& plugin, GetInterface get_interface) {
  models_.reserve(plugin.models.size());
  for (const Model& model : plugin.models) models_.emplace_back(model);
  for (const ModelTables& model : models_) pointers_.push_back(&model.abi);
  abi_.struct_size = sizeof abi_;
  abi_.magic = {sizeof(onnxport_magic), sizeof(void*) * 8,       ONNXPORT_ENDIAN_MARK,
                ONNXPORT_ABI_MAJOR,     plugin.abi_minor_needed, ONNXPORT_ABI_VENDOR};
  abi_.id = to_abi(plugin.id);
  abi_.name = to_abi(plugin.name);
  abi_.version = to_abi(plugin.version);
  abi_.license = to_abi(plugin.license);
  abi_.vendor = to_abi(plugin.vendor);
  abi_.models = pointers_.data();
  abi_.model_count = pointers_.size();
  abi_.get_interface = get_interface;
}

inline Tables::~Tables() = default;

inline onnxport_status* create(const Plugin& plugin, const onnxport_request* request, onnxport_onnx_config** out) {
  const onnxport_host* host = request->host;
  return guarded(host, "config", [&] {
    const std::string type(from_abi(request->model_type));
    for (const Model& model : plugin.models) {
      for (const std::string& known : model.types) {
        if (known != type) continue;
        auto self = std::make_unique<Bridged>();
        self->host = host;
        self->config = model.make(
            {Config(host, request->config), type, std::string(from_abi(request->feature)), options_of(*request)});
        if (!self->config->heads().empty()) (void)self->config->head_for_feature();
        self->patches = self->config->patching_specs();
        self->parts = self->config->parts();
        self->offers = self->config->offers();
        *out = reinterpret_cast<onnxport_onnx_config*>(self.release());
        return;
      }
    }
    throw Error(ONNXPORT_INVALID_ARGUMENT, "the plugin has no model type '" + type + "'");
  });
}

inline void release(onnxport_onnx_config* self) {
  delete &bridged(self);
}

inline onnxport_status* describe(onnxport_onnx_config* handle, onnxport_string name, onnxport_description* out) {
  const Bridged& self = bridged(handle);
  const onnxport_host* host = self.host;
  return guarded(host, "inputs and outputs", [&] {
    const OnnxConfig& config = *self.config;
    const Part* part = self.part(from_abi(name));
    const auto* past = dynamic_cast<const OnnxConfigWithPast*>(&config);
    const Teller tell(host, out);
    for (const TensorSpec& spec : part != nullptr ? part->inputs : config.inputs()) tell.input(spec);
    for (const OutputSpec& spec : part != nullptr ? part->outputs : config.outputs()) tell.output(spec);
    for (const AxisSize& axis : config.axis_sizes()) tell.axis(axis);
    std::vector<State> states;
    if (part != nullptr)
      states = part->states;
    else if (past != nullptr && past->use_past())
      states = past->states();
    for (const State& state : states) tell.state(state);
    tell.integer("default_opset", config.default_onnx_opset());
    tell.integer("min_opset", config.min_opset());
    if (config.max_positions() > 0) tell.integer("max_positions", config.max_positions());
    tell.real("atol_for_validation", config.atol_for_validation());
    tell.text("base_model_prefix", config.base_model_prefix());
    std::vector<std::string> parts;
    for (const Part& one : self.parts) parts.push_back(one.name);
    tell.text("parts", joined(parts));
    tell.text("keep_in_fp32", joined(config.keep_in_fp32()));
    if (part != nullptr) tell.text("first_step", part->first_step);
    if (past != nullptr) {
      tell.integer("with_past", past->use_past() ? 1 : 0);
      tell.integer("num_layers", past->num_layers());
      tell.integer("num_attention_heads", past->num_attention_heads());
      if (past->positions_are_a_choice()) tell.text("positions", name_of(past->positions()));
      if (const auto keys = past->encoder_keys()) tell.text("encoder_keys", name_of(*keys));
    }
    for (const DomainVersion& one : config.domains()) tell.integer(("version:" + one.domain).c_str(), one.version);
    for (const auto& [key, json] : config.values_override())
      check(host, out->value_override(out, to_abi(key), to_abi(json)));
    for (size_t i = 0; i < self.patches.size(); ++i) {
      check(host, out->patch(out, to_abi(self.patches[i].domain), to_abi(self.patches[i].op), i));
    }
  });
}

inline onnxport_status* forward(onnxport_onnx_config* handle, onnxport_string part_name, onnxport_graph* target) {
  const Bridged& self = bridged(handle);
  return guarded(self.host, "", [&] {
    Graph graph(self.host, target);
    const Part* part = self.part(from_abi(part_name));
    Inputs inputs;
    for (const TensorSpec& spec : part != nullptr ? part->inputs : self.config->inputs()) {
      if (const Value given = graph.input(spec.name)) inputs.emplace(spec.name, given);
    }
    const Outputs outputs = part != nullptr ? part->forward(graph, inputs) : self.config->forward(graph, inputs);
    for (const auto& [name, value] : outputs) graph.output(name, value);
  });
}

inline onnxport_status* lower(onnxport_onnx_config* handle, uint64_t tag, onnxport_graph* target,
                              const onnxport_node* node, onnxport_value* outputs) {
  const Bridged& self = bridged(handle);
  const std::string scope(from_abi(node->scope));
  return guarded(self.host, scope, [&] {
    Graph graph(self.host, target);
    const uint32_t place = graph.place(scope);
    std::vector<Value> inputs;
    for (size_t i = 0; i < node->input_count; ++i) inputs.emplace_back(graph, node->inputs[i], place);
    std::vector<Attribute> attributes;
    for (size_t i = 0; i < node->attribute_count; ++i) {
      const onnxport_attribute& from = node->attributes[i];
      const std::string name(from_abi(from.name));
      switch (from.type) {
        case ONNXPORT_ATTR_INT:
          attributes.emplace_back(name, from.i);
          break;
        case ONNXPORT_ATTR_FLOAT:
          attributes.emplace_back(name, from.f);
          break;
        case ONNXPORT_ATTR_STRING:
          attributes.emplace_back(name, std::string(from_abi(from.s)));
          break;
        case ONNXPORT_ATTR_INTS:
          attributes.emplace_back(name, std::vector<int64_t>(from.ints, from.ints + from.count));
          break;
        case ONNXPORT_ATTR_FLOATS:
          attributes.emplace_back(name, std::vector<double>(from.floats, from.floats + from.count));
          break;
        default:
          throw Error(ONNXPORT_INVALID_ARGUMENT, "the attribute '" + name + "' is of an unknown type");
      }
    }
    const std::vector<Value> results = self.patches.at(tag).lower(graph, inputs, attributes);
    if (results.size() != node->output_count)
      throw Error(ONNXPORT_GRAPH, "the patch yields another number of values than the operator");
    for (size_t i = 0; i < results.size(); ++i) outputs[i] = results[i].id();
  });
}

inline onnxport_status* dummy_inputs(onnxport_onnx_config* handle, onnxport_string part,
                                     const onnxport_dummy_request* request, onnxport_tensors* out) {
  const Bridged& self = bridged(handle);
  return guarded(self.host, "dummy inputs", [&] {
    DummyRequest wanted{std::string(from_abi(part)), {}, request->seed, request->varied != 0};
    for (size_t i = 0; i < request->size_count; ++i)
      wanted.sizes.emplace(from_abi(request->sizes[i].symbol), request->sizes[i].size);
    for (const DummyTensor& made : self.config->generate_dummy_inputs(wanted)) {
      const onnxport_tensor tensor{sizeof(onnxport_tensor),
                                   static_cast<int32_t>(made.dtype),
                                   static_cast<uint32_t>(made.shape.size()),
                                   made.shape.data(),
                                   made.data.data(),
                                   made.data.size()};
      check(self.host, out->add(out, to_abi(made.name), &tensor));
    }
  });
}

inline onnxport_onnx_config_1 functions(Create create) {
  return {sizeof(onnxport_onnx_config_1), create, release, describe, forward, lower, dummy_inputs};
}

}  // namespace onnxport::sdk::detail
