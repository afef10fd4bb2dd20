// SPDX-License-Identifier: Apache-2.0
#include "backends/torch/script.hpp"

#include <c10/core/GradMode.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/ir/ir.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/csrc/jit/serialization/import.h>

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "backends/torch/exchange.hpp"

namespace onnxport::reference {
namespace {

namespace jit = torch::jit;

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text.empty() ? "nothing" : text;
}

/// What the definition calls that which the module calls so.
std::string defined_name(const std::map<std::string, std::string>& names, const std::string& scripted) {
  const auto found =
      std::find_if(names.begin(), names.end(), [&](const auto& pair) { return pair.second == scripted; });
  return found == names.end() ? scripted : found->first;
}

/// How an argument of forward() is filled: a tensor, by its name among the inputs, or a structure of such.
struct Filling {
  c10::TypePtr type;
  std::string input;             // of a tensor; empty: the argument is left at its default
  std::vector<Filling> parts{};  // of a tuple or a list
  std::optional<c10::IValue> otherwise{};
};

bool holds_tensors(const c10::TypePtr& type) {
  if (type->isSubtypeOf(*c10::TensorType::get())) return true;
  const auto parts = type->containedTypes();
  return !parts.empty() &&
         std::all_of(parts.begin(), parts.end(), [](const auto& part) { return holds_tensors(part); });
}

/// Fills arguments with the definition's inputs.
class Binding {
 public:
  Binding(const ScriptFile& script, const c10::FunctionSchema& schema) : script_(script) {
    for (size_t i = 1; i < schema.arguments().size(); ++i) {
      const c10::Argument& argument = schema.arguments()[i];
      arguments_.push_back(argument.name());
      fillings_.push_back(filling_of(argument));
    }
    std::vector<std::string> idle;
    for (const std::string& input : script.inputs) {
      if (!used_.contains(input)) idle.push_back(input);
    }
    if (!missing_.empty()) refuse("wants " + listed(missing_) + ", which the model's definition does not have");
    if (!idle.empty()) refuse("does not take " + listed(idle) + ", which the model's definition has");
  }

  std::vector<c10::IValue> values(const Tensors& inputs) const {
    std::vector<c10::IValue> values;
    for (const Filling& filling : fillings_) values.push_back(value_of(filling, inputs));
    return values;
  }

 private:
  [[noreturn]] void refuse(const std::string& what) const {
    throw Error(Failure::usage,
                script_.file.string() + " " + what + ": its forward() takes " + listed(arguments_) +
                    ", the definition " + listed(script_.inputs),
                "make it of a call with all of these, or say in --reference-names FILE which is which: "
                R"({"inputs": {"INPUT": "ARGUMENT"}})");
  }

  Filling filling_of(const c10::Argument& argument) {
    const std::string name = defined_name(script_.input_names, argument.name());
    Filling filling{argument.type(), {}};
    if (std::find(script_.inputs.begin(), script_.inputs.end(), name) != script_.inputs.end()) {
      filling.input = name;
      used_.insert(name);
      return filling;
    }
    std::vector<std::string> leaves;  // past_key_values.0.key, past_key_values.0.value, …
    for (const std::string& input : script_.inputs) {
      if (input.starts_with(name + ".")) leaves.push_back(input);
    }
    if (!leaves.empty() && holds_tensors(argument.type())) {
      size_t next = 0;
      filling = structure_of(argument.type(), leaves, next);
      for (size_t i = next; i < leaves.size(); ++i) used_.erase(leaves[i]);
      return filling;
    }
    if (const auto& value = argument.default_value()) filling.otherwise = *value;
    if (!filling.otherwise && argument.type()->kind() == c10::TypeKind::OptionalType) filling.otherwise.emplace();
    if (!filling.otherwise) missing_.push_back(argument.name());
    return filling;
  }

  /// The leaves in their order, in tuples and lists as the type has them; a list takes whatever there is.
  Filling structure_of(const c10::TypePtr& type, const std::vector<std::string>& leaves, size_t& next) {
    Filling filling{type, {}};
    if (type->isSubtypeOf(*c10::TensorType::get())) {
      if (next < leaves.size()) used_.insert(filling.input = leaves[next++]);
    } else if (type->kind() == c10::TypeKind::ListType) {
      while (next < leaves.size()) filling.parts.push_back(structure_of(type->containedTypes()[0], leaves, next));
    } else {
      for (const c10::TypePtr& part : type->containedTypes()) filling.parts.push_back(structure_of(part, leaves, next));
    }
    return filling;
  }

  static c10::IValue value_of(const Filling& filling, const Tensors& inputs) {
    if (!filling.input.empty()) return to_aten(inputs.at(filling.input));
    if (filling.otherwise) return *filling.otherwise;
    std::vector<c10::IValue> parts;
    for (const Filling& part : filling.parts) parts.push_back(value_of(part, inputs));
    if (filling.type->kind() != c10::TypeKind::ListType) return c10::ivalue::Tuple::create(std::move(parts));
    c10::impl::GenericList list(filling.type->containedTypes()[0]);
    for (c10::IValue& part : parts) list.push_back(std::move(part));
    return list;
  }

  const ScriptFile& script_;
  std::vector<std::string> arguments_, missing_;
  std::vector<Filling> fillings_;
  std::set<std::string> used_;
};

/// A tensor among what forward() returns, with its key where it stands in a dictionary.
struct Leaf {
  std::string name;
  at::Tensor value;
};

void collect(const c10::IValue& value, const std::string& name, std::vector<Leaf>& leaves) {
  if (value.isTensor()) {
    if (value.toTensor().defined()) leaves.push_back({name, value.toTensor()});
  } else if (value.isTuple()) {
    for (const c10::IValue& part : value.toTupleRef().elements()) collect(part, "", leaves);
  } else if (value.isList()) {
    for (const c10::IValue& part : value.toListRef()) collect(part, "", leaves);
  } else if (value.isGenericDict()) {
    for (const auto& entry : value.toGenericDict()) {
      const std::string key = entry.key().isString() ? entry.key().toStringRef() : "";
      collect(entry.value(), key, leaves);
    }
  }
}

/// The attributes from the model down to a module: "encoder.layer.0". Nothing where it is no attribute of the model.
std::optional<std::string> path_of(const jit::Value* module, const jit::Value* model) {
  std::string path;
  for (; module != model; module = module->node()->input(0)) {
    if (module->node()->kind() != c10::prim::GetAttr) return std::nullopt;
    path = module->node()->s(c10::attr::name) + (path.empty() ? "" : "." + path);
  }
  return path;
}

/// The first tensor that a call yields; null where it yields none.
jit::Value* tensor_of(jit::Value* value) {
  if (value->type()->isSubtypeOf(*c10::TensorType::get())) return value;
  if (value->node()->kind() == c10::prim::TupleConstruct && !value->node()->inputs().empty())
    return tensor_of(value->node()->input(0));
  return nullptr;
}

/// forward() with the calls of modules in place, and what each of them yields as a further output.
class Unfolded {
 public:
  explicit Unfolded(const jit::Module& module) : graph_(module.get_method("forward").graph()->copy()) {
    jit::Value* const model = graph_->inputs()[0];
    std::vector<Called> called;
    for (jit::Node* node = *graph_->nodes().begin(); node != graph_->return_node();) {
      while (!called.empty() && node == called.back().after) finish(called);
      const auto type =
          node->kind() == c10::prim::CallMethod ? node->input(0)->type()->cast<c10::ClassType>() : nullptr;
      const auto path = type ? path_of(node->input(0), model) : std::nullopt;
      if (!path) {
        node = node->next();
        continue;
      }
      jit::Node* const before = node->prev();
      jit::Node* const after = node->next();
      const std::vector<const jit::Value*> old(node->outputs().begin(), node->outputs().end());
      jit::GraphFunction& callee = jit::toGraphFunction(type->getMethod(node->s(c10::attr::name)));
      const std::vector<jit::Value*> made = jit::inlineCallTo(node, &callee, callee.graph().get());
      // What a call yields may be what a call in it does, which has just become something else.
      for (Called& outer : called) {
        for (jit::Value*& value : outer.yields) {
          const auto place = std::find(old.begin(), old.end(), value);
          if (place != old.end()) value = made.at(static_cast<size_t>(place - old.begin()));
        }
      }
      called.push_back({*path, made, after});
      node = before->next();
    }
    while (!called.empty()) finish(called);
    for (jit::Value* value : values_) graph_->registerOutput(value);
  }

  std::vector<ModuleResult> run(const jit::Module& module, std::vector<c10::IValue> arguments) const {
    jit::Stack stack{module._ivalue()};
    for (c10::IValue& argument : arguments) stack.push_back(std::move(argument));
    jit::GraphExecutor(graph_, "forward").run(stack);
    std::vector<ModuleResult> results;
    for (size_t i = 0; i < paths_.size(); ++i)
      results.push_back({paths_[i], from_aten(stack.at(stack.size() - paths_.size() + i).toTensor())});
    return results;
  }

 private:
  struct Called {
    std::string path;
    std::vector<jit::Value*> yields;
    jit::Node* after;
  };
  void finish(std::vector<Called>& called) {
    jit::Value* const value = called.back().yields.empty() ? nullptr : tensor_of(called.back().yields[0]);
    if (value != nullptr) {
      paths_.push_back(std::move(called.back().path));
      values_.push_back(value);
    }
    called.pop_back();
  }

  std::shared_ptr<jit::Graph> graph_;
  std::vector<std::string> paths_;
  std::vector<jit::Value*> values_;
};

class Script final : public ScriptedModel {
 public:
  Script(ScriptFile script, jit::Module module)
      : script_(std::move(script)),
        module_(std::move(module)),
        binding_(script_, module_.get_method("forward").function().getSchema()) {}
  Script(const Script&) = delete;
  Script& operator=(const Script&) = delete;

  Tensors run(const Tensors& inputs, const std::vector<std::string>&) override {
    return guarded([&] {
      const c10::NoGradGuard no_gradients;
      std::vector<Leaf> leaves;
      collect(module_.forward(binding_.values(inputs)), "", leaves);
      return named(leaves);
    });
  }

  std::vector<ModuleResult> module_results(const Tensors& inputs) override {
    return guarded([&] {
      const c10::NoGradGuard no_gradients;
      return Unfolded(module_).run(module_, binding_.values(inputs));
    });
  }

 private:
  Tensors named(const std::vector<Leaf>& leaves) const {
    Tensors outputs;
    std::vector<const Leaf*> nameless;
    for (const Leaf& leaf : leaves) {
      const std::string name = defined_name(script_.output_names, leaf.name);
      if (std::find(script_.outputs.begin(), script_.outputs.end(), name) != script_.outputs.end())
        outputs.emplace(name, from_aten(leaf.value));
      else if (leaf.name.empty())
        nameless.push_back(&leaf);
    }
    auto next = nameless.begin();
    for (const std::string& name : script_.outputs) {
      if (!outputs.contains(name) && next != nameless.end()) outputs.emplace(name, from_aten((*next++)->value));
    }
    return outputs;
  }

  const ScriptFile script_;
  jit::Module module_;
  const Binding binding_;
};

/// What libtorch says of a file that it cannot load, for those who made it.
[[noreturn]] void refuse(const ScriptFile& script, const std::string& version, const std::string& said) {
  constexpr std::string_view unknown = "Unknown builtin op: ";
  if (const size_t at = said.find(unknown); at != std::string::npos) {
    const std::string op = said.substr(at + unknown.size());
    throw Error(Failure::usage,
                script.file.string() + ": " + version + " does not know " + op.substr(0, op.find_first_of(".\n ")),
                "make the module without it; of attention: attn_implementation=\"eager\"");
  }
  throw Error(Failure::usage, script.file.string() + " is no TorchScript module that " + version + " reads: " + said,
              "make it with torch.jit.trace(model, inputs).save(FILE)");
}

}  // namespace

std::unique_ptr<ScriptedModel> open_script(const ScriptFile& script, const std::string& version) {
  try {
    // What is fused or folded rounds otherwise, and is made again for each shape.
    jit::setGraphExecutorOptimize(false);
    jit::Module module = jit::load(script.file.string(), at::kCPU);
    module.eval();
    return std::make_unique<Script>(script, std::move(module));
  } catch (const Error&) {
    throw;
  } catch (const std::exception& problem) {
    refuse(script, version, problem.what());
  }
}

}  // namespace onnxport::reference
