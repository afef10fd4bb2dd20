// SPDX-License-Identifier: Apache-2.0
#include "host/validation/foreign_ports.hpp"

#include <algorithm>
#include <set>

namespace onnxport {
namespace {

using Port = inspect::Port;

bool fits(const ir::TensorType& type, const Port& port) {
  if (!port.dimensions || port.dimensions->size() != type.shape.size() || port.element != ir::name_of(type.dtype))
    return false;
  for (size_t axis = 0; axis < type.shape.size(); ++axis) {
    const std::string& text = (*port.dimensions)[axis];
    const bool is_number =
        !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
    const auto size = type.shape[axis].maybe_size();
    if (is_number && size && std::to_string(*size) != text) return false;
  }
  return true;
}

/// Pairs what has the same name, then what nothing else fits. Yields the definition's names that are left.
std::vector<std::string> pair(const ir::Graph& graph, const std::vector<ir::NamedValue>& own,
                              const std::vector<Port>& theirs, std::map<std::string, std::string>& pairs) {
  std::set<std::string> taken;
  std::vector<const ir::NamedValue*> open;
  for (const ir::NamedValue& port : own) {
    const bool same =
        std::any_of(theirs.begin(), theirs.end(), [&](const Port& other) { return other.name == port.name; });
    if (same) {
      pairs[port.name] = port.name;
      taken.insert(port.name);
    } else {
      open.push_back(&port);
    }
  }
  std::vector<std::string> left;
  for (const ir::NamedValue* port : open) {
    std::vector<std::string> fitting;
    for (const Port& other : theirs) {
      if (!taken.contains(other.name) && fits(graph[port->value].type, other)) fitting.push_back(other.name);
    }
    // As many of ours as of theirs look like this: their order tells.
    const auto alike = std::count_if(open.begin(), open.end(), [&](const ir::NamedValue* other) {
      return !pairs.contains(other->name) && graph[other->value].type == graph[port->value].type;
    });
    if (fitting.empty() || static_cast<size_t>(alike) != fitting.size()) {
      left.push_back(port->name);
      continue;
    }
    pairs[port->name] = fitting.front();
    taken.insert(fitting.front());
  }
  return left;
}

std::vector<std::string> unpaired(const std::vector<Port>& theirs, const std::map<std::string, std::string>& pairs) {
  std::set<std::string> taken;
  for (const auto& [own, other] : pairs) taken.insert(other);
  std::vector<std::string> names;
  for (const Port& port : theirs) {
    if (!taken.contains(port.name)) names.push_back(port.name);
  }
  return names;
}

/// Integers in another width or as truth values; other tensors as they are.
ir::Tensor as_element(const ir::Tensor& tensor, const std::string& element) {
  if (tensor.dtype != ir::DType::i64 || element == "i64") return tensor;
  const auto values = tensor.as<int64_t>();
  if (element == "i32") return ir::Tensor::of<int32_t>(ir::DType::i32, tensor.shape, {values.begin(), values.end()});
  if (element == "bool") {
    std::vector<uint8_t> truths;
    for (const int64_t value : values) truths.push_back(value != 0 ? 1 : 0);
    return ir::Tensor::of<uint8_t>(ir::DType::boolean, tensor.shape, truths);
  }
  return tensor;
}

class BehindNames : public Runnable {
 public:
  BehindNames(PortMap ports, const ModelSummary& file, Runnable& onnx) : ports_(std::move(ports)), onnx_(onnx) {
    for (const Port& port : file.inputs) elements_[port.name] = port.element;
  }

  void rest() override { onnx_.rest(); }

  Tensors run(const Tensors& inputs, const std::vector<std::string>& wanted) override {
    Tensors given;
    for (const auto& [name, tensor] : inputs) {
      const auto renamed = ports_.inputs.find(name);
      const std::string& theirs = renamed == ports_.inputs.end() ? name : renamed->second;
      const auto element = elements_.find(theirs);
      if (element != elements_.end()) given[theirs] = as_element(tensor, element->second);
    }
    std::vector<std::string> names;
    for (const auto& [own, other] : ports_.outputs) {
      if (wanted.empty() || std::find(wanted.begin(), wanted.end(), own) != wanted.end()) names.push_back(other);
    }
    // What is none of the definition's is wanted by the file's own name.
    std::vector<std::string> own_values;
    for (const std::string& name : wanted) {
      if (!ports_.outputs.contains(name)) own_values.push_back(name);
    }
    names.insert(names.end(), own_values.begin(), own_values.end());
    Tensors results = onnx_.run(given, names), renamed;
    for (const std::string& name : own_values) {
      if (const auto found = results.find(name); found != results.end()) renamed[name] = found->second;
    }
    for (const auto& [own, other] : ports_.outputs) {
      if (const auto found = results.find(other); found != results.end()) renamed[own] = std::move(found->second);
    }
    return renamed;
  }

 private:
  PortMap ports_;
  Runnable& onnx_;
  std::map<std::string, std::string> elements_;
};

}  // namespace

PortMap map_ports(const ir::Graph& definition, const ModelSummary& file) {
  PortMap ports;
  ports.without_effect = pair(definition, definition.inputs, file.inputs, ports.inputs);
  ports.unknown = unpaired(file.inputs, ports.inputs);
  ports.missing = pair(definition, definition.outputs, file.outputs, ports.outputs);
  ports.ignored = unpaired(file.outputs, ports.outputs);
  return ports;
}

std::unique_ptr<Runnable> behind_names(PortMap ports, const ModelSummary& file, Runnable& onnx) {
  return std::make_unique<BehindNames>(std::move(ports), file, onnx);
}

}  // namespace onnxport
