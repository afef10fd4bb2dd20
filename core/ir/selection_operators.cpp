// SPDX-License-Identifier: Apache-2.0
// Operators that choose among entries, and those that put entries back.
#include <fmt/ranges.h>

#include <algorithm>

#include "core/ir/experts.hpp"
#include "core/ir/inference.hpp"

namespace onnxport::ir {
namespace {

/// How many are wanted: an attribute, or i64[1] where only the run knows.
Dim chosen(const Inference& x) {
  if (x.has(1) && x.node.has("k")) refuse("has k as an attribute and as an input");
  if (!x.has(1)) return Dim(x.node.integer("k", 0));
  require_rank(x, 1, 1);
  if (dtype_of(x, 1) != DType::i64 || !(x.shape(1)[0] == Dim(1))) refuse("its k must be i64[1]");
  return x.in(1).contents ? (*x.in(1).contents)[0] : Dim::symbol("chosen of " + x.node.scope);
}

void infer_top_k(Inference& x) {
  const Dim k = chosen(x);
  Shape shape = x.shape(0);
  Dim& along = shape[axis_index(x.node.integer("axis", -1), shape.size())];
  if (k.is_static() && (k.size() <= 0 || (along.is_static() && along.size() < k.size())))
    refuse(fmt::format("the {} largest of {}", k.size(), along.to_string()));
  along = k;
  set(x, dtype_of(x), shape);
  if (x.results.size() > 1) set(x, DType::i64, shape, 1);
}

void infer_non_zero(Inference& x) {
  set(x, DType::i64, {Dim(static_cast<int64_t>(x.shape(0).size())), Dim::symbol("entries of " + x.node.scope)});
}

/// What both kinds of scattering ask for; `wanted` is the shape of the updates.
void infer_scatter(Inference& x, const Shape& wanted) {
  if (dtype_of(x, 1) != DType::i64) refuse("its indices must be i64");
  if (dtype_of(x, 0) != dtype_of(x, 2)) refuse("its updates are of another type than its data");
  const Shape& updates = x.shape(2);
  bool fits = updates.size() == wanted.size();
  for (size_t i = 0; fits && i < wanted.size(); ++i)
    fits = !updates[i].is_static() || !wanted[i].is_static() || updates[i] == wanted[i];
  if (!fits) refuse(fmt::format("its updates are {}; expected {}", to_string(updates), to_string(wanted)));
  static constexpr std::string_view known[] = {"none", "add", "mul", "min", "max"};
  const std::string reduction = x.node.text("reduction", "none");
  if (std::find(std::begin(known), std::end(known), reduction) == std::end(known))
    refuse(fmt::format("there is no reduction '{}'; known: {}", reduction, fmt::join(known, ", ")));
  set(x, dtype_of(x), x.shape(0));
}

void infer_scatter_elements(Inference& x) {
  axis_index(x.node.integer("axis", 0), x.shape(0).size());
  require_rank(x, 1, x.shape(0).size());
  infer_scatter(x, x.shape(1));
}

void infer_scatter_nd(Inference& x) {
  const Shape &data = x.shape(0), &indices = x.shape(1);
  const auto depth = indices.empty() ? std::nullopt : indices.back().maybe_size();
  if (!depth || static_cast<size_t>(*depth) > data.size()) refuse("the last axis of its indices does not fit its data");
  Shape wanted(indices.begin(), indices.end() - 1);
  wanted.insert(wanted.end(), data.begin() + *depth, data.end());
  infer_scatter(x, wanted);
}

void infer_mixture_of_experts(Inference& x) {
  using namespace experts;
  const auto shape = [&](size_t input) { return x.shape(input); };
  if (!x.has(up) || !x.has(down)) refuse("needs the weights up and down");
  require_rank(x, up, 3);
  const Dim number = shape(up)[0], inner = shape(up)[1], hidden = shape(up)[2];
  const auto require = [&](size_t input, const Shape& wanted) {
    if (x.has(input) && !(shape(input) == wanted)) refuse(fmt::format("input {} must be {}", input, to_string(wanted)));
  };
  Shape scores_shape = shape(experts::x);
  if (scores_shape.empty()) refuse("its input is a scalar");
  require_same(scores_shape.back(), hidden, "the input width");
  scores_shape.back() = number;
  require(scores, scores_shape);
  require(choice, scores_shape);
  if (x.has(choice) && dtype_of(x, choice) != dtype_of(x, scores)) refuse("scores and choice are of two types");
  require(gate, {number, inner, hidden});
  require(down, {number, hidden, inner});
  for (size_t bias : {gate_bias, up_bias}) require(bias, {number, inner});
  require(down_bias, {number, hidden});
  const int64_t top_k = x.node.integer("top_k", 0);
  if (!number.is_static() || top_k <= 0 || top_k > number.size())
    refuse(fmt::format("chooses {} of {} experts", top_k, number.to_string()));
  const std::string activation = x.node.text("activation", "silu");
  if (std::find(activations.begin(), activations.end(), activation) == activations.end())
    refuse(fmt::format("has no activation '{}'; known: {}", activation, fmt::join(activations, ", ")));
  if (!x.has(gate) && (x.has(gate_bias) || x.node.has("alpha") || x.node.has("limit")))
    refuse("gate_bias, alpha and limit are for experts with a gate");
  set(x, dtype_of(x), shape(experts::x));
}

/// Any number of equal shapes -> [n, ...].
void infer_stack(Inference& x) {
  for (size_t i = 0; i < x.node.inputs.size(); ++i) {
    if (!x.has(i)) refuse(fmt::format("input {} is absent", i));
    if (!(x.in(i).type == x.in(0).type))
      refuse(fmt::format("input {} is {}, and input 0 is {}", i, to_string(x.in(i).type), to_string(x.in(0).type)));
  }
  Shape shape = x.shape(0);
  shape.insert(shape.begin(), Dim(static_cast<int64_t>(x.node.inputs.size())));
  set(x, dtype_of(x), std::move(shape));
}

}  // namespace

const std::vector<Operator>& selection_operators() {
  using enum AttributeKind;
  static const std::vector<Operator> rows{
      {"", "TopK", 1, 2, 2, infer_top_k, {{"k", integer}, {"axis", integer}, {"largest", integer}}},
      {"", "NonZero", 1, 1, 1, infer_non_zero},
      {"", "ScatterElements", 3, 3, 1, infer_scatter_elements, {{"axis", integer}, {"reduction", text}}},
      {"", "ScatterND", 3, 3, 1, infer_scatter_nd, {{"reduction", text}}},
      {composite_domain,
       "MixtureOfExperts",
       2,
       experts::count,
       1,
       infer_mixture_of_experts,
       {{"top_k", integer},
        {"normalize", integer},
        {"normalize_epsilon", real},
        {"scale", real},
        {"activation", text},
        {"limit", real},
        {"alpha", real}}},
      {composite_domain, "Stack", 1, 1 << 16, 1, infer_stack},
  };
  return rows;
}

}  // namespace onnxport::ir
