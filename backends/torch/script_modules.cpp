// SPDX-License-Identifier: Apache-2.0
#include "backends/torch/script_modules.hpp"

#include <torch/csrc/jit/ir/ir.h>
#include <torch/csrc/jit/runtime/graph_executor.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "backends/torch/exchange.hpp"

namespace onnxport::reference {

namespace jit = torch::jit;

namespace {

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

}  // namespace

UnfoldedScript::UnfoldedScript(const jit::Module& module) : graph_(module.get_method("forward").graph()->copy()) {
  jit::Value* const model = graph_->inputs()[0];
  std::vector<Called> called;
  for (jit::Node* node = *graph_->nodes().begin(); node != graph_->return_node();) {
    while (!called.empty() && node == called.back().after) finish(called);
    const auto type = node->kind() == c10::prim::CallMethod ? node->input(0)->type()->cast<c10::ClassType>() : nullptr;
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

std::vector<ModuleResult> UnfoldedScript::run(const jit::Module& module, std::vector<c10::IValue> arguments) const {
  jit::Stack stack{module._ivalue()};
  for (c10::IValue& argument : arguments) stack.push_back(std::move(argument));
  jit::GraphExecutor(graph_, "forward").run(stack);
  std::vector<ModuleResult> results;
  for (size_t i = 0; i < paths_.size(); ++i)
    results.push_back({paths_[i], from_aten(stack.at(stack.size() - paths_.size() + i).toTensor())});
  return results;
}

void UnfoldedScript::finish(std::vector<Called>& called) {
  jit::Value* const value = called.back().yields.empty() ? nullptr : tensor_of(called.back().yields[0]);
  if (value != nullptr) {
    paths_.push_back(std::move(called.back().path));
    values_.push_back(value);
  }
  called.pop_back();
}

}  // namespace onnxport::reference
