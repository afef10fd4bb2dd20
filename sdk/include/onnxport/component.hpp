// SPDX-License-Identifier: Apache-2.0
// Models that a model is put together of: the parts of other types, each defined by whichever plugin has the type. An
// encoder of one plugin works with a decoder of another when both are installed.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <onnxport/onnx_config.hpp>

namespace onnxport::sdk {

/// What a component says of one of its parts.
struct ComponentPart {
  std::vector<TensorSpec> inputs;
  std::vector<OutputSpec> outputs;
  std::vector<State> states;
  std::vector<AxisSize> axes;
  std::map<std::string, int64_t> integers;  ///< "num_layers", "num_attention_heads", "max_positions", "min_opset"
  std::map<std::string, double> reals;      ///< "atol_for_validation"
  std::map<std::string, std::string> texts;

  /// The input of that name; null where there is none.
  const TensorSpec* input(const std::string& name) const {
    for (const TensorSpec& spec : inputs) {
      if (spec.name == name) return &spec;
    }
    return nullptr;
  }
  bool has_output(const std::string& name) const {
    for (const OutputSpec& spec : outputs) {
      if (spec.name == name) return true;
    }
    return false;
  }
  int64_t integer(const std::string& name, int64_t fallback) const {
    const auto found = integers.find(name);
    return found == integers.end() ? fallback : found->second;
  }
};

/// Which model a component is.
struct ComponentKind {
  std::string feature = "default";
  std::string model_type{};                      ///< where its config states none
  std::map<std::string, std::string> options{};  ///< what is chosen for it: {"position_ids", "input"}
};

/// How a part of a component is run.
struct ComponentCall {
  std::string part{};   ///< "" is the model as one graph
  std::string scope{};  ///< the module below which it stands: "language_model"
  std::string steps{};  ///< before the names of its steps: "vision_"
  /// How checkpoints may call its tensors: those that begin with the first begin with the second. The first that the
  /// checkpoint has is taken.
  std::vector<std::pair<std::string, std::string>> prefixes{};
  std::vector<std::string> outputs;  ///< of the part, or its steps: "last_hidden_state", "hidden_states.3"
};

namespace detail {

/// Where a component's plugin describes a part. The host knows it as a description.
class DescriptionReader : public onnxport_description {
 public:
  DescriptionReader(const onnxport_host* host, ComponentPart& part) : onnxport_description{}, host_(host), out_(part) {
    struct_size = sizeof(onnxport_description);
    input = [](onnxport_description* self, onnxport_string name, const onnxport_type* type) {
      return of(self).guarded([&] {
        TensorSpec& spec = of(self).out_.inputs.emplace_back();
        spec.name = from_abi(name);
        spec.dtype = static_cast<DType>(type->dtype);
        for (uint32_t i = 0; i < type->rank; ++i) {
          const onnxport_dim& dim = type->dims[i];
          Dim& axis = spec.shape.emplace_back(dim.size);
          axis.symbol = from_abi(dim.symbol);
        }
      });
    };
    output = [](onnxport_description* self, onnxport_string name, const onnxport_type* type) {
      return of(self).guarded([&] {
        OutputSpec& spec = of(self).out_.outputs.emplace_back();
        spec.name = from_abi(name);
        for (uint32_t i = 0; i < type->rank; ++i) {
          if (type->dims[i].symbol.size > 0) spec.axes[static_cast<int>(i)] = from_abi(type->dims[i].symbol);
        }
      });
    };
    integer = [](onnxport_description* self, onnxport_string name, int64_t value) {
      return of(self).guarded([&] { of(self).out_.integers[std::string(from_abi(name))] = value; });
    };
    real = [](onnxport_description* self, onnxport_string name, double value) {
      return of(self).guarded([&] { of(self).out_.reals[std::string(from_abi(name))] = value; });
    };
    text = [](onnxport_description* self, onnxport_string name, onnxport_string value) {
      return of(self).guarded([&] { of(self).out_.texts[std::string(from_abi(name))] = from_abi(value); });
    };
    // What an export changes in config.json is the business of the model around.
    value_override = [](onnxport_description*, onnxport_string, onnxport_string) -> onnxport_status* {
      return nullptr;
    };
    patch = [](onnxport_description* self, onnxport_string, onnxport_string, uint64_t) {
      return of(self).guarded(
          [] { throw Error(ONNXPORT_UNSUPPORTED, "a plugin that lowers operators itself cannot be part of another"); });
    };
    value_limit = [](onnxport_description* self, onnxport_string name, int64_t limit) {
      return of(self).guarded([&] { of(self).last(name).limit = limit; });
    };
    input_info = [](onnxport_description* self, onnxport_string name, const onnxport_input_info* info) {
      return of(self).guarded([&] {
        TensorSpec& spec = of(self).last(name);
        spec.role = static_cast<Role>(info->role);
        spec.of = from_abi(info->of);
        spec.low = info->low;
        spec.high = info->high;
        if (info->has_fill != 0) spec.fill = info->fill;
      });
    };
    axis_size = [](onnxport_description* self, onnxport_string symbol, const onnxport_axis_size* size) {
      return of(self).guarded([&] {
        of(self).out_.axes.push_back(
            {std::string(from_abi(symbol)), size->usual, size->minimum, size->maximum, size->step});
      });
    };
    state = [](onnxport_description* self, const onnxport_state* told) {
      return of(self).guarded([&] { of(self).add(*told); });
    };
  }

 private:
  static DescriptionReader& of(onnxport_description* self) { return *static_cast<DescriptionReader*>(self); }

  template <class Body>
  onnxport_status* guarded(Body body) noexcept {
    try {
      body();
      return nullptr;
    } catch (const Error& error) {
      return host_->status_make(error.code(), to_abi(error.what()), to_abi(error.place()));
    } catch (const std::exception& error) {
      return host_->status_make(ONNXPORT_INTERNAL, to_abi(error.what()), {nullptr, 0});
    }
  }

  TensorSpec& last(onnxport_string name) {
    for (TensorSpec& spec : out_.inputs) {
      if (spec.name == from_abi(name)) return spec;
    }
    throw Error(ONNXPORT_INVALID_ARGUMENT, "the input '" + std::string(from_abi(name)) + "' is not declared");
  }

  /// Its name is that of the input without what all of a cache begin with.
  void add(const onnxport_state& told) {
    constexpr std::string_view common = "past_key_values.";
    const TensorSpec& past = last(told.past);
    State& made = out_.states.emplace_back();
    made.past = past.name;
    made.name = past.name.starts_with(common) ? past.name.substr(common.size()) : past.name;
    made.present = from_abi(told.present);
    made.shape = past.shape;
    made.dtype = past.dtype;
    made.kept = told.struct_size >= sizeof(onnxport_state) && told.kept != 0;
    if (told.grows < 0) return;
    made.grows = static_cast<size_t>(told.grows);
    for (const OutputSpec& spec : out_.outputs) {
      if (spec.name == made.present && spec.axes.count(told.grows) > 0) made.grown = spec.axes.at(told.grows);
    }
  }

  const onnxport_host* host_;
  ComponentPart& out_;
};

}  // namespace detail

/// One of them. It belongs to the onnx-config in whose constructor it was opened, and lives no longer.
class Component {
 public:
  /// `config`: the map that describes it, within the config.json that the constructor was given. Throws UNSUPPORTED
  /// where no installed plugin has its type or the feature, CONFIG where that plugin refuses the config.
  Component(const Config& config, const ComponentKind& kind) : host_(config.require_map().host()) {
    api_ = static_cast<const onnxport_models_1*>(host_->get_interface(host_, to_abi("models"), 1));
    if (api_ == nullptr) throw Error(ONNXPORT_UNSUPPORTED, "the host does not offer the interface models/1");
    std::string options;
    for (const auto& [name, value] : kind.options)
      options += (options.empty() ? "{\"" : ", \"") + name + "\": \"" + value + "\"";
    if (!options.empty()) options += "}";
    const onnxport_component_request request{sizeof(onnxport_component_request), config.node(), to_abi(kind.model_type),
                                             to_abi(kind.feature), to_abi(options)};
    check(host_, api_->open(&request, &handle_));
  }

  /// What its plugin says of a part. Throws INVALID_ARGUMENT where it has none of that name.
  ComponentPart part(const std::string& name = {}) const {
    ComponentPart described;
    detail::DescriptionReader reader(host_, described);
    check(host_, api_->describe(handle_, to_abi(name), &reader));
    return described;
  }

  /// Defines a part within the graph, and yields the outputs that the call lists, by their names. What is not among
  /// `inputs`, or is absent, the part is not given.
  std::map<std::string, Value> operator()(Graph& graph, const ComponentCall& call, const Inputs& inputs) const {
    std::vector<onnxport_string> names, wanted;
    std::vector<onnxport_value> values;
    for (const auto& [name, value] : inputs) {
      if (!value) continue;
      names.push_back(to_abi(name));
      values.push_back(value.id());
    }
    for (const std::string& name : call.outputs) wanted.push_back(to_abi(name));
    std::vector<onnxport_prefix> prefixes;
    for (const auto& [from, to] : call.prefixes) prefixes.push_back({to_abi(from), to_abi(to)});
    const onnxport_component_call asked{sizeof(onnxport_component_call),
                                        to_abi(call.part),
                                        to_abi(call.scope),
                                        to_abi(call.steps),
                                        prefixes.data(),
                                        prefixes.size(),
                                        names.data(),
                                        values.data(),
                                        values.size(),
                                        wanted.data(),
                                        wanted.size()};
    std::vector<onnxport_value> made(wanted.size());
    check(host_, api_->forward(handle_, graph.handle(), &asked, made.data()));
    std::map<std::string, Value> outputs;
    const uint32_t place = graph.place(call.scope);
    for (size_t i = 0; i < made.size(); ++i) outputs.emplace(call.outputs[i], Value(graph, made[i], place));
    return outputs;
  }

 private:
  const onnxport_host* host_;
  const onnxport_models_1* api_;
  onnxport_component* handle_ = nullptr;
};

}  // namespace onnxport::sdk
