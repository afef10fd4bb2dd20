// SPDX-License-Identifier: Apache-2.0
#include "backends/torch/script_reader.hpp"

#include <ATen/core/function.h>
#include <torch/csrc/jit/ir/constants.h>
#include <torch/csrc/jit/ir/ir.h>

#include <optional>
#include <utility>
#include <variant>

#include "backends/torch/script_tensors.hpp"
#include "core/error.hpp"

namespace onnxport::reference {

namespace jit = torch::jit;

namespace {

/// A module, and where it is in the model.
struct Object {
  std::string path;
  c10::intrusive_ptr<c10::ivalue::Object> object;
};
/// What stands for a value of libtorch's graph.
using Held = std::variant<ScriptValue, Object>;

/// One call of a method or function: what its graph's values are here.
struct Frame {
  std::string path;  // of the module
  std::map<const jit::Value*, Held> held{};
};

ScriptType type_of(const c10::TypePtr& type) {
  using Kind = ScriptType::Kind;
  ScriptType told{Kind::other, {}, type->repr_str()};
  switch (type->kind()) {
    case c10::TypeKind::TensorType:
      told.kind = Kind::tensor;
      break;
    case c10::TypeKind::ListType:
      told.kind = Kind::list;
      break;
    case c10::TypeKind::TupleType:
      told.kind = Kind::tuple;
      break;
    case c10::TypeKind::OptionalType:
      told.kind = Kind::optional;
      break;
    default:
      return told;
  }
  for (const c10::TypePtr& part : type->containedTypes()) told.parts.push_back(type_of(part));
  return told;
}

std::string joined(const std::string& path, const std::string& name) {
  return path.empty() ? name : path + "." + name;
}

/// "modeling.py:27"; empty where the file does not tell, or tells of its own code.
std::string source_of(const jit::Node& node) {
  const auto place = node.sourceRange().file_line_col();
  if (!place) return {};
  const auto& [file, line, column] = *place;
  if (file.empty() || file.starts_with("code/__torch__") || file.starts_with("__torch__")) return {};
  return file.substr(file.rfind('/') + 1) + ":" + std::to_string(line);
}

class Reader {
 public:
  Reader(std::shared_ptr<jit::Module> module, const std::string& file)
      : module_(std::move(module)), tensors_(module_, file) {
    told_.file = file;
  }

  ScriptGraph read() {
    const jit::Method forward = module_->get_method("forward");
    const c10::FunctionSchema& schema = forward.function().getSchema();
    const std::shared_ptr<jit::Graph> graph = forward.graph();
    Frame frame;
    frame.held[graph->inputs()[0]] = Object{"", module_->_ivalue()};
    for (size_t i = 1; i < schema.arguments().size(); ++i) {
      const c10::Argument& argument = schema.arguments()[i];
      ScriptArgument told{argument.name(), type_of(argument.type()), next_++};
      if (const auto& value = argument.default_value()) told.otherwise = tensors_.constant_of(argument.name(), *value);
      frame.held[graph->inputs()[i]] = told.value;
      told_.arguments.push_back(std::move(told));
    }
    read_nodes(*graph->block(), frame, told_.body);
    for (const jit::Value* output : graph->outputs()) told_.body.results.push_back(value_of(output, frame));
    return std::move(told_);
  }

 private:
  [[noreturn]] void refuse(const jit::Node& node, const Frame& frame, const std::string& what) const {
    throw Error(Failure::usage,
                told_.file + ": " + std::string(node.kind().toQualString()) + " in " +
                    (frame.path.empty() ? "the model's forward()" : "'" + frame.path + "'") + ": " + what,
                "make the module so that its forward() computes with tensors alone");
  }

  ScriptValue constant(ScriptConstant value) {
    told_.constants.emplace(next_, std::move(value));
    return next_++;
  }

  ScriptValue value_of(const jit::Value* value, Frame& frame) {
    const auto found = frame.held.find(value);
    if (found == frame.held.end()) refuse(*value->node(), frame, "its result is used before it is made");
    if (const auto* known = std::get_if<ScriptValue>(&found->second)) return *known;
    refuse(*value->node(), frame, "a module is handed on as a value");
  }

  void read_nodes(const jit::Block& block, Frame& frame, ScriptBlock& out) {
    for (const jit::Node* node : block.nodes()) read_node(*node, frame, out);
  }

  void read_node(const jit::Node& node, Frame& frame, ScriptBlock& out) {
    switch (node.kind()) {
      case c10::prim::Constant:
        return read_constant(node, frame);
      case c10::prim::GetAttr:
        return read_attribute(node, frame);
      case c10::prim::CallMethod:
        return read_method(node, frame, out);
      case c10::prim::CallFunction:
        return read_function(node, frame, out);
      case c10::prim::SetAttr:
        refuse(node, frame, "the attribute '" + node.s(c10::attr::name) + "' is changed, which a graph cannot do");
      default:
        break;
    }
    ScriptNode told{node.kind().toQualString(), frame.path, source_of(node), {}, {}, {}};
    for (const jit::Value* input : node.inputs()) told.inputs.push_back(value_of(input, frame));
    for (const jit::Block* block : node.blocks()) {
      ScriptBlock& body = told.blocks.emplace_back();
      for (const jit::Value* argument : block->inputs()) body.arguments.push_back(fresh(argument, frame));
      read_nodes(*block, frame, body);
      for (const jit::Value* result : block->outputs()) body.results.push_back(value_of(result, frame));
    }
    for (const jit::Value* output : node.outputs()) told.outputs.push_back(fresh(output, frame));
    out.nodes.push_back(std::move(told));
  }

  ScriptValue fresh(const jit::Value* value, Frame& frame) {
    frame.held[value] = next_;
    return next_++;
  }

  void read_constant(const jit::Node& node, Frame& frame) {
    const jit::Value* output = node.output();
    if (output->type()->kind() == c10::TypeKind::FunctionType) return;  // it is called, and nothing else
    const std::string name = joined(frame.path, "constant_" + std::to_string(next_));
    const auto value = jit::toIValue(output);
    frame.held[output] = constant(value ? tensors_.constant_of(name, *value) : ScriptConstant{});
  }

  void read_attribute(const jit::Node& node, Frame& frame) {
    const auto found = frame.held.find(node.input(0));
    const auto* object = found == frame.held.end() ? nullptr : std::get_if<Object>(&found->second);
    const std::string& name = node.s(c10::attr::name);
    if (object == nullptr) refuse(node, frame, "'" + name + "' is an attribute of what is no module");
    const std::string path = joined(object->path, name);
    const c10::IValue value = object->object->getAttr(name);
    if (value.isObject()) {
      frame.held[node.output()] = Object{path, value.toObject()};
      return;
    }
    const auto known = attributes_.find(path);
    frame.held[node.output()] =
        known != attributes_.end() ? known->second : (attributes_[path] = constant(tensors_.constant_of(path, value)));
  }

  void read_method(const jit::Node& node, Frame& frame, ScriptBlock& out) {
    const auto found = frame.held.find(node.input(0));
    const auto* object = found == frame.held.end() ? nullptr : std::get_if<Object>(&found->second);
    const std::string& name = node.s(c10::attr::name);
    if (object == nullptr) refuse(node, frame, "'" + name + "' is called of what is no module");
    Frame called{object->path};
    read_call(node, {object->object->type()->getMethod(name), called, 0}, frame, out);
  }

  void read_function(const jit::Node& node, Frame& frame, ScriptBlock& out) {
    Frame called{frame.path};
    read_call(node, {*node.input(0)->type()->expectRef<c10::FunctionType>().function(), called, 1}, frame, out);
  }

  /// What is called, its frame, and which of the node's inputs is the first argument.
  struct Call {
    torch::jit::Function& function;
    Frame& frame;
    size_t first;
  };

  void read_call(const jit::Node& node, const Call& call, Frame& frame, ScriptBlock& out) {
    if (++depth_ > most_calls) refuse(node, frame, "calls are nested too deep");
    const std::shared_ptr<jit::Graph> graph = jit::toGraphFunction(call.function).graph();
    for (size_t i = 0; i < graph->inputs().size(); ++i) {
      const auto argument = frame.held.find(node.input(call.first + i));
      if (argument == frame.held.end()) refuse(node, frame, "an argument is used before it is made");
      call.frame.held[graph->inputs()[i]] = argument->second;
    }
    read_nodes(*graph->block(), call.frame, out);
    for (size_t i = 0; i < node.outputs().size(); ++i)
      frame.held[node.outputs()[i]] = call.frame.held.at(graph->outputs()[i]);
    --depth_;
  }

  static constexpr int most_calls = 200;
  std::shared_ptr<jit::Module> module_;
  ScriptTensors tensors_;
  ScriptGraph told_;
  std::map<std::string, ScriptValue> attributes_;
  ScriptValue next_ = 1;
  int depth_ = 0;
};

}  // namespace

ScriptGraph describe_script(const std::shared_ptr<torch::jit::Module>& module, const std::string& file) {
  return Reader(module, file).read();
}

}  // namespace onnxport::reference
