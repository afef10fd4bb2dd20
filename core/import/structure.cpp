// SPDX-License-Identifier: Apache-2.0
// Lists, tuples and dictionaries, and what a script asks of types and shapes.
#include <fmt/format.h>

#include "core/import/numbers.hpp"
#include "core/import/rows.hpp"

namespace onnxport::script {
namespace {

Items arguments_of(Call& call) {
  Items items;
  for (size_t i = 0; i < call.count(); ++i) items.push_back(call.at(i));
  return items;
}

Items construct_list(Call& call) {
  return {Item::list(arguments_of(call))};
}

Items construct_dictionary(Call& call) {
  Dictionary made{std::make_shared<std::vector<std::pair<std::string, Item>>>()};
  for (size_t i = 0; i + 1 < call.count(); i += 2) made.entries->emplace_back(call.text(i), call.at(i + 1));
  return {made};
}

Items unpack(Call& call) {
  const Items& items = call.list(0);
  if (items.size() != call.node().outputs.size())
    call.refuse(fmt::format("{} values are taken out of {}", call.node().outputs.size(), items.size()));
  return items;
}

Item* entry_of(const Dictionary& dictionary, const std::string& key) {
  for (auto& [name, item] : *dictionary.entries) {
    if (name == key) return &item;
  }
  return nullptr;
}

Items get_item(Call& call) {
  if (const auto* dictionary = call.at(0).as<Dictionary>()) {
    if (const Item* found = entry_of(*dictionary, call.text(1))) return {*found};
    call.refuse("the dictionary has no '" + call.text(1) + "'");
  }
  const Items& items = call.list(0);
  return {items[call.axis(call.integer(1), items.size())]};
}

Items set_item(Call& call) {
  if (const auto* dictionary = call.at(0).as<Dictionary>()) {
    if (Item* found = entry_of(*dictionary, call.text(1)))
      *found = call.at(2);
    else
      dictionary->entries->emplace_back(call.text(1), call.at(2));
    return {};
  }
  const auto* list = call.at(0).as<List>();
  if (list == nullptr) call.refuse("changes what is no list");
  (*list->items)[call.axis(call.integer(1), list->items->size())] = call.at(2);
  return {call.at(0)};
}

Items append(Call& call) {
  const auto* list = call.at(0).as<List>();
  if (list == nullptr) call.refuse("appends to what is no list");
  list->items->push_back(call.at(1));
  return {call.at(0)};
}

Items length(Call& call) {
  if (const auto* list = call.at(0).as<List>()) return {static_cast<int64_t>(list->items->size())};
  if (const auto* dictionary = call.at(0).as<Dictionary>()) return {static_cast<int64_t>(dictionary->entries->size())};
  if (const auto* text = call.at(0).as<std::string>()) return {static_cast<int64_t>(text->size())};
  return {call.size_of_axis(call.tensor(0), 0)};
}

/// Whether two are the same, where that can be told: texts, lists of numbers, numbers.
bool is_equal(Call& call, const Item& a, const Item& b) {
  if (a.is_none() || b.is_none()) return a.is_none() && b.is_none();
  if (a.as<std::string>() != nullptr || b.as<std::string>() != nullptr)
    return a.as<std::string>() != nullptr && b.as<std::string>() != nullptr &&
           *a.as<std::string>() == *b.as<std::string>();
  if (const auto* x = a.as<List>(), *y = b.as<List>(); x != nullptr && y != nullptr) {
    if (x->items->size() != y->items->size()) return false;
    for (size_t i = 0; i < x->items->size(); ++i) {
      if (!is_equal(call, (*x->items)[i], (*y->items)[i])) return false;
    }
    return true;
  }
  const auto order = compare(call, a, b);
  if (!order)
    call.refuse(fmt::format("whether {} is {} is known when the model runs and not before", describe(a), describe(b)));
  return *order == 0;
}

Items contains(Call& call) {
  if (const auto* dictionary = call.at(0).as<Dictionary>()) return {entry_of(*dictionary, call.text(1)) != nullptr};
  for (const Item& item : call.list(0)) {
    if (is_equal(call, item, call.at(1))) return {true};
  }
  return {false};
}

Items is_same(Call& call) {
  return {call.at(0).is_none() == call.at(1).is_none()};
}
Items is_not_same(Call& call) {
  return {call.at(0).is_none() != call.at(1).is_none()};
}

Items keys(Call& call) {
  const auto* dictionary = call.at(0).as<Dictionary>();
  if (dictionary == nullptr) call.refuse("takes a dictionary");
  Items items;
  for (const auto& [name, item] : *dictionary->entries)
    items.push_back(call.name() == "keys"     ? Item(name)
                    : call.name() == "values" ? item
                                              : Item::list({Item(name), item}));
  return {Item::list(std::move(items))};
}

Items nothing(Call& call) {
  return Items(call.node().outputs.size());
}

Items raise(Call& call) {
  const auto* text = call.at(0).as<std::string>();
  call.refuse("the model refuses these inputs: " + (text == nullptr ? std::string("it raises an exception") : *text),
              "give --input the types and axes that the model takes");
}

// ------------------------------------------------------------------------------------------------- shapes

Items size(Call& call) {
  const ir::ValueId x = call.tensor(0);
  if (call.has(1)) return {call.size_of_axis(x, call.axis(call.integer(1), call.rank(x)))};
  Items sizes;
  for (const Integer& one : call.sizes_of(x)) sizes.emplace_back(one);
  return {Item::list(std::move(sizes))};
}

Items rank(Call& call) {
  return {static_cast<int64_t>(call.rank(call.tensor(0)))};
}

Items element_count(Call& call) {
  Integer count{ir::Dim(1)};
  for (const Integer& one : call.sizes_of(call.tensor(0))) count = multiply(call, count, one);
  return {count};
}

Items element_type(Call& call) {
  return {torch_number_of(call.dtype(call.tensor(0)))};
}

Items is_floating_point(Call& call) {
  return {ir::is_floating(call.dtype(call.tensor(0)))};
}

Items device(Call&) {
  return {std::string("cpu")};
}
Items no(Call&) {
  return {false};
}
Items layout(Call&) {
  return {int64_t{0}};
}

}  // namespace

const std::vector<Row>& structure_rows() {
  static const std::vector<Row> rows{
      {"prim::ListConstruct", construct_list},
      {"prim::TupleConstruct", construct_list},
      {"prim::DictConstruct", construct_dictionary},
      {"prim::ListUnpack", unpack},
      {"prim::TupleUnpack", unpack},
      {"prim::TupleIndex", get_item},
      {"aten::__getitem__", get_item},
      {"aten::_set_item", set_item},
      {"aten::append", append},
      {"aten::len", length},
      {"aten::__contains__", contains},
      {"aten::__is__", is_same},
      {"aten::__isnot__", is_not_same},
      {"aten::keys", keys},
      {"aten::values", keys},
      {"aten::items", keys},
      {"aten::list", as_it_is},
      {"prim::unchecked_cast", as_it_is},
      {"prim::unchecked_unwrap_optional", as_it_is},
      {"prim::tolist", as_it_is},
      {"aten::_unwrap_optional", as_it_is},
      {"prim::Uninitialized", nothing},
      {"prim::Print", nothing},
      {"aten::warn", nothing},
      {"aten::format", nothing},
      {"prim::RaiseException", raise},
      {"aten::size", size},
      {"aten::sym_size", size},
      {"aten::dim", rank},
      {"aten::ndimension", rank},
      {"aten::numel", element_count},
      {"prim::dtype", element_type},
      {"aten::is_floating_point", is_floating_point},
      {"prim::device", device},
      {"prim::layout", layout},
      {"prim::is_cuda", no},
      {"prim::is_quantized", no},
      {"prim::is_sparse", no},
      {"prim::is_nested", no},
      {"prim::requires_grad", no},
      {"aten::is_autocast_enabled", no},
      {"aten::is_grad_enabled", no},
      {"aten::is_scripting", no},
  };
  return rows;
}

}  // namespace onnxport::script
