// SPDX-License-Identifier: Apache-2.0
#include "core/import/item.hpp"

#include <fmt/format.h>

namespace onnxport::script {

Item::Item(const Item& other) = default;
Item::Item(Item&& other) noexcept = default;
Item& Item::operator=(const Item& other) = default;
Item& Item::operator=(Item&& other) noexcept = default;
Item::~Item() = default;

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

}  // namespace onnxport::script
