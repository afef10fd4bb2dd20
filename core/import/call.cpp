// SPDX-License-Identifier: Apache-2.0
#include "core/import/call.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "core/checkpoint/convert.hpp"
#include "core/error.hpp"
#include "core/import/rows.hpp"
#include "core/ir/lengths.hpp"
#include "core/ir/scalar.hpp"

namespace onnxport::script {

namespace {

constexpr const char* general_hint =
    "write that part of the model with other operators, or make a plugin for it: docs/writing-a-plugin.md";

}  // namespace

std::string place_of(const ScriptNode& node) {
  std::string place = node.module.empty() ? "the model's forward()" : "'" + node.module + "'";
  if (!node.source.empty()) place += " (" + node.source + ")";
  return place;
}

Items as_it_is(Call& call) {
  return {call.at(0)};
}

std::string Call::name() const {
  const size_t colons = node_.kind.find("::");
  return colons == std::string::npos ? node_.kind : node_.kind.substr(colons + 2);
}

std::string Call::base_name() const {
  std::string base = name();
  if (is_in_place(node_.kind)) base.pop_back();
  return base;
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

}  // namespace onnxport::script
