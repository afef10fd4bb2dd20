// SPDX-License-Identifier: Apache-2.0
// graph/1
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "core/activity.hpp"
#include "core/definition/host_tables.hpp"
#include "core/definition/plugin_object.hpp"
#include "core/ir/functions.hpp"

namespace onnxport {
namespace {

using namespace detail;

/// Ten times what the largest models need. A count in a hostile config.json must not fill the memory.
constexpr size_t most_nodes = 1'000'000;

ir::Attribute attribute_from(const onnxport_attribute& from) {
  const auto numbers = [&](auto* data) {
    const auto given = list(data, from.count, bounds::numbers);
    return std::vector(given.begin(), given.end());
  };
  switch (from.type) {
    case ONNXPORT_ATTR_INT:
      return from.i;
    case ONNXPORT_ATTR_FLOAT:
      return from.f;
    case ONNXPORT_ATTR_STRING:
      return std::string(text(from.s));
    case ONNXPORT_ATTR_INTS:
      return numbers(from.ints);
    case ONNXPORT_ATTR_FLOATS:
      return numbers(from.floats);
    default:
      invalid(fmt::format("attribute '{}' has the unknown type {}", name_from(from.name), from.type));
  }
}

/// Whether a domain is neither ONNX's nor that of the composites.
bool is_own(const std::string& domain) {
  return !domain.empty() && domain != ir::composite_domain;
}

onnxport_status* graph_input(onnxport_graph* self, onnxport_string of, onnxport_value* out) {
  return guarded(ONNXPORT_INVALID_ARGUMENT, [&] {
    const std::string_view name = name_from(of);
    if (self->component != nullptr) {
      const auto given = self->component->inputs.find(name);
      *out = given == self->component->inputs.end() ? ir::absent : given->second;
      return;
    }
    for (const ir::NamedValue& input : self->graph->inputs) {
      if (input.name == name) {
        *out = input.value;
        return;
      }
    }
    invalid(fmt::format("the graph has no input '{}'; its description declares none of that name", name));
  });
}

/// Where a node stands, whose definition says `scope`.
std::string place_of(const onnxport_graph& self, onnxport_string scope) {
  const std::string_view own = optional_name_from(scope);
  return self.component == nullptr ? std::string(own) : self.component->path_of(own);
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

/// What the plugin tells of an operator of its own; null where it tells nothing.
const PatchSpec* own_operator(const onnxport_graph& self, const ir::Node& node) {
  if (self.object == nullptr || self.description == nullptr || !is_own(node.domain)) return nullptr;
  for (const PatchSpec& patch : self.description->patches) {
    if (patch.domain == node.domain && patch.op == node.op) return &patch;
  }
  return nullptr;
}

/// A node of such an operator, with the graph that the plugin makes it of.
std::vector<ir::ValueId> add_own(onnxport_graph& self, const PatchSpec& told, ir::Node node, size_t outputs) {
  auto body = std::make_shared<ir::Graph>();
  body->name = node.op;
  while (!node.inputs.empty() && node.inputs.back() == ir::absent) node.inputs.pop_back();
  ir::Node call = node;
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    const ir::ValueId id = node.inputs[i];
    if (id == ir::absent || id >= self.graph->values.size())
      invalid(fmt::format("input {} of {}.{} is absent", i, node.domain, node.op));
    call.inputs[i] = body->add_input(fmt::format("in_{}", i), (*self.graph)[id].type);
  }
  call.outputs.assign(outputs, ir::absent);
  onnxport_graph inside;
  inside.graph = body.get();
  inside.description = self.description;
  inside.object = self.object;
  const std::vector<onnxport_value> made = self.object->lower(told.tag, inside, call);
  for (size_t i = 0; i < made.size(); ++i) body->add_output(fmt::format("out_{}", i), made[i]);
  body->marks.clear();
  node.formal_inputs = node.inputs.size();
  node.bodies[ir::function_body] = std::move(body);
  return self.graph->add_node(std::move(node), outputs);
}

/// A node without outputs, which stands below the component's path where there is one.
ir::Node node_from(const onnxport_graph& self, const onnxport_node& from) {
  ir::Node node;
  node.domain = optional_name_from(from.domain);
  node.op = name_from(from.op);
  node.scope = place_of(self, from.scope);
  const auto inputs = list(from.inputs, from.input_count, bounds::operands);
  node.inputs.assign(inputs.begin(), inputs.end());
  for (const onnxport_attribute& attribute : list(from.attributes, from.attribute_count, bounds::attributes)) {
    whole(&attribute, ONNXPORT_SIZE_THROUGH(onnxport_attribute, count), "an attribute");
    const std::string_view name = name_from(attribute.name);
    if (!node.attributes.emplace(std::string(name), attribute_from(attribute)).second)
      invalid(fmt::format("{} was given the attribute '{}' twice", node.op, name));
  }
  return node;
}

onnxport_status* graph_node(onnxport_graph* self, const onnxport_node* given, onnxport_value* outputs) {
  return guarded(ONNXPORT_GRAPH, [&] {
    const auto& from = whole(given, ONNXPORT_SIZE_THROUGH(onnxport_node, output_count), "a node");
    list(outputs, from.output_count, bounds::operands);
    if (self->graph->nodes.size() >= most_nodes) {
      invalid(fmt::format(
          "the definition has more than {} operators; does config.json state an absurd number of layers?", most_nodes));
    }
    ir::Node node = node_from(*self, from);
    note_place(node.scope);
    if (from.output_count == 0) invalid(fmt::format("{} was asked for no value, expected one or more", node.op));
    const PatchSpec* own = own_operator(*self, node);
    const bool foreign = own == nullptr && is_own(node.domain) && self->foreign_types != nullptr;
    const std::vector<ir::ValueId> results = own != nullptr ? add_own(*self, *own, std::move(node), from.output_count)
                                             : foreign      ? add_foreign(*self, std::move(node), from.output_count)
                                                            : self->graph->add_node(std::move(node), from.output_count);
    std::copy(results.begin(), results.end(), outputs);
  });
}

onnxport_status* graph_constant(onnxport_graph* self, const onnxport_tensor* given, onnxport_value* out) {
  return guarded(ONNXPORT_INVALID_ARGUMENT, [&] {
    const auto& from = whole(given, ONNXPORT_SIZE_THROUGH(onnxport_tensor, bytes), "a constant");
    ir::Tensor tensor;
    tensor.dtype = static_cast<ir::DType>(from.dtype);
    if (ir::size_of(tensor.dtype) == 0) invalid(fmt::format("there is no element type {}", from.dtype));
    tensor.shape = shape_from(from.shape, from.rank);
    const uint64_t bytes = element_count(tensor.shape) * ir::size_of(tensor.dtype);
    if (bytes != from.bytes) {
      invalid(fmt::format("a constant {}[{}] takes {} bytes, and its data have {}; is the type that of the list?",
                          ir::name_of(tensor.dtype), fmt::join(tensor.shape, ", "), bytes, from.bytes));
    }
    tensor.data = data_from(from);
    *out = self->graph->add_constant(std::move(tensor));
  });
}

void require_value(const onnxport_graph* self, onnxport_value value) {
  if (value == ir::absent || value >= self->graph->values.size())
    invalid(fmt::format("the value {} does not exist", value));
}

onnxport_status* graph_output(onnxport_graph* self, onnxport_string of, onnxport_value value) {
  return guarded(ONNXPORT_INVALID_ARGUMENT, [&] {
    const std::string_view name = name_from(of);
    require_value(self, value);
    if (self->component != nullptr) {
      self->component->outputs.insert_or_assign(std::string(name), value);
      return;
    }
    for (const ir::NamedValue& output : self->graph->outputs) {
      if (output.name == name) invalid(fmt::format("the output '{}' was given twice", name));
    }
    self->graph->add_output(std::string(name), value);
  });
}

onnxport_status* graph_mark(onnxport_graph* self, onnxport_string name, onnxport_value value) {
  return guarded(ONNXPORT_INVALID_ARGUMENT, [&] {
    require_value(self, value);
    std::string step(name_from(name));
    if (self->component != nullptr) {
      self->component->marks.insert_or_assign(step, value);
      step = self->component->steps + step;
    }
    self->graph->marks.push_back({std::move(step), value});
  });
}

int32_t graph_wants(onnxport_graph* self, onnxport_string name) {
  const std::string step = (self->component == nullptr ? "" : self->component->steps) + std::string(clipped(name));
  self->offered.insert(step);
  return self->wanted != nullptr && is_wanted(*self->wanted, step) ? 1 : 0;
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

/// A value of the graph as an input of a step's, with its contents' type; of a walked one, a slice.
ir::ValueId step_input(const onnxport_graph& self, ir::Graph& step, onnxport_value value, bool walked) {
  require_value(&self, value);
  ir::TensorType type = (*self.graph)[value].type;
  if (walked) {
    if (type.shape.empty()) invalid("a scalar was given to be walked, which has no first axis");
    type.shape.erase(type.shape.begin());
  }
  return step.add_input(fmt::format("in_{}", step.inputs.size()), std::move(type));
}

onnxport_status* graph_scan(onnxport_graph* self, const onnxport_scan* told, onnxport_value* outputs) {
  return guarded(ONNXPORT_GRAPH, [&] {
    const onnxport_scan* from = &whole(told, ONNXPORT_SIZE_THROUGH(onnxport_scan, context), "a recurrence");
    check_bound(bounds::operands, from->row_count);
    if (from->step == nullptr || outputs == nullptr) invalid("a recurrence has a null pointer as its step or outputs");
    auto step = std::make_shared<ir::Graph>();
    step->name = "step";
    ir::Node node;
    node.op = "Scan";
    node.scope = place_of(*self, from->scope);
    std::vector<onnxport_value> given;
    const auto take = [&](const onnxport_value* values, size_t count, bool walked) {
      for (const onnxport_value value : list(values, count, bounds::operands)) {
        given.push_back(step_input(*self, *step, value, walked));
        node.inputs.push_back(value);
      }
    };
    take(from->states, from->state_count, false);
    take(from->walked, from->walked_count, true);
    node.formal_inputs = node.inputs.size();
    take(from->captures, from->capture_count, false);
    node.attributes["num_scan_inputs"] = static_cast<int64_t>(from->walked_count);

    onnxport_graph inside;
    inside.graph = step.get();
    inside.description = self->description;
    inside.object = self->object;
    std::vector<onnxport_value> results(from->state_count + from->row_count);
    if (onnxport_status* failed = from->step(from->context, &inside, given.data(), results.data())) {
      const std::unique_ptr<onnxport_status> owned(failed);
      invalid(owned->place.empty() ? owned->text : fmt::format("{} (at '{}')", owned->text, owned->place));
    }
    for (size_t i = 0; i < results.size(); ++i) {
      require_value(&inside, results[i]);
      step->add_output(fmt::format("out_{}", i), results[i]);
    }
    step->marks.clear();
    node.bodies["body"] = std::move(step);
    const std::vector<ir::ValueId> made = self->graph->add_node(std::move(node), results.size());
    std::copy(made.begin(), made.end(), outputs);
  });
}

int32_t graph_has_operator(onnxport_graph*, onnxport_string domain, onnxport_string op) {
  return ir::find_operator(clipped(domain), clipped(op)) != nullptr ? 1 : 0;
}

const onnxport_graph_1 graph_functions{sizeof(onnxport_graph_1),
                                       graph_input,
                                       graph_node,
                                       graph_constant,
                                       graph_output,
                                       graph_mark,
                                       graph_wants,
                                       graph_type_of,
                                       graph_has_operator,
                                       graph_scan};

}  // namespace

namespace detail {

const onnxport_graph_1& graph_table() {
  return graph_functions;
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
