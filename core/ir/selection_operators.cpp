// SPDX-License-Identifier: Apache-2.0
// Operators that choose among entries, and those that put entries back.
#include <fmt/ranges.h>

#include <algorithm>

#include "core/ir/experts.hpp"
#include "core/ir/inference.hpp"

namespace onnxport::ir {
namespace {

void infer_top_k(Inference& x) {
  const int64_t k = x.node.integer("k", 0);
  Shape shape = x.shape(0);
  Dim& along = shape[axis_index(x.node.integer("axis", -1), shape.size())];
  if (k <= 0 || (along.is_static() && along.size() < k))
    refuse(fmt::format("the {} largest of {}", k, along.to_string()));
  along = Dim(k);
  set(x, dtype_of(x), shape);
  if (x.results.size() > 1) set(x, DType::i64, shape, 1);
}

void infer_non_zero(Inference& x) {
  set(x, DType::i64, {Dim(static_cast<int64_t>(x.shape(0).size())), Dim::symbol("entries of " + x.node.scope)});
}

void infer_scatter(Inference& x) {
  if (dtype_of(x, 1) != DType::i64) refuse("its indices must be i64");
  if (dtype_of(x, 0) != dtype_of(x, 2)) refuse("its updates are of another type than its data");
  set(x, dtype_of(x), x.shape(0));
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
      {"", "TopK", 1, 1, 2, infer_top_k, {{"k", integer}, {"axis", integer}}},
      {"", "NonZero", 1, 1, 1, infer_non_zero},
      {"", "ScatterElements", 3, 3, 1, infer_scatter, {{"axis", integer}}},
      {"", "ScatterND", 3, 3, 1, infer_scatter},
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
