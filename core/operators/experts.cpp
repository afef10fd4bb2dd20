// SPDX-License-Identifier: Apache-2.0
// Mixtures of experts.
#include "core/ir/experts.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "core/ir/inference.hpp"
#include "core/operators/areas.hpp"
#include "core/operators/experts_lowering.hpp"

namespace onnxport::ir {
namespace {

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

}  // namespace

const std::vector<Operator>& expert_operators() {
  using enum AttributeKind;
  static const std::vector<Operator> rows{
      {.domain = composite_domain,
       .name = "MixtureOfExperts",
       .inputs = {2, experts::count},
       .infer = infer_mixture_of_experts,
       .attributes = {{"top_k", integer},
                      {"normalize", integer, "0"},
                      {"normalize_epsilon", real, "0"},
                      {"scale", real, "1"},
                      {"activation", text, "silu, gelu, gelu_tanh, relu or relu2; silu"},
                      {"limit", real, "none"},
                      {"alpha", real, "none"}},
       .lowering = {{lower_mixture_of_experts}},
       // Close scores would choose other experts in 16 bits.
       .precision = {.wide_in_bf16_below = 16,
                     .wide_inputs = {experts::scores, experts::choice},
                     .deciding_inputs = {experts::scores, experts::choice}},
       .documentation = {"x: f[..., hidden], scores: f32[..., experts], [choice: as scores], [gate: f[experts, inner, "
                         "hidden]], up: as gate, down: f[experts, hidden, inner], [gate_bias: f[experts, inner]], "
                         "[up_bias: as gate_bias], [down_bias: f[experts, hidden]]",
                         "the sum over the top_k experts of largest choice (scores where that is absent) of share · "
                         "expert(x), as f[..., hidden]"}},
  };
  return rows;
}

}  // namespace onnxport::ir
