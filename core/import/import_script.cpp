// SPDX-License-Identifier: Apache-2.0
#include "core/import/import_script.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "core/error.hpp"
#include "core/import/interpreter.hpp"

namespace onnxport {
namespace {

using script::Interpreter;
using script::Item;
using script::Items;

std::string named(const ScriptArgument& argument) {
  return argument.name + ": " + argument.type.text;
}

/// Fills the arguments of forward() with inputs of the graph.
class Arguments {
 public:
  Arguments(const ScriptGraph& script, const std::vector<ScriptInput>& inputs, ir::Graph& graph)
      : script_(script), inputs_(inputs) {
    for (const ScriptInput& input : inputs) values_[input.name] = graph.add_input(input.name, input.type);
    if (values_.size() != inputs.size())
      throw Error(Failure::usage, "an input is given twice", "give each argument of forward() one --input");
  }

  void fill(Interpreter& interpreter) {
    std::vector<std::string> missing;
    for (const ScriptArgument& argument : script_.arguments) {
      if (const auto item = item_for(argument))
        interpreter.set(argument.value, *item);
      else if (!argument.otherwise && argument.type.kind != ScriptType::Kind::optional)
        missing.push_back(named(argument));
      else
        set_default(argument, interpreter);
    }
    std::vector<std::string> idle;
    for (const ScriptInput& input : inputs_) {
      if (!used_.contains(input.name)) idle.push_back(input.name);
    }
    if (!missing.empty()) refuse(fmt::format("wants {}, of which nothing is said", fmt::join(missing, ", ")));
    if (!idle.empty()) refuse(fmt::format("does not take {}", fmt::join(idle, ", ")));
  }

 private:
  [[noreturn]] void refuse(const std::string& what) const {
    std::vector<std::string> arguments;
    for (const ScriptArgument& argument : script_.arguments) arguments.push_back(named(argument));
    throw Error(
        Failure::usage,
        fmt::format("{}: forward() {}; it takes {}", script_.file, what,
                    arguments.empty() ? "nothing" : fmt::format("{}", fmt::join(arguments, ", "))),
        "give each of its tensors an --input NAME=TYPE[AXIS,…], as --input words=i64[batch,sequence]; of a list "
        "or a tuple NAME.0, NAME.1, …");
  }

  std::optional<Item> item_for(const ScriptArgument& argument) {
    if (values_.contains(argument.name)) {
      used_.insert(argument.name);
      return script::Tensor{values_[argument.name]};
    }
    std::vector<std::string> leaves;
    for (const ScriptInput& input : inputs_) {
      if (input.name.starts_with(argument.name + ".")) leaves.push_back(input.name);
    }
    if (leaves.empty()) return std::nullopt;
    size_t next = 0;
    return structure(argument.type, leaves, next);
  }

  /// The leaves in their order, in tuples and lists as the type has them; a list takes whatever there is.
  Item structure(const ScriptType& type, const std::vector<std::string>& leaves, size_t& next) {
    using Kind = ScriptType::Kind;
    if (type.kind == Kind::optional && !type.parts.empty()) return structure(type.parts[0], leaves, next);
    if (type.kind == Kind::tensor) {
      if (next >= leaves.size()) return {};
      used_.insert(leaves[next]);
      return script::Tensor{values_[leaves[next++]]};
    }
    Items items;
    if (type.kind == Kind::list) {
      while (next < leaves.size()) {
        const size_t before = next;
        items.push_back(structure(type.parts.at(0), leaves, next));
        if (next == before) break;
      }
    } else {
      for (const ScriptType& part : type.parts) items.push_back(structure(part, leaves, next));
    }
    return Item::list(std::move(items));
  }

  static void set_default(const ScriptArgument& argument, Interpreter& interpreter) {
    const ScriptConstant none;
    interpreter.set_constant(argument.value, argument.otherwise ? *argument.otherwise : none);
  }

  const ScriptGraph& script_;
  const std::vector<ScriptInput>& inputs_;
  std::map<std::string, ir::ValueId> values_;
  std::set<std::string> used_;
};

/// A tensor that forward() returns, with its key where it stands in a dictionary.
struct Leaf {
  std::string key;
  ir::ValueId value;
};

void collect(const Item& item, const std::string& key, std::vector<Leaf>& leaves) {
  if (const auto* tensor = item.as<script::Tensor>()) {
    leaves.push_back({key, tensor->value});
  } else if (const auto* list = item.as<script::List>()) {
    for (const Item& part : *list->items) collect(part, "", leaves);
  } else if (const auto* dictionary = item.as<script::Dictionary>()) {
    for (const auto& [name, part] : *dictionary->entries) collect(part, name, leaves);
  }
}

void add_outputs(const ScriptGraph& script, const std::vector<Leaf>& leaves, const std::vector<std::string>& names,
                 ImportedScript& imported) {
  if (leaves.empty())
    throw Error(Failure::usage, script.file + ": forward() returns no tensor",
                "make the module so that it returns tensors, in tuples, lists or dictionaries");
  if (names.size() > leaves.size()) {
    throw Error(Failure::usage,
                fmt::format("{}: forward() returns {} tensors, and {} outputs are named", script.file, leaves.size(),
                            names.size()),
                "name as many with --output, in the order in which they are returned");
  }
  std::set<std::string> taken;
  for (const ir::NamedValue& input : imported.graph.inputs) taken.insert(input.name);
  size_t nameless = 0;
  for (size_t i = 0; i < leaves.size(); ++i) {
    const std::string usual = leaves[i].key.empty() ? fmt::format("output_{}", nameless) : leaves[i].key;
    if (leaves[i].key.empty()) ++nameless;
    const std::string& name = i < names.size() ? names[i] : usual;
    if (!taken.insert(name).second) {
      throw Error(Failure::usage, fmt::format("{}: two inputs or outputs are called '{}'", script.file, name),
                  "give outputs names of their own: --output NAME, in the order in which they are returned");
    }
    if (!leaves[i].key.empty() && name != leaves[i].key) imported.output_keys[name] = leaves[i].key;
    imported.graph.add_output(name, leaves[i].value);
  }
}

/// The input that a value holds, maybe in another shape or type; null where it is computed.
const ir::NamedValue* input_behind(const ir::Graph& graph, const std::map<ir::ValueId, const ir::Node*>& makers,
                                   ir::ValueId value) {
  static const std::set<std::string> moving{"Cast",   "Reshape", "Unsqueeze", "Squeeze", "Slice",
                                            "Expand", "Concat",  "Transpose", "Gather",  "Identity"};
  while (true) {
    for (const ir::NamedValue& input : graph.inputs) {
      if (input.value == value) return &input;
    }
    const auto maker = makers.find(value);
    if (maker == makers.end() || !moving.contains(maker->second->op)) return nullptr;
    value = maker->second->inputs[0];
  }
}

std::map<std::string, int64_t> limits_of(const ir::Graph& graph) {
  std::map<ir::ValueId, const ir::Node*> makers;
  for (const ir::Node& node : graph.nodes) {
    for (ir::ValueId output : node.outputs) makers[output] = &node;
  }
  std::map<std::string, int64_t> limits;
  for (const ir::Node& node : graph.nodes) {
    const bool is_table = node.op == "Embedding" || (node.op == "Gather" && node.integer("axis", 0) == 0);
    if (!is_table) continue;
    const ir::Shape& table = graph[node.inputs[0]].type.shape;
    const ir::NamedValue* input = input_behind(graph, makers, node.inputs[1]);
    if (input == nullptr || table.empty() || !table[0].is_static()) continue;
    int64_t& limit = limits[input->name];
    limit = limit == 0 ? table[0].size() : std::min(limit, table[0].size());
  }
  return limits;
}

}  // namespace

ImportedScript import_script(const ScriptGraph& script, const std::vector<ScriptInput>& inputs,
                             const std::vector<std::string>& outputs) {
  ImportedScript imported;
  Interpreter interpreter(script, imported.graph);
  Arguments(script, inputs, imported.graph).fill(interpreter);
  interpreter.run(script.body);
  std::vector<Leaf> leaves;
  collect(interpreter.get(script.body.results.at(0)), "", leaves);
  add_outputs(script, leaves, outputs, imported);
  imported.limits = limits_of(imported.graph);
  return imported;
}

}  // namespace onnxport
