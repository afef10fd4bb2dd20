// SPDX-License-Identifier: Apache-2.0
// Runs a script over items instead of tensors: what is known is computed, and what is not becomes nodes of a graph.
#pragma once

#include <map>
#include <memory>

#include "core/backend/script_graph.hpp"
#include "core/import/item.hpp"

namespace onnxport::script {

class Interpreter {
 public:
  /// Both outlive it.
  Interpreter(const ScriptGraph& script, ir::Graph& graph) : script_(script), graph_(graph) {}

  void set(ScriptValue value, Item item) { cells_[value] = std::make_shared<Item>(std::move(item)); }
  void set_constant(ScriptValue value, const ScriptConstant& constant) { set(value, item_of(constant)); }
  /// Throws Error(usage) for an operator that cannot be translated, with its place.
  void run(const ScriptBlock& block);
  const Item& get(ScriptValue value) { return *cell(value); }

 private:
  /// A part of another tensor, which changes where that part does.
  struct View {
    std::shared_ptr<Item> of;
    const ScriptNode* node;
    Items arguments;
  };

  std::shared_ptr<Item> cell(ScriptValue value);
  Item item_of(const ScriptConstant& constant);
  Item held(const ScriptTensor& tensor);
  void run(const ScriptNode& node);
  void run_choice(const ScriptNode& node);
  void run_loop(const ScriptNode& node);
  void change(const std::shared_ptr<Item>& changed, Item item);
  void put_back(const View& view, const Item& part);

  const ScriptGraph& script_;
  ir::Graph& graph_;
  std::map<ScriptValue, std::shared_ptr<Item>> cells_;
  std::map<const Item*, View> views_;
};

}  // namespace onnxport::script
