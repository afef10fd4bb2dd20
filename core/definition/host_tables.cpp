// SPDX-License-Identifier: Apache-2.0
#include "core/definition/host_tables.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "core/definition/onnx_config.hpp"
#include "core/ir/operators.hpp"
#include "core/version.hpp"

namespace onnxport {
namespace {

using detail::abi;
using detail::text;

LogSink log_sink = nullptr;

onnxport_status* make_status(onnxport_code code, onnxport_string what, onnxport_string place) {
  return new onnxport_status{code, std::string(text(what)), std::string(text(place))};
}

/// Runs `body`; what it throws becomes a status.
template <class Body>
onnxport_status* guarded(onnxport_code code, Body body) noexcept {
  try {
    body();
    return nullptr;
  } catch (const std::exception& error) {
    return new onnxport_status{code, error.what(), ""};
  } catch (...) {
    return new onnxport_status{ONNXPORT_INTERNAL, "an unknown exception in the host", ""};
  }
}

[[noreturn]] void invalid(const std::string& what) {
  throw std::invalid_argument(what);
}

// -------------------------------------------------------------------------------------------- graph/1

/// Ten times what the largest models need. A count in a hostile config.json must not fill the memory.
constexpr size_t most_nodes = 1'000'000;

ir::Attribute attribute_from(const onnxport_attribute& from) {
  switch (from.type) {
    case ONNXPORT_ATTR_INT:
      return from.i;
    case ONNXPORT_ATTR_FLOAT:
      return from.f;
    case ONNXPORT_ATTR_STRING:
      return std::string(text(from.s));
    case ONNXPORT_ATTR_INTS:
      return std::vector<int64_t>(from.ints, from.ints + from.count);
    case ONNXPORT_ATTR_FLOATS:
      return std::vector<double>(from.floats, from.floats + from.count);
    default:
      invalid(fmt::format("attribute '{}' has the unknown type {}", text(from.name), from.type));
  }
}

onnxport_status* graph_input(onnxport_graph* self, onnxport_string name, onnxport_value* out) {
  return guarded(ONNXPORT_INVALID_ARGUMENT, [&] {
    for (const ir::NamedValue& input : self->graph->inputs) {
      if (input.name == text(name)) {
        *out = input.value;
        return;
      }
    }
    invalid(fmt::format("the graph has no input '{}'; its description declares none of that name", text(name)));
  });
}

/// An operator that only the target runtime knows, such as a company's own kernel. It stands for what the patch
/// replaces, and yields values of the same types.
std::vector<ir::ValueId> add_foreign(onnxport_graph& self, ir::Node node, size_t outputs) {
  if (outputs != self.foreign_types->size()) {
    invalid(fmt::format("{}.{} yields {} values, and what it replaces yields {}", node.domain, node.op, outputs,
                        self.foreign_types->size()));
  }
  for (ir::ValueId id : node.inputs) {
    if (id >= self.graph->values.size()) invalid(fmt::format("{} got a value that does not exist", node.op));
  }
  for (const ir::TensorType& type : *self.foreign_types) {
    ir::Value value;
    value.origin = ir::Origin::node;
    value.type = type;
    node.outputs.push_back(self.graph->add_value(std::move(value)));
  }
  self.graph->nodes.push_back(std::move(node));
  return self.graph->nodes.back().outputs;
}

onnxport_status* graph_node(onnxport_graph* self, const onnxport_node* from, onnxport_value* outputs) {
  return guarded(ONNXPORT_GRAPH, [&] {
    if (self->graph->nodes.size() >= most_nodes) {
      invalid(fmt::format(
          "the definition has more than {} operators; does config.json state an absurd number of layers?", most_nodes));
    }
    ir::Node node;
    node.domain = text(from->domain);
    node.op = text(from->op);
    node.scope = text(from->scope);
    node.inputs.assign(from->inputs, from->inputs + from->input_count);
    for (size_t i = 0; i < from->attribute_count; ++i) {
      const onnxport_attribute& attribute = from->attributes[i];
      if (!node.attributes.emplace(std::string(text(attribute.name)), attribute_from(attribute)).second)
        invalid(fmt::format("{} was given the attribute '{}' twice", node.op, text(attribute.name)));
    }
    const bool foreign = !node.domain.empty() && node.domain != ir::composite_domain;
    const std::vector<ir::ValueId> results = foreign && self->foreign_types != nullptr
                                                 ? add_foreign(*self, std::move(node), from->output_count)
                                                 : self->graph->add_node(std::move(node), from->output_count);
    std::copy(results.begin(), results.end(), outputs);
  });
}

onnxport_status* graph_constant(onnxport_graph* self, const onnxport_tensor* from, onnxport_value* out) {
  return guarded(ONNXPORT_INVALID_ARGUMENT, [&] {
    ir::Tensor tensor;
    tensor.dtype = static_cast<ir::DType>(from->dtype);
    if (ir::size_of(tensor.dtype) == 0) invalid(fmt::format("there is no element type {}", from->dtype));
    tensor.shape.assign(from->shape, from->shape + from->rank);
    const size_t bytes = static_cast<size_t>(tensor.element_count()) * ir::size_of(tensor.dtype);
    if (bytes != from->bytes) invalid(fmt::format("a constant of {} bytes was given {}", bytes, from->bytes));
    tensor.data.resize(bytes);
    if (bytes > 0) std::memcpy(tensor.data.data(), from->data, bytes);
    *out = self->graph->add_constant(std::move(tensor));
  });
}

void require_value(const onnxport_graph* self, onnxport_value value) {
  if (value == ir::absent || value >= self->graph->values.size())
    invalid(fmt::format("the value {} does not exist", value));
}

onnxport_status* graph_output(onnxport_graph* self, onnxport_string name, onnxport_value value) {
  return guarded(ONNXPORT_INVALID_ARGUMENT, [&] {
    require_value(self, value);
    for (const ir::NamedValue& output : self->graph->outputs) {
      if (output.name == text(name)) invalid(fmt::format("the output '{}' was given twice", text(name)));
    }
    self->graph->add_output(std::string(text(name)), value);
  });
}

onnxport_status* graph_mark(onnxport_graph* self, onnxport_string name, onnxport_value value) {
  return guarded(ONNXPORT_INVALID_ARGUMENT, [&] {
    require_value(self, value);
    self->graph->marks.push_back({std::string(text(name)), value});
  });
}

int32_t graph_wants(onnxport_graph* self, onnxport_string name) {
  self->offered.emplace(text(name));
  return self->wanted != nullptr && detail::is_wanted(*self->wanted, text(name)) ? 1 : 0;
}

onnxport_status* graph_type_of(onnxport_graph* self, onnxport_value value, onnxport_type* out) {
  return guarded(ONNXPORT_INVALID_ARGUMENT, [&] {
    require_value(self, value);
    const ir::TensorType& type = (*self->graph)[value].type;
    self->dims.clear();
    self->dim_symbols.clear();
    self->dim_symbols.reserve(type.shape.size());  // the strings must not move: dims point into them
    for (const ir::Dim& dim : type.shape) {
      if (dim.is_static()) {
        self->dims.push_back({dim.size(), {nullptr, 0}});
      } else {
        self->dim_symbols.push_back(dim.to_string());
        self->dims.push_back({-1, abi(self->dim_symbols.back())});
      }
    }
    *out = {sizeof(onnxport_type), static_cast<int32_t>(type.dtype), static_cast<uint32_t>(self->dims.size()),
            self->dims.data()};
  });
}

int32_t graph_has_operator(onnxport_graph*, onnxport_string domain, onnxport_string op) {
  return ir::find_operator(text(domain), text(op)) != nullptr ? 1 : 0;
}

const onnxport_graph_1 graph_table{sizeof(onnxport_graph_1),
                                   graph_input,
                                   graph_node,
                                   graph_constant,
                                   graph_output,
                                   graph_mark,
                                   graph_wants,
                                   graph_type_of,
                                   graph_has_operator};

// ------------------------------------------------------------------------------------------ weights/1

onnxport_status* weights_weight(onnxport_graph* self, onnxport_string name, const int64_t* shape, uint32_t rank,
                                onnxport_value* out) {
  return guarded(ONNXPORT_WEIGHTS, [&] {
    if (self->weights == nullptr) invalid("a patch has no weights of its own; it gets them as inputs");
    auto [found, weight] = self->weights->get(std::string(text(name)), std::vector<int64_t>(shape, shape + rank));
    *out = self->graph->add_weight(std::move(found), std::move(weight));
  });
}

int32_t weights_has(onnxport_graph* self, onnxport_string name) {
  return self->weights != nullptr && self->weights->has(std::string(text(name))) ? 1 : 0;
}

onnxport_status* weights_unused(onnxport_graph* self, onnxport_string pattern) {
  return guarded(ONNXPORT_INVALID_ARGUMENT, [&] {
    if (self->weights != nullptr) self->weights->mark_unused(std::string(text(pattern)));
  });
}

const onnxport_weights_1 weights_table{sizeof(onnxport_weights_1), weights_weight, weights_has, weights_unused};

// ------------------------------------------------------------------------------------------- config/1

const onnxport_config absent_config{};

std::unique_ptr<onnxport_config> child_of(const onnxport_config& self, const Json* json) {
  auto child = std::make_unique<onnxport_config>();
  child->json = json;
  child->read = self.read;
  return child;
}

const onnxport_config* config_member(const onnxport_config* self, onnxport_string key) {
  if (self->json == nullptr || !self->json->is_object()) return &absent_config;
  const std::string name(text(key));
  if (self->top && self->read != nullptr) self->read->insert(name);
  const auto found = self->json->find(name);
  if (found == self->json->end()) return &absent_config;
  auto& slot = self->members[name];
  if (slot == nullptr) slot = child_of(*self, &*found);
  return slot.get();
}

const onnxport_config* config_entry(const onnxport_config* self, size_t index) {
  if (self->json == nullptr || !self->json->is_array() || index >= self->json->size()) return &absent_config;
  auto& slot = self->entries[index];
  if (slot == nullptr) slot = child_of(*self, &(*self->json)[index]);
  return slot.get();
}

onnxport_config_type config_type(const onnxport_config* self) {
  if (self->json == nullptr) return ONNXPORT_CONFIG_ABSENT;
  switch (self->json->type()) {
    case Json::value_t::null:
      return ONNXPORT_CONFIG_NULL;
    case Json::value_t::boolean:
      return ONNXPORT_CONFIG_BOOL;
    case Json::value_t::number_integer:
    case Json::value_t::number_unsigned:
      return ONNXPORT_CONFIG_INT;
    case Json::value_t::number_float:
      return ONNXPORT_CONFIG_FLOAT;
    case Json::value_t::string:
      return ONNXPORT_CONFIG_STRING;
    case Json::value_t::array:
      return ONNXPORT_CONFIG_LIST;
    case Json::value_t::object:
      return ONNXPORT_CONFIG_MAP;
    default:
      return ONNXPORT_CONFIG_ABSENT;
  }
}

size_t config_size(const onnxport_config* self) {
  return self->json != nullptr && self->json->is_structured() ? self->json->size() : 0;
}
int32_t config_bool(const onnxport_config* self) {
  return config_type(self) == ONNXPORT_CONFIG_BOOL && self->json->get<bool>() ? 1 : 0;
}
int64_t config_int(const onnxport_config* self) {
  return config_type(self) == ONNXPORT_CONFIG_INT ? self->json->get<int64_t>() : 0;
}
double config_float(const onnxport_config* self) {
  return self->json != nullptr && self->json->is_number() ? self->json->get<double>() : 0.0;
}
onnxport_string config_string(const onnxport_config* self) {
  if (config_type(self) != ONNXPORT_CONFIG_STRING) return {nullptr, 0};
  return abi(self->json->get_ref<const std::string&>());
}
onnxport_string config_key(const onnxport_config* self, size_t index) {
  if (config_type(self) != ONNXPORT_CONFIG_MAP || index >= self->json->size()) return {nullptr, 0};
  return abi((self->json->begin() + static_cast<std::ptrdiff_t>(index)).key());
}

const onnxport_config_1 config_table{sizeof(onnxport_config_1),
                                     config_member,
                                     config_entry,
                                     config_type,
                                     config_size,
                                     config_bool,
                                     config_int,
                                     config_float,
                                     config_string,
                                     config_key};

void log_message(onnxport_log_level level, onnxport_string what) {
  if (log_sink != nullptr) log_sink(level, std::string(text(what)));
}
const onnxport_log_1 log_table{sizeof(onnxport_log_1), log_message};

const void* get_interface(const onnxport_host*, onnxport_string name, uint32_t version) {
  if (version != 1) return nullptr;
  if (text(name) == "graph") return &graph_table;
  if (text(name) == "weights") return &weights_table;
  if (text(name) == "config") return &config_table;
  if (text(name) == "log") return &log_table;
  return nullptr;
}

// ----------------------------------------------------------------------------------------- description

Description& description(onnxport_description* self) {
  return static_cast<detail::DescriptionSink*>(self)->out;
}

onnxport_status* describe_input(onnxport_description* self, onnxport_string name, const onnxport_type* type) {
  return guarded(ONNXPORT_INVALID_ARGUMENT, [&] {
    InputSpec spec;
    spec.name = text(name);
    spec.type.dtype = static_cast<ir::DType>(type->dtype);
    if (ir::size_of(spec.type.dtype) == 0) invalid(fmt::format("input '{}' has no element type", spec.name));
    for (uint32_t i = 0; i < type->rank; ++i) {
      const onnxport_dim& dim = type->dims[i];
      if (dim.size < 0 && dim.symbol.size == 0)
        invalid(fmt::format("axis {} of input '{}' has neither size nor name", i, spec.name));
      spec.type.shape.push_back(dim.size >= 0 ? ir::Dim(dim.size) : ir::Dim::parse(text(dim.symbol)));
      if (dim.size >= 0 && dim.symbol.size > 0) spec.open_axes.emplace(i, text(dim.symbol));
    }
    for (const InputSpec& other : description(self).inputs) {
      if (other.name == spec.name) invalid(fmt::format("the input '{}' is declared twice", spec.name));
    }
    description(self).inputs.push_back(std::move(spec));
  });
}

onnxport_status* describe_output(onnxport_description* self, onnxport_string name, const onnxport_type* type) {
  return guarded(ONNXPORT_INVALID_ARGUMENT, [&] {
    OutputSpec spec;
    spec.name = text(name);
    for (uint32_t i = 0; i < type->rank; ++i) {
      const onnxport_dim& dim = type->dims[i];
      if (dim.size >= 0)
        spec.axes.emplace_back(ir::Dim(dim.size));
      else if (dim.symbol.size > 0)
        spec.axes.emplace_back(ir::Dim::parse(text(dim.symbol)));
      else
        spec.axes.emplace_back(std::nullopt);
    }
    description(self).outputs.push_back(std::move(spec));
  });
}

InputSpec& declared_input(onnxport_description* self, onnxport_string name, const char* what) {
  for (InputSpec& spec : description(self).inputs) {
    if (spec.name == text(name)) return spec;
  }
  invalid(fmt::format("{} for the input '{}', which is not declared", what, text(name)));
}

onnxport_status* describe_limit(onnxport_description* self, onnxport_string name, int64_t limit) {
  return guarded(ONNXPORT_INVALID_ARGUMENT, [&] { declared_input(self, name, "a limit").limit = limit; });
}

Role role_from(int32_t number) {
  const bool is_known = number > ONNXPORT_ROLE_OTHER && number <= ONNXPORT_ROLE_FLAG;
  return is_known ? static_cast<Role>(number) : ONNXPORT_ROLE_OTHER;
}

onnxport_status* describe_input_info(onnxport_description* self, onnxport_string name,
                                     const onnxport_input_info* info) {
  return guarded(ONNXPORT_INVALID_ARGUMENT, [&] {
    InputSpec& spec = declared_input(self, name, "a role");
    spec.role = role_from(info->role);
    spec.of = text(info->of);
    spec.low = info->low;
    spec.high = info->high;
    if (info->has_fill != 0) spec.fill = info->fill;
  });
}

onnxport_status* describe_axis(onnxport_description* self, onnxport_string symbol, const onnxport_axis_size* size) {
  return guarded(ONNXPORT_INVALID_ARGUMENT, [&] {
    const AxisSize axis{size->usual, size->minimum, size->maximum, size->step};
    const bool fits = axis.usual >= 0 && axis.minimum >= 0 && axis.step >= 0 &&
                      (axis.maximum == 0 || axis.maximum >= std::max({axis.minimum, axis.step, int64_t{1}}));
    if (!fits) {
      invalid(fmt::format("no length fits the axis '{}': usual {}, from {} to {}, in steps of {}", text(symbol),
                          axis.usual, axis.minimum, axis.maximum, axis.step));
    }
    description(self).axes[std::string(text(symbol))] = axis;
  });
}

onnxport_status* describe_state(onnxport_description* self, const onnxport_state* from) {
  return guarded(ONNXPORT_INVALID_ARGUMENT, [&] {
    StateSpec state{std::string(text(from->past)), std::string(text(from->present)), std::nullopt};
    InputSpec& past = declared_input(self, from->past, "a state");
    past.role = ONNXPORT_ROLE_STATE;
    if (from->grows >= 0) {
      state.grows = static_cast<size_t>(from->grows);
      if (*state.grows >= past.type.shape.size() || past.type.shape[*state.grows].is_static()) {
        invalid(fmt::format("the state '{}', {}, grows along its axis {}, which has no name", past.name,
                            ir::to_string(past.type), from->grows));
      }
    }
    description(self).states.push_back(std::move(state));
  });
}

}  // namespace

void set_log_sink(LogSink sink) {
  log_sink = sink;
}

const onnxport_host& plugin_host() {
  static const onnxport_host host{
      sizeof(onnxport_host),
      ONNXPORT_ABI_MAJOR,
      ONNXPORT_ABI_MINOR,
      abi("onnxport"),
      abi(version),
      get_interface,
      make_status,
      [](const onnxport_status* status) { return status->code; },
      [](const onnxport_status* status) { return abi(status->text); },
      [](const onnxport_status* status) { return abi(status->place); },
      [](onnxport_status* status) { delete status; },
  };
  return host;
}

namespace detail {

DescriptionSink::DescriptionSink(Description& target) : onnxport_description{}, out(target) {
  struct_size = sizeof(onnxport_description);
  input = describe_input;
  output = describe_output;
  integer = [](onnxport_description* self, onnxport_string name, int64_t value) {
    return guarded(ONNXPORT_INTERNAL, [&] { description(self).integers[std::string(detail::text(name))] = value; });
  };
  real = [](onnxport_description* self, onnxport_string name, double value) {
    return guarded(ONNXPORT_INTERNAL, [&] { description(self).reals[std::string(detail::text(name))] = value; });
  };
  onnxport_description::text = [](onnxport_description* self, onnxport_string name, onnxport_string value) {
    return guarded(ONNXPORT_INTERNAL,
                   [&] { description(self).texts[std::string(detail::text(name))] = detail::text(value); });
  };
  value_override = [](onnxport_description* self, onnxport_string key, onnxport_string json) {
    return guarded(ONNXPORT_INTERNAL,
                   [&] { description(self).value_overrides.emplace_back(detail::text(key), detail::text(json)); });
  };
  patch = [](onnxport_description* self, onnxport_string domain, onnxport_string op, uint64_t tag) {
    return guarded(ONNXPORT_INTERNAL, [&] {
      description(self).patches.push_back({std::string(detail::text(domain)), std::string(detail::text(op)), tag});
    });
  };
  value_limit = describe_limit;
  input_info = describe_input_info;
  axis_size = describe_axis;
  state = describe_state;
}

void throw_status(onnxport_status* status, const std::string& plugin_id, const std::string& model_type) {
  if (status == nullptr) return;
  const std::unique_ptr<onnxport_status> owned(status);
  const bool is_told = owned->place.empty() || owned->text.starts_with(fmt::format("'{}'", owned->place));
  const std::string where = is_told ? "" : fmt::format(" at '{}'", owned->place);
  switch (owned->code) {
    case ONNXPORT_CONFIG:
      throw Error(
          Failure::checkpoint, owned->text,
          fmt::format("correct config.json; it was read for model type '{}' by plugin {}", model_type, plugin_id));
    case ONNXPORT_UNSUPPORTED:
      throw Error(Failure::checkpoint, owned->text + where,
                  fmt::format("plugin {} does not implement this for model type '{}', and would rather not guess",
                              plugin_id, model_type));
    case ONNXPORT_WEIGHTS:
      throw Error(Failure::checkpoint, owned->text + where, "");
    default:
      throw Error(Failure::plugin,
                  fmt::format("plugin {} failed for model type '{}'{}: {}", plugin_id, model_type, where, owned->text),
                  "this is a defect of the plugin; tell its author, with this message");
  }
}

std::vector<onnxport_attribute> abi_attributes(const ir::Node& node) {
  std::vector<onnxport_attribute> attributes;
  for (const auto& [name, value] : node.attributes) {
    onnxport_attribute to{};
    to.struct_size = sizeof to;
    to.name = abi(name);
    if (const auto* i = std::get_if<int64_t>(&value)) {
      to.type = ONNXPORT_ATTR_INT;
      to.i = *i;
    } else if (const auto* f = std::get_if<double>(&value)) {
      to.type = ONNXPORT_ATTR_FLOAT;
      to.f = *f;
    } else if (const auto* s = std::get_if<std::string>(&value)) {
      to.type = ONNXPORT_ATTR_STRING;
      to.s = abi(*s);
    } else if (const auto* ints = std::get_if<std::vector<int64_t>>(&value)) {
      to.type = ONNXPORT_ATTR_INTS;
      to.ints = ints->data();
      to.count = ints->size();
    } else if (const auto* floats = std::get_if<std::vector<double>>(&value)) {
      to.type = ONNXPORT_ATTR_FLOATS;
      to.floats = floats->data();
      to.count = floats->size();
    }
    attributes.push_back(to);
  }
  return attributes;
}

bool is_wanted(const std::vector<std::string>& wanted, std::string_view name) {
  for (const std::string& one : wanted) {
    if (name == one || (name.starts_with(one) && name.size() > one.size() && name[one.size()] == '.')) return true;
  }
  return false;
}

}  // namespace detail
}  // namespace onnxport
