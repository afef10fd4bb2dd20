// SPDX-License-Identifier: Apache-2.0
#include "backends/torch/script_arguments.hpp"

#include <ATen/core/List.h>

#include <algorithm>
#include <utility>

#include "backends/torch/exchange.hpp"
#include "core/error.hpp"

namespace onnxport::reference {
namespace {

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text.empty() ? "nothing" : text;
}

bool holds_tensors(const c10::TypePtr& type) {
  if (type->isSubtypeOf(*c10::TensorType::get())) return true;
  const auto parts = type->containedTypes();
  return !parts.empty() &&
         std::all_of(parts.begin(), parts.end(), [](const auto& part) { return holds_tensors(part); });
}

c10::IValue value_of(const Filling& filling, const Tensors& inputs) {
  if (!filling.input.empty()) return to_aten(inputs.at(filling.input));
  if (filling.otherwise) return *filling.otherwise;
  std::vector<c10::IValue> parts;
  for (const Filling& part : filling.parts) parts.push_back(value_of(part, inputs));
  if (filling.type->kind() != c10::TypeKind::ListType) return c10::ivalue::Tuple::create(std::move(parts));
  c10::impl::GenericList list(filling.type->containedTypes()[0]);
  for (c10::IValue& part : parts) list.push_back(std::move(part));
  return list;
}

}  // namespace

std::string defined_name(const std::map<std::string, std::string>& names, const std::string& scripted) {
  const auto found =
      std::find_if(names.begin(), names.end(), [&](const auto& pair) { return pair.second == scripted; });
  return found == names.end() ? scripted : found->first;
}

ScriptArguments::ScriptArguments(const ScriptFile& script, const c10::FunctionSchema& schema) : script_(script) {
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

std::vector<c10::IValue> ScriptArguments::values(const Tensors& inputs) const {
  std::vector<c10::IValue> values;
  for (const Filling& filling : fillings_) values.push_back(value_of(filling, inputs));
  return values;
}

void ScriptArguments::refuse(const std::string& what) const {
  throw Error(Failure::usage,
              script_.file.string() + " " + what + ": its forward() takes " + listed(arguments_) + ", the definition " +
                  listed(script_.inputs),
              "make it of a call with all of these, or say in --reference-names FILE which is which: "
              R"({"inputs": {"INPUT": "ARGUMENT"}})");
}

Filling ScriptArguments::filling_of(const c10::Argument& argument) {
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

Filling ScriptArguments::structure_of(const c10::TypePtr& type, const std::vector<std::string>& leaves, size_t& next) {
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

}  // namespace onnxport::reference
