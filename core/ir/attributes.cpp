// SPDX-License-Identifier: Apache-2.0
// The attributes of a node against those that its operator has.
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/edit_distance.hpp"
#include "core/ir/inference.hpp"

namespace onnxport::ir {
namespace {

constexpr std::string_view kind_names[] = {"int", "float", "text", "ints", "floats"};
static_assert(std::size(kind_names) == std::variant_size_v<Attribute>);

AttributeKind kind_of(const Attribute& attribute) {
  return static_cast<AttributeKind>(attribute.index());
}

/// The attribute that a name was probably meant to be, or none: one of which it is a part ("eps"), or one that is
/// spelt nearly so.
const AttributeSpec* nearest(std::string_view name, const std::vector<AttributeSpec>& known) {
  const AttributeSpec* best = nullptr;
  size_t least = std::max<size_t>(2, name.size() / 3) + 1;
  for (const AttributeSpec& candidate : known) {
    size_t distance = edit_distance(name, candidate.name);
    const bool part =
        candidate.name.find(name) != std::string_view::npos || name.find(candidate.name) != std::string_view::npos;
    if (part && std::min(name.size(), candidate.name.size()) > 1) distance = std::min<size_t>(distance, 1);
    if (distance >= least) continue;
    least = distance;
    best = &candidate;
  }
  return best;
}

[[noreturn]] void refuse_unknown(const std::string& name, const std::vector<AttributeSpec>& known) {
  if (known.empty()) refuse(fmt::format("has no attribute '{}'; it has none", name));
  std::vector<std::string_view> names;
  for (const AttributeSpec& spec : known) names.push_back(spec.name);
  const AttributeSpec* meant = nearest(name, known);
  refuse(fmt::format("has no attribute '{}'; {}it has: {}", name,
                     meant == nullptr ? "" : fmt::format("did you mean '{}'? ", meant->name), fmt::join(names, ", ")));
}

/// The attribute as one of the kind that is meant, where nothing is lost by it.
void convert(Attribute& attribute, AttributeKind meant) {
  if (const auto* number = std::get_if<int64_t>(&attribute); number != nullptr && meant == AttributeKind::real)
    attribute = static_cast<double>(*number);
  if (const auto* list = std::get_if<std::vector<int64_t>>(&attribute);
      list != nullptr && meant == AttributeKind::reals)
    attribute = std::vector<double>(list->begin(), list->end());
}

}  // namespace

std::string_view name_of(AttributeKind kind) {
  return kind_names[static_cast<size_t>(kind)];
}

void check_attributes(const Operator& op, Attributes& attributes) {
  for (auto& [name, value] : attributes) {
    const auto spec = std::find_if(op.attributes.begin(), op.attributes.end(),
                                   [&name = name](const AttributeSpec& known) { return known.name == name; });
    if (spec == op.attributes.end()) refuse_unknown(name, op.attributes);
    convert(value, spec->kind);
    if (kind_of(value) != spec->kind) {
      refuse(fmt::format("its attribute '{}' is given as {}; expected {}", name, name_of(kind_of(value)),
                         name_of(spec->kind)));
    }
    // Below every number is what a mask adds; above every number is nothing that a model means.
    if (const auto* number = std::get_if<double>(&value);
        number != nullptr && (std::isnan(*number) || *number == std::numeric_limits<double>::infinity()))
      refuse(
          fmt::format("its attribute '{}' is {}; expected a number", name, std::isnan(*number) ? "NaN" : "infinite"));
    // It is added to a variance, of which the root is taken: beside a large one nothing of the values is left.
    constexpr double most = 1e6;
    if (name == "epsilon" && !(std::get<double>(value) >= 0 && std::get<double>(value) <= most))
      refuse(
          fmt::format("its attribute 'epsilon' is {}; expected a number from 0 to {}", std::get<double>(value), most));
  }
}

}  // namespace onnxport::ir
