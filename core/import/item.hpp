// SPDX-License-Identifier: Apache-2.0
// What stands for a value of a script while it is translated: what is known of it, or a value of the graph.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "core/ir/graph.hpp"

namespace onnxport::script {

struct Item;
using Items = std::vector<Item>;

struct None {};

/// A whole number: a size, or what is computed of sizes.
struct Integer {
  ir::Dim dim;
  ir::ValueId value = ir::absent;  // where the number is symbolic: the i64 scalar that holds it
};

struct Tensor {
  ir::ValueId value = ir::absent;
};

/// A list or a tuple. Lists are shared, so that what is appended by one name is seen by another.
struct List {
  std::shared_ptr<Items> items;
};

/// By their keys, in order.
struct Dictionary {
  std::shared_ptr<std::vector<std::pair<std::string, Item>>> entries;
};

struct Item {
  std::variant<None, bool, double, std::string, Integer, Tensor, List, Dictionary> value;

  Item() = default;
  // Elsewhere, since gcc 12 warns of members that a variant does not hold where it sees how one is moved.
  Item(const Item& other);
  Item(Item&& other) noexcept;
  Item& operator=(const Item& other);
  Item& operator=(Item&& other) noexcept;
  ~Item();
  Item(bool flag) : value(flag) {}                           // NOLINT: a flag is an item
  Item(double number) : value(number) {}                     // NOLINT
  Item(std::string text) : value(std::move(text)) {}         // NOLINT
  Item(Integer number) : value(std::move(number)) {}         // NOLINT
  Item(int64_t number) : value(Integer{ir::Dim(number)}) {}  // NOLINT
  Item(Tensor tensor) : value(tensor) {}                     // NOLINT
  Item(List list) : value(std::move(list)) {}                // NOLINT
  Item(Dictionary entries) : value(std::move(entries)) {}    // NOLINT
  static Item list(Items items) { return List{std::make_shared<Items>(std::move(items))}; }

  template <class Kind>
  const Kind* as() const {
    return std::get_if<Kind>(&value);
  }
  bool is_none() const { return as<None>() != nullptr; }
  /// Whether it is a number or a flag, and no tensor.
  bool is_number() const { return as<bool>() != nullptr || as<double>() != nullptr || as<Integer>() != nullptr; }
};

/// "a tensor", "the number 3", "a list of 2": for messages.
std::string describe(const Item& item);

}  // namespace onnxport::script
