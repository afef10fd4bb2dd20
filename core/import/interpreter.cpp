// SPDX-License-Identifier: Apache-2.0
#include "core/import/interpreter.hpp"

#include <fmt/format.h>

#include <limits>

#include "core/error.hpp"
#include "core/import/numbers.hpp"
#include "core/import/rows.hpp"

namespace onnxport::script {
namespace {

/// More turns of a loop than any model has layers or steps; each becomes nodes.
constexpr int64_t most_turns = 10'000;
/// Whole numbers of so many elements, which may be sizes, are constants of the graph.
constexpr int64_t most_known = 64;

bool is_part(const ScriptNode& node) {
  return node.kind == "aten::slice" || node.kind == "aten::select" || node.kind == "aten::narrow";
}

[[noreturn]] void refuse_unknown(const ScriptNode& node, const std::string& file) {
  throw Error(
      Failure::usage, fmt::format("{}: {} in {} has no counterpart in the graph", file, node.kind, place_of(node)),
      "write that part of the model with other operators, or make a plugin for it: docs/writing-a-plugin.md; how an "
      "operator is added says docs/hacking.md");
}

}  // namespace

std::shared_ptr<Item> Interpreter::cell(ScriptValue value) {
  std::shared_ptr<Item>& cell = cells_[value];
  if (cell != nullptr) return cell;
  const auto known = script_.constants.find(value);
  if (known == script_.constants.end())
    throw Error(Failure::internal, fmt::format("{}: value {} is used before it is made", script_.file, value));
  cell = std::make_shared<Item>(item_of(known->second));
  return cell;
}

Item Interpreter::item_of(const ScriptConstant& constant) {
  struct Visitor {
    Interpreter& self;
    Item operator()(std::monostate) const { return {}; }
    Item operator()(bool flag) const { return flag; }
    Item operator()(int64_t number) const { return number; }
    Item operator()(double number) const { return number; }
    Item operator()(const std::string& text) const { return text; }
    Item operator()(const ScriptTensor& tensor) const { return self.held(tensor); }
    Item operator()(const ScriptConstant::List& list) const {
      Items items;
      for (const ScriptConstant& one : list) items.push_back(self.item_of(one));
      return Item::list(std::move(items));
    }
  };
  return std::visit(Visitor{*this}, constant.value);
}

Item Interpreter::held(const ScriptTensor& tensor) {
  int64_t count = 1;
  for (int64_t size : tensor.weight.shape()) count *= size;
  const bool is_number = tensor.weight.shape().empty();
  const bool is_list =
      tensor.weight.shape().size() == 1 && count <= most_known && !ir::is_floating(tensor.weight.dtype());
  if (is_number && tensor.weight.dtype() == ir::DType::i64) return materialize(tensor.weight).as<int64_t>()[0];
  if (is_number || is_list || count == 0) return Tensor{graph_.add_constant(materialize(tensor.weight))};
  return Tensor{graph_.add_weight(tensor.name, tensor.weight)};
}

void Interpreter::run(const ScriptBlock& block) {
  for (const ScriptNode& node : block.nodes) run(node);
}

void Interpreter::run(const ScriptNode& node) {
  if (node.kind == "prim::If") return run_choice(node);
  if (node.kind == "prim::Loop") return run_loop(node);
  const Row* row = find_row(node.kind);
  if (row == nullptr) refuse_unknown(node, script_.file);
  std::vector<std::shared_ptr<Item>> cells;
  Items arguments;
  for (ScriptValue input : node.inputs) {
    cells.push_back(cell(input));
    arguments.push_back(*cells.back());
  }
  Call call(graph_, node, arguments);
  Items results;
  try {
    results = row->rule(call);
  } catch (const std::invalid_argument& problem) {
    call.refuse(problem.what());
  } catch (const std::out_of_range&) {
    call.refuse("has fewer arguments than are known of it");
  }
  const auto* first = cells.empty() ? nullptr : cells[0]->as<Tensor>();
  if (is_in_place(node.kind) && first != nullptr && !results.empty() && results[0].as<Tensor>() != nullptr) {
    const ValueId changed = call.cast(results[0].as<Tensor>()->value, call.dtype(first->value));
    change(cells[0], Tensor{changed});
    for (ScriptValue output : node.outputs) cells_[output] = cells[0];
    return;
  }
  for (size_t i = 0; i < node.outputs.size() && i < results.size(); ++i) {
    const auto* made = results[i].as<Tensor>();
    // What is handed on as it is changes where the other does, unless it is a copy.
    if (made != nullptr && first != nullptr && made->value == first->value && node.kind != "aten::clone") {
      cells_[node.outputs[i]] = cells[0];
      continue;
    }
    auto& output = cells_[node.outputs[i]] = std::make_shared<Item>(std::move(results[i]));
    if (i == 0 && first != nullptr && is_part(node)) views_[output.get()] = {cells[0], &node, arguments};
  }
}

void Interpreter::run_choice(const ScriptNode& node) {
  const Items arguments{get(node.inputs.at(0))};
  Call call(graph_, node, arguments);
  const auto known = arguments[0].as<bool>() != nullptr ? std::optional(*arguments[0].as<bool>()) : std::nullopt;
  const auto number = known ? std::nullopt : call.known_number(arguments[0]);
  if (!known && !number)
    call.refuse("its condition is known when the model runs and not before, so that neither branch can be taken",
                "write the choice with torch.where(), or make the module by torch.jit.trace");
  const ScriptBlock& taken = node.blocks.at(known.value_or(number.value_or(0) != 0) ? 0 : 1);
  run(taken);
  for (size_t i = 0; i < node.outputs.size(); ++i) cells_[node.outputs[i]] = cell(taken.results.at(i));
}

void Interpreter::run_loop(const ScriptNode& node) {
  // times, condition, states -> states; in the body: time, states -> condition, states
  const Items arguments{get(node.inputs.at(0)), get(node.inputs.at(1))};
  Call call(graph_, node, arguments);
  const ScriptBlock& body = node.blocks.at(0);
  const auto is_known = [&](const Item& item) {
    const auto flag = call.known_number(item);
    if (!flag) call.refuse("whether it goes on is known when the model runs and not before");
    return *flag != 0;
  };
  const Integer times = call.size(0);
  if (!times.dim.is_static())
    call.refuse(fmt::format("runs {} times, which is known when the model runs and not before", times.dim.to_string()),
                "give the axis a size in --input, or write the loop with an operator over the whole axis");
  std::vector<std::shared_ptr<Item>> states;
  for (size_t i = 2; i < node.inputs.size(); ++i) states.push_back(cell(node.inputs[i]));
  bool goes_on = is_known(arguments[1]);
  for (int64_t turn = 0; goes_on && turn < times.dim.size(); ++turn) {
    if (turn >= most_turns)
      call.refuse(fmt::format("runs more than {} times, each of which would be nodes", most_turns));
    set(body.arguments.at(0), turn);
    for (size_t i = 0; i < states.size(); ++i) cells_[body.arguments.at(i + 1)] = states[i];
    run(body);
    goes_on = is_known(get(body.results.at(0)));
    for (size_t i = 0; i < states.size(); ++i) states[i] = cell(body.results.at(i + 1));
  }
  for (size_t i = 0; i < node.outputs.size(); ++i) cells_[node.outputs[i]] = states.at(i);
}

void Interpreter::change(const std::shared_ptr<Item>& changed, Item item) {
  *changed = std::move(item);
  const auto view = views_.find(changed.get());
  if (view != views_.end()) put_back(view->second, *changed);
}

/// What is before the part, the part, and what is behind it.
void Interpreter::put_back(const View& view, const Item& part) {
  Call call(graph_, *view.node, view.arguments);
  const ValueId whole = call.tensor_of(*view.of);
  ValueId middle = call.tensor_of(part);
  const int64_t axis = static_cast<int64_t>(call.axis(call.integer(1, 0), call.rank(whole)));
  const Integer length = call.size_of_axis(whole, static_cast<size_t>(axis));
  Integer begin, end;
  const auto placed = [&](const Integer& at) {
    if (at.dim.is_static() && at.dim.size() >= std::numeric_limits<int32_t>::max()) return length;
    const bool counts_back = at.dim.is_static() && at.dim.size() < 0;
    const Integer place = counts_back ? add(call, length, at) : at;
    // Beyond the end is the end.
    return place.dim.is_static() && length.dim.is_static() && place.dim.size() > length.dim.size() ? length : place;
  };
  if (view.node->kind == "aten::select") {
    begin = placed(call.size(2));
    end = add(call, begin, {Dim(1)});
    middle = call.unsqueeze(middle, {axis});
  } else if (view.node->kind == "aten::narrow") {
    begin = placed(call.size(2));
    end = add(call, begin, call.size(3));
  } else {
    if (call.integer(4, 1) != 1) call.refuse("a part of a tensor in steps is changed");
    begin = placed(call.has(2) ? call.size(2) : Integer{Dim(0)});
    end = placed(call.has(3) ? call.size(3) : length);
  }
  std::vector<ValueId> parts;
  const auto between = [&](const Integer& from, const Integer& to) {
    return call.op("Slice", {whole, call.shape_tensor({from}), call.shape_tensor({to})}, {{"axes", Ints{axis}}});
  };
  if (!(begin.dim == Dim(0))) parts.push_back(between({Dim(0)}, begin));
  parts.push_back(middle);
  if (!(end.dim == length.dim)) parts.push_back(between(end, length));
  change(view.of, Tensor{parts.size() == 1 ? middle : call.op("Concat", parts, {{"axis", axis}})});
}

}  // namespace onnxport::script
