// SPDX-License-Identifier: Apache-2.0
#include "core/ir/operators.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "core/ir/inference.hpp"

namespace onnxport::ir {
namespace {

std::vector<Operator> make_table() {
  std::vector<Operator> rows;
  for (const std::vector<Operator>* area : {&elementwise_operators(), &layout_operators(), &reduction_operators(),
                                            &linear_operators(), &attention_operators(), &control_operators(),
                                            &selection_operators(), &window_operators(), &resampling_operators(),
                                            &padding_operators(), &channel_norm_operators(), &sequence_operators()}) {
    rows.insert(rows.end(), area->begin(), area->end());
  }
  std::sort(rows.begin(), rows.end(), [](const Operator& a, const Operator& b) {
    return std::tie(a.domain, a.name) < std::tie(b.domain, b.name);
  });
  return rows;
}

}  // namespace

const std::vector<Operator>& operators() {
  static const std::vector<Operator> table = make_table();
  return table;
}

const Operator* find_operator(std::string_view domain, std::string_view name) {
  const auto& table = operators();
  const auto found =
      std::lower_bound(table.begin(), table.end(), std::tie(domain, name),
                       [](const Operator& row, const auto& key) { return std::tie(row.domain, row.name) < key; });
  return found != table.end() && found->domain == domain && found->name == name ? &*found : nullptr;
}

Shape broadcast(const Shape& a, const Shape& b) {
  Shape shape(std::max(a.size(), b.size()), Dim(1));
  for (size_t i = 0; i < shape.size(); ++i) {
    const Dim one(1);
    const Dim& left = i < a.size() ? a[a.size() - 1 - i] : one;
    const Dim& right = i < b.size() ? b[b.size() - 1 - i] : one;
    Dim& out = shape[shape.size() - 1 - i];
    if (left == right || right == one)
      out = left;
    else if (left == one)
      out = right;
    else
      refuse(fmt::format("{} and {} do not broadcast: {} is not {}", to_string(a), to_string(b), left.to_string(),
                         right.to_string()));
  }
  return shape;
}

}  // namespace onnxport::ir
