// SPDX-License-Identifier: Apache-2.0
// What the translation of an operator builds with.
#include "core/import/call.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

#include "core/error.hpp"
#include "core/ir/lengths.hpp"
#include "core/ir/operators.hpp"
#include "core/ir/scalar.hpp"

namespace onnxport::script {

namespace {

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

}  // namespace

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
        "--input says of which type an argument is, and how long its axes are, as the module takes them. A size that "
        "was written down while the module was made fits no other: make it so that it takes the size from its inputs "
        "(x.shape), or give the axis that size; an axis that has to be a multiple is told as one, such as 2*rows");
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
ValueId Call::turned(ValueId value) const {
  Ints order(rank(value));
  std::iota(order.begin(), order.end(), 0);
  std::swap(order.at(order.size() - 1), order.at(order.size() - 2));
  return transpose(value, std::move(order));
}
ValueId Call::unsqueeze(ValueId value, std::vector<int64_t> axes) const {
  return axes.empty() ? value : op("Unsqueeze", {value}, {{"axes", std::move(axes)}});
}
ValueId Call::squeeze(ValueId value, std::vector<int64_t> axes) const {
  return axes.empty() ? value : op("Squeeze", {value}, {{"axes", std::move(axes)}});
}
ValueId Call::slice(ValueId value, int64_t axis, int64_t begin, int64_t end) const {
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

}  // namespace onnxport::script
