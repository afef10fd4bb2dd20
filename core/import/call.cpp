// SPDX-License-Identifier: Apache-2.0
#include "core/import/call.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>

#include "core/checkpoint/convert.hpp"
#include "core/error.hpp"
#include "core/ir/lengths.hpp"
#include "core/ir/operators.hpp"
#include "core/ir/scalar.hpp"

namespace onnxport::script {

using ir::Dim;
using ir::DType;
using ir::ValueId;

namespace {

/// Element types by torch's numbers.
struct TypeRow {
  int64_t number;
  DType dtype;
};
constexpr TypeRow types[] = {{0, DType::u8},       {1, DType::i8},   {2, DType::i16}, {3, DType::i32},
                             {4, DType::i64},      {5, DType::f16},  {6, DType::f32}, {7, DType::f64},
                             {11, DType::boolean}, {15, DType::bf16}};

/// Where a node stands, for messages.
std::string place_of(const ScriptNode& node) {
  std::string place = node.module.empty() ? "the model's forward()" : "'" + node.module + "'";
  if (!node.source.empty()) place += " (" + node.source + ")";
  return place;
}

/// What a script computes of so many numbers, it may go by.
constexpr int64_t most_computed = 64;

/// The results of the last node as constants, where it takes few numbers that are known, and its row says what it makes
/// of them.
std::optional<std::vector<ValueId>> computed(ir::Graph& graph, const std::vector<ValueId>& results) {
  const ir::Node& node = graph.nodes.back();
  std::vector<const ir::Tensor*> inputs;
  for (ValueId input : node.inputs) {
    const auto& constant = graph[input].constant;
    if (input != ir::absent && (constant == nullptr || constant->element_count() > most_computed)) return std::nullopt;
    inputs.push_back(constant.get());
  }
  std::vector<ir::TensorType> types;
  for (ValueId result : results) {
    types.push_back(graph[result].type);
    const auto count = ir::element_count(types.back().shape);
    if (!count || *count > most_computed) return std::nullopt;
  }
  const ir::Evaluated known = ir::evaluate({node, inputs, types});
  if (!known) return std::nullopt;
  std::vector<ValueId> constants;
  for (const ir::Tensor& one : *known) constants.push_back(graph.add_constant(one));
  return constants;
}

constexpr const char* general_hint =
    "write that part of the model with other operators, or make a plugin for it: docs/writing-a-plugin.md";

}  // namespace

std::string describe(const Item& item) {
  if (item.is_none()) return "None";
  if (const auto* flag = item.as<bool>()) return *flag ? "True" : "False";
  if (const auto* number = item.as<double>()) return fmt::format("the number {}", *number);
  if (const auto* number = item.as<Integer>()) return "the number " + number->dim.to_string();
  if (const auto* text = item.as<std::string>()) return "the text '" + *text + "'";
  if (const auto* list = item.as<List>()) return fmt::format("a list of {}", list->items->size());
  if (item.as<Dictionary>() != nullptr) return "a dictionary";
  return "a tensor";
}

std::string Call::name() const {
  const size_t colons = node_.kind.find("::");
  return colons == std::string::npos ? node_.kind : node_.kind.substr(colons + 2);
}

void Call::refuse(const std::string& why, const std::string& hint) const {
  throw Error(Failure::usage, fmt::format("{} in {}: {}", node_.kind, place_of(node_), why),
              hint.empty() ? general_hint : hint);
}

// ------------------------------------------------------------------------------------------------- arguments

const Item& Call::at(size_t index) const {
  static const Item none;
  return index < arguments_.size() ? arguments_[index] : none;
}

int64_t Call::integer(size_t index) const {
  const Item& item = at(index);
  if (const auto* flag = item.as<bool>()) return *flag ? 1 : 0;
  const Integer number = size_of(item);
  if (number.dim.is_static()) return number.dim.size();
  refuse(fmt::format("its argument {} is {}, which is known when the model runs and not before", index,
                     number.dim.to_string()));
}

double Call::number(size_t index) const {
  if (const auto number = known_number(at(index))) return *number;
  refuse(fmt::format("its argument {} is {}; expected a number that is known", index, describe(at(index))));
}

bool Call::flag(size_t index) const {
  if (const auto* flag = at(index).as<bool>()) return *flag;
  if (const auto number = known_number(at(index))) return *number != 0;
  refuse(fmt::format("its argument {} is {}; expected True or False, known when the model is imported", index,
                     describe(at(index))));
}

std::string Call::text(size_t index) const {
  if (const auto* text = at(index).as<std::string>()) return *text;
  refuse(fmt::format("its argument {} is {}; expected a text", index, describe(at(index))));
}

const Items& Call::list(size_t index) const {
  if (const auto* list = at(index).as<List>()) return *list->items;
  refuse(fmt::format("its argument {} is {}; expected a list", index, describe(at(index))));
}

std::vector<int64_t> Call::integers(size_t index) const {
  std::vector<int64_t> values;
  for (const Integer& size : sizes(index)) {
    if (!size.dim.is_static())
      refuse(fmt::format("its argument {} holds {}, which is known when the model runs and not before", index,
                         size.dim.to_string()));
    values.push_back(size.dim.size());
  }
  return values;
}

std::vector<int64_t> Call::integers(size_t index, size_t count) const {
  std::vector<int64_t> values = integers(index);
  if (values.size() == 1) values.assign(count, values[0]);
  if (values.size() != count)
    refuse(fmt::format("its argument {} has {} numbers, not {}", index, values.size(), count));
  return values;
}

std::vector<Integer> Call::sizes(size_t index) const {
  if (at(index).as<List>() == nullptr) return {size(index)};
  std::vector<Integer> sizes;
  for (const Item& item : list(index)) sizes.push_back(size_of(item));
  return sizes;
}

std::vector<ValueId> Call::tensors(size_t index) const {
  std::vector<ValueId> tensors;
  for (const Item& item : list(index)) tensors.push_back(tensor_of(item));
  return tensors;
}

DType Call::element_type(size_t index) const {
  return element_type_of(*this, integer(index));
}

DType element_type_of(const Call& call, int64_t torch_number) {
  for (const TypeRow& row : types) {
    if (row.number == torch_number) return row.dtype;
  }
  call.refuse(fmt::format("torch's element type {} has no counterpart", torch_number));
}

int64_t torch_number_of(DType dtype) {
  const auto* row =
      std::find_if(std::begin(types), std::end(types), [&](const TypeRow& t) { return t.dtype == dtype; });
  return row == std::end(types) ? types[0].number : row->number;
}

// ------------------------------------------------------------------------------------- what is known of values

size_t Call::axis(int64_t axis, size_t rank) const {
  const auto length = static_cast<int64_t>(std::max<size_t>(rank, 1));
  const int64_t index = axis < 0 ? axis + length : axis;
  if (index < 0 || index >= length) refuse(fmt::format("axis {} of a tensor of rank {}", axis, rank));
  return static_cast<size_t>(index);
}

ValueId Call::tensor_of(const Item& item) const {
  if (const auto* tensor = item.as<Tensor>()) return tensor->value;
  if (const auto* number = item.as<Integer>()) return value_of(*this, *number);
  if (const auto* number = item.as<double>()) return scalar(*number, DType::f32);
  if (const auto* flag = item.as<bool>()) return scalar(*flag ? 1 : 0, DType::boolean);
  refuse(fmt::format("was given {}; expected a tensor", describe(item)));
}

Integer Call::size_of(const Item& item) const {
  if (const auto* number = item.as<Integer>()) return *number;
  if (const auto* flag = item.as<bool>()) return {Dim(*flag ? 1 : 0)};
  if (const auto* tensor = item.as<Tensor>()) {
    const ir::Value& value = graph_[tensor->value];
    const bool is_one = value.type.shape.empty() || ir::element_count(value.type.shape) == 1;
    if (is_one && value.contents && value.contents->size() == 1) {
      const Dim dim = (*value.contents)[0];
      if (dim.is_static()) return {dim};
      return {dim, value.type.shape.empty() ? tensor->value : squeeze(tensor->value, {0})};
    }
    if (const auto number = known_number(item)) return {Dim(static_cast<int64_t>(*number))};
    if (is_one) {
      ValueId one = cast(tensor->value, DType::i64);
      if (rank(one) > 0) one = op("Reshape", {one}, {{"shape", std::vector<int64_t>{}}});
      return {Dim::symbol(fmt::format("value {}", tensor->value)), one};
    }
  }
  if (const auto* number = item.as<double>(); number != nullptr && *number == static_cast<int64_t>(*number))
    return {Dim(static_cast<int64_t>(*number))};
  refuse(fmt::format("was given {}; expected a whole number", describe(item)));
}

std::optional<double> Call::known_number(const Item& item) const {
  if (const auto* number = item.as<double>()) return *number;
  if (const auto* flag = item.as<bool>()) return *flag ? 1 : 0;
  if (const auto* number = item.as<Integer>())
    return number->dim.is_static() ? std::optional(static_cast<double>(number->dim.size())) : std::nullopt;
  const auto* tensor = item.as<Tensor>();
  if (tensor == nullptr) return std::nullopt;
  const ir::Value& value = graph_[tensor->value];
  if (value.contents && value.contents->size() == 1 && (*value.contents)[0].is_static())
    return static_cast<double>((*value.contents)[0].size());
  if (value.constant == nullptr || value.constant->element_count() != 1) return std::nullopt;
  std::array<std::byte, sizeof(double)> wide{};
  switch (value.constant->dtype) {
    case DType::f64:
      return value.constant->as<double>()[0];
    case DType::i64:
      return static_cast<double>(value.constant->as<int64_t>()[0]);
    case DType::i32:
      return value.constant->as<int32_t>()[0];
    case DType::boolean:
    case DType::u8:
      return value.constant->as<uint8_t>()[0];
    default:
      if (!ir::is_floating(value.constant->dtype)) return std::nullopt;
      convert_elements(value.constant->dtype, value.constant->data.data(), DType::f32, wide.data(), 1);
      float number = 0;
      std::memcpy(&number, wide.data(), sizeof number);
      return number;
  }
}

// ------------------------------------------------------------------------------------------------- building

std::vector<ValueId> Call::ops(const std::string& domain, const std::string& name, std::vector<ValueId> inputs,
                               ir::Attributes attributes, size_t outputs) const {
  ir::Node node;
  node.domain = domain;
  node.op = name;
  node.scope = node_.module;
  node.inputs = std::move(inputs);
  node.attributes = std::move(attributes);
  try {
    std::vector<ValueId> results = graph_.add_node(std::move(node), outputs);
    return computed(graph_, results).value_or(results);
  } catch (const Error& error) {
    refuse(
        error.what(),
        "a size that was written down while the module was made fits no other: make it so that it takes the size from "
        "its inputs (x.shape), or give the axis that size in --input; an axis that has to be a multiple is told as "
        "one, such as 2*rows");
  }
}

ValueId Call::op(const std::string& name, std::vector<ValueId> inputs, ir::Attributes attributes) const {
  return ops("", name, std::move(inputs), std::move(attributes), 1)[0];
}
ValueId Call::composite(const std::string& name, std::vector<ValueId> inputs, ir::Attributes attributes) const {
  return ops(ir::composite_domain, name, std::move(inputs), std::move(attributes), 1)[0];
}

ValueId Call::scalar(double value, DType dtype) const {
  return graph_.add_constant(ir::scalar(value, dtype));
}
ValueId Call::integers_of(std::vector<int64_t> values) const {
  return graph_.add_constant(ir::Tensor::i64(std::move(values)));
}

ValueId Call::cast(ValueId value, DType dtype) const {
  if (this->dtype(value) == dtype) return value;
  return op("Cast", {value}, {{"to", static_cast<int64_t>(dtype)}});
}
ValueId Call::as_float(ValueId value) const {
  return ir::is_floating(dtype(value)) ? value : cast(value, DType::f32);
}
ValueId Call::transpose(ValueId value, std::vector<int64_t> order) const {
  if (std::is_sorted(order.begin(), order.end())) return value;
  return op("Transpose", {value}, {{"perm", std::move(order)}});
}
ValueId Call::unsqueeze(ValueId value, std::vector<int64_t> axes) const {
  return axes.empty() ? value : op("Unsqueeze", {value}, {{"axes", std::move(axes)}});
}
ValueId Call::squeeze(ValueId value, std::vector<int64_t> axes) const {
  return axes.empty() ? value : op("Squeeze", {value}, {{"axes", std::move(axes)}});
}
ValueId Call::slice(ValueId value, int64_t axis, int64_t begin, int64_t end) const {
  using Ints = std::vector<int64_t>;
  return op("Slice", {value}, {{"starts", Ints{begin}}, {"ends", Ints{end}}, {"axes", Ints{axis}}});
}

ValueId value_of(const Call& call, const Integer& number) {
  if (number.dim.is_static()) return call.graph().add_constant(ir::Tensor::i64_scalar(number.dim.size()));
  return number.value;
}

Integer Call::size_of_axis(ValueId value, size_t axis) const {
  const Dim dim = shape(value).at(axis);
  if (dim.is_static()) return {dim};
  return {dim, composite("Size", {value}, {{"axis", static_cast<int64_t>(axis)}})};
}

std::vector<Integer> Call::sizes_of(ValueId value) const {
  std::vector<Integer> sizes;
  for (size_t axis = 0; axis < rank(value); ++axis) sizes.push_back(size_of_axis(value, axis));
  return sizes;
}

ValueId Call::shape_tensor(const std::vector<Integer>& sizes) const {
  std::vector<int64_t> known;
  std::vector<ValueId> parts;
  const auto flush = [&] {
    if (!known.empty()) parts.push_back(integers_of(std::move(known)));
    known.clear();
  };
  for (const Integer& size : sizes) {
    if (size.dim.is_static()) {
      known.push_back(size.dim.size());
      continue;
    }
    flush();
    parts.push_back(unsqueeze(size.value, {0}));
  }
  flush();
  if (parts.empty()) return integers_of({});
  return parts.size() == 1 ? parts[0] : op("Concat", parts, {{"axis", int64_t{0}}});
}

void Call::require_all_elements(ValueId value, const std::vector<Integer>& wanted) const {
  // Lengths that divide by what models divide by, and of which no other product is the same.
  std::map<std::string, int64_t> lengths;
  int64_t next = 11;
  for (const ir::NamedValue& input : graph_.inputs) {
    for (const Dim& dim : shape(input.value)) {
      for (const auto& [symbol, factor] : dim.terms()) {
        if (lengths.emplace(symbol, 1680 * next).second) next += 2;
      }
    }
  }
  const auto elements = [&](const auto& dims, const auto& dim_of) {
    double count = 1;
    for (const auto& dim : dims) {
      const auto length = ir::length_of(dim_of(dim), lengths);
      if (!length) return std::optional<double>();
      count *= static_cast<double>(*length);
    }
    return std::optional(count);
  };
  ir::Shape target;
  for (const Integer& size : wanted) target.push_back(size.dim);
  const auto own = [](const Dim& dim) { return dim; };
  const auto is = elements(shape(value), own), must_be = elements(target, own);
  if (!is || !must_be || std::fabs(*is - *must_be) < 1e-9 * *is) return;
  std::set<std::string> axes;
  for (const Dim& dim : shape(value)) {
    for (const auto& [symbol, factor] : dim.terms()) axes.insert("'" + symbol + "'");
  }
  refuse(
      fmt::format("{} takes the shape {}, which it has for one size of {} alone: that size was written down while the "
                  "module was made",
                  to_string(graph_[value].type), to_string(target),
                  axes.empty() ? "its axes" : fmt::format("{}", fmt::join(axes, ", "))),
      "make the module so that it takes the size from its inputs (x.shape), or give the axis that size in --input");
}

ValueId Call::reshape(ValueId value, const std::vector<Integer>& wanted) const {
  const ir::Shape from = shape(value);
  std::vector<Integer> target = wanted;
  const auto is_rest = [](const Integer& size) { return size.dim == Dim(-1); };
  const bool has_rest = std::any_of(target.begin(), target.end(), is_rest);
  if (!has_rest) require_all_elements(value, target);
  std::vector<int64_t> sizes;
  size_t open = has_rest ? 1 : 0;
  for (size_t i = 0; i < target.size(); ++i) {
    const Dim& dim = target[i].dim;
    if (dim.is_static()) {
      if (dim == Dim(0)) refuse("a tensor without elements cannot be told from one whose axis is copied");
      sizes.push_back(dim.size());
    } else if (i < from.size() && from[i] == dim) {
      sizes.push_back(0);
    } else {
      sizes.push_back(-1);
      ++open;
    }
  }
  if (from.size() == sizes.size() &&
      std::equal(from.begin(), from.end(), target.begin(), [](const Dim& a, const Integer& b) { return a == b.dim; }))
    return value;
  if (open <= 1) {
    const ValueId made = op("Reshape", {value}, {{"shape", sizes}});
    // What takes the rest has its length in other words at times; those of the script are what other sizes are told in.
    const ir::Shape& is = shape(made);
    bool is_same = true;
    for (size_t i = 0; i < target.size(); ++i) is_same = is_same && (is_rest(target[i]) || is[i] == target[i].dim);
    if (is_same) return made;
  }
  return op("Reshape", {value, shape_tensor(target)});
}

ValueId Call::expand(ValueId value, const std::vector<Integer>& wanted) const {
  const ir::Shape from = shape(value);
  if (wanted.size() < from.size()) refuse("expands to fewer axes than there are");
  const size_t added = wanted.size() - from.size();
  std::vector<Integer> target;
  std::vector<int64_t> sizes;
  bool is_known = true, is_same = added == 0;
  for (size_t i = 0; i < wanted.size(); ++i) {
    const bool keeps = wanted[i].dim == Dim(-1) || (i >= added && wanted[i].dim == from[i - added]);
    if (keeps && i < added) refuse("an axis that is new has no size to keep");
    if (!keeps && i >= added && !(from[i - added] == Dim(1))) {
      refuse(
          fmt::format("{} is expanded to {} along axis {}: one of the two was written down while the module was made",
                      to_string(graph_[value].type), wanted[i].dim.to_string(), i),
          "make the module so that it takes the size from its inputs (x.shape), or give the axis that size in "
          "--input");
    }
    target.push_back(keeps ? Integer{Dim(1)} : wanted[i]);
    is_same = is_same && keeps;
    is_known = is_known && target.back().dim.is_static();
    sizes.push_back(target.back().dim.is_static() ? target.back().dim.size() : 1);
  }
  if (is_same) return value;
  if (is_known) return op("Expand", {value}, {{"shape", sizes}});
  return op("Expand", {value, shape_tensor(target)});
}

// ------------------------------------------------------------------------------------------------- types

namespace {

/// bool, whole, real: what is of a higher kind decides.
int kind_of(DType dtype) {
  return dtype == DType::boolean ? 0 : ir::is_floating(dtype) ? 2 : 1;
}

/// The type that holds both, as torch has it.
DType joined(DType a, DType b) {
  if (a == b) return a;
  if (kind_of(a) != kind_of(b)) return kind_of(a) > kind_of(b) ? a : b;
  if (kind_of(a) == 2) {
    const bool both_narrow = ir::size_of(a) == 2 && ir::size_of(b) == 2;
    return both_narrow ? DType::f32 : ir::size_of(a) > ir::size_of(b) ? a : b;
  }
  if (ir::size_of(a) == ir::size_of(b)) return DType::i16;  // u8 and i8
  return ir::size_of(a) > ir::size_of(b) ? a : b;
}

}  // namespace

DType common_type(const Call& call, const Items& items) {
  // Of tensors with axes, of those without, of numbers.
  std::optional<DType> ranks[3];
  const auto join = [&](size_t rank, DType dtype) { ranks[rank] = ranks[rank] ? joined(*ranks[rank], dtype) : dtype; };
  for (const Item& item : items) {
    if (const auto* tensor = item.as<Tensor>())
      join(call.rank(tensor->value) > 0 ? 0 : 1, call.dtype(tensor->value));
    else if (item.as<double>() != nullptr)
      join(2, DType::f32);
    else if (item.as<bool>() != nullptr)
      join(2, DType::boolean);
    else if (item.as<Integer>() != nullptr)
      join(2, DType::i64);
  }
  std::optional<DType> result;
  for (const auto& next : ranks) {
    if (!next) continue;
    if (!result || kind_of(*next) > kind_of(*result)) result = *next;
  }
  return result.value_or(DType::f32);
}

std::vector<ValueId> promoted(const Call& call, const Items& items) {
  const DType dtype = common_type(call, items);
  std::vector<ValueId> values;
  for (const Item& item : items) {
    const auto number = item.as<Tensor>() == nullptr ? call.known_number(item) : std::nullopt;
    values.push_back(number ? call.scalar(*number, dtype) : call.cast(call.tensor_of(item), dtype));
  }
  return values;
}

}  // namespace onnxport::script
