// SPDX-License-Identifier: Apache-2.0
// A mixture of experts: the reference against plain loops, and ONNX Runtime on the lowered form.
#include <boost/test/unit_test.hpp>
#include <limits>

#include "core/error.hpp"
#include "core/ir/experts.hpp"
#include "core/passes/precision.hpp"
#include "tests/support/both_back_ends.hpp"

namespace experts_test {

using namespace onnxport;
using namespace onnxport::ir;
using onnxport::test::both_built;
using onnxport::test::check_equal;
using onnxport::test::same_at_every_opset;
namespace utf = boost::unit_test;

namespace {

using Ints = std::vector<int64_t>;

/// Numbers that repeat late, of both signs.
Tensor numbers(Ints shape, float phase) {
  Tensor tensor{DType::f32, std::move(shape), {}};
  std::vector<float> values(static_cast<size_t>(tensor.element_count()));
  for (size_t i = 0; i < values.size(); ++i) values[i] = std::sin(static_cast<float>(i) * 1.7F + phase);
  return Tensor::of<float>(DType::f32, tensor.shape, values);
}

constexpr int64_t hidden = 6, usual_inner = 5;
/// Beyond what is copied for each expert that is used.
constexpr int64_t large_inner = 11000;

/// A mixture with what a case asks for, over x: f32[batch, sequence, 6].
struct Mixture {
  int64_t number = 4;
  Attributes attributes{{"top_k", int64_t{2}}};
  bool gated = true, biased = false, chosen_apart = false;
  int64_t inner = usual_inner;

  Tensor weight(size_t input) const {
    using namespace experts;
    Tensor w = input == down        ? numbers({number, hidden, inner}, 3)
               : input == gate_bias ? numbers({number, inner}, 4)
               : input == up_bias   ? numbers({number, inner}, 5)
               : input == down_bias ? numbers({number, hidden}, 6)
               : input == gate      ? numbers({number, inner, hidden}, 1)
                                    : numbers({number, inner, hidden}, 2);
    if (input == down && inner == large_inner) {
      for (float& value : w.as<float>()) value *= 1e-3F;  // sums of many
    }
    return w;
  }
  Graph graph() const {
    using namespace experts;
    Graph g;
    const Dim batch = Dim::symbol("batch"), sequence = Dim::symbol("sequence");
    std::vector<ValueId> inputs(experts::count, absent);
    inputs[experts::x] = g.add_input("x", {DType::f32, {batch, sequence, Dim(hidden)}});
    inputs[scores] = g.add_input("scores", {DType::f32, {batch, sequence, Dim(number)}});
    if (chosen_apart) inputs[choice] = g.add_input("choice", {DType::f32, {batch, sequence, Dim(number)}});
    for (size_t input : {up, down}) inputs[input] = g.add_constant(weight(input));
    if (gated) inputs[gate] = g.add_constant(weight(gate));
    if (biased) {
      for (size_t input : {up_bias, down_bias}) inputs[input] = g.add_constant(weight(input));
      if (gated) inputs[gate_bias] = g.add_constant(weight(gate_bias));
    }
    g.add_output("y", g.add_node({composite_domain, "MixtureOfExperts", "mlp.experts", inputs, {}, attributes, ""})[0]);
    return g;
  }
  Tensors inputs(int64_t batch, int64_t sequence) const {
    Tensors given{{"x", numbers({batch, sequence, hidden}, 7)}, {"scores", numbers({batch, sequence, number}, 8)}};
    for (float& score : given["scores"].as<float>()) score = score * score;
    if (chosen_apart) given["choice"] = numbers({batch, sequence, number}, 9);
    return given;
  }
};

double activated(const std::string& name, double x) {
  if (name == "silu") return x / (1 + std::exp(-x));
  if (name == "gelu") return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0)));
  if (name == "gelu_tanh") return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
  return name == "relu" ? std::max(x, 0.0) : std::max(x, 0.0) * std::max(x, 0.0);
}

/// Token by token and expert by expert.
Tensor by_hand(const Mixture& m, const Tensors& given) {
  using namespace experts;
  Node node;
  node.attributes = m.attributes;
  const auto x = given.at("x").as<float>(), scores = given.at("scores").as<float>(),
             choice = given.at(m.chosen_apart ? "choice" : "scores").as<float>();
  const auto n = static_cast<size_t>(m.number), h = static_cast<size_t>(hidden), f = static_cast<size_t>(m.inner);
  const auto linear = [&](size_t input, size_t bias, size_t expert, const std::vector<double>& of, size_t out) {
    const Tensor weights = m.weight(input), biases = m.weight(bias);
    std::vector<double> y(out, 0);
    for (size_t o = 0; o < out; ++o) {
      for (size_t i = 0; i < of.size(); ++i)
        y[o] += static_cast<double>(weights.as<float>()[(expert * out + o) * of.size() + i]) * of[i];
      if (m.biased) y[o] += static_cast<double>(biases.as<float>()[expert * out + o]);
    }
    return y;
  };
  Tensor y = given.at("x");
  for (size_t token = 0; token < x.size() / h; ++token) {
    std::vector<size_t> order(n);
    for (size_t i = 0; i < n; ++i) order[i] = i;
    std::sort(order.begin(), order.end(),
              [&](size_t a, size_t b) { return choice[token * n + a] > choice[token * n + b]; });
    order.resize(static_cast<size_t>(node.integer("top_k", 0)));
    double sum = node.real("normalize_epsilon", 0);
    for (size_t expert : order) sum += static_cast<double>(scores[token * n + expert]);
    const std::vector<double> row(x.begin() + static_cast<std::ptrdiff_t>(token * h),
                                  x.begin() + static_cast<std::ptrdiff_t>((token + 1) * h));
    std::vector<double> result(h, 0);
    for (size_t expert : order) {
      std::vector<double> mid = linear(up, up_bias, expert, row, f);
      const std::vector<double> gates = m.gated ? linear(gate, gate_bias, expert, row, f) : mid;
      for (size_t i = 0; i < f; ++i) {
        double g = gates[i], u = mid[i];
        if (node.has("limit")) {
          const double limit = node.real("limit", 0);
          g = std::min(g, limit);
          u = std::clamp(u, -limit, limit);
        }
        if (node.has("alpha"))
          mid[i] = g / (1 + std::exp(-node.real("alpha", 0) * g)) * (u + 1);
        else
          mid[i] = activated(node.text("activation", "silu"), g) * (m.gated ? u : 1);
      }
      double share = static_cast<double>(scores[token * n + expert]) * node.real("scale", 1);
      if (node.integer("normalize", 0) != 0) share /= sum;
      const std::vector<double> out = linear(down, down_bias, expert, mid, h);
      for (size_t i = 0; i < h; ++i) result[i] += share * out[i];
    }
    for (size_t i = 0; i < h; ++i) y.as<float>()[token * h + i] = static_cast<float>(result[i]);
  }
  return y;
}

void check(const Mixture& m, double tolerance = 2e-5) {
  for (const auto& [batch, sequence] : {std::pair<int64_t, int64_t>{1, 1}, {2, 5}}) {
    const Tensors given = m.inputs(batch, sequence);
    check_equal(same_at_every_opset(m.graph(), given, tolerance), {{"y", by_hand(m, given)}}, tolerance,
                "the reference");
  }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(mixture_of_experts, *utf::precondition(both_built))

BOOST_AUTO_TEST_CASE(each_token_by_the_experts_that_it_chose) {
  check({});
  check({.number = 7, .attributes = {{"top_k", int64_t{1}}}});
  check({.attributes = {{"top_k", int64_t{4}}}});
}

BOOST_AUTO_TEST_CASE(every_activation_with_a_gate_and_without) {
  for (const std::string_view activation : experts::activations) {
    for (const bool gated : {true, false})
      check({.attributes = {{"top_k", int64_t{2}}, {"activation", std::string(activation)}}, .gated = gated});
  }
}

BOOST_AUTO_TEST_CASE(biases) {
  for (const bool gated : {true, false}) check({.gated = gated, .biased = true});
}

BOOST_AUTO_TEST_CASE(scores_of_the_chosen_are_normalised_and_scaled) {
  check(
      {.attributes = {{"top_k", int64_t{3}}, {"normalize", int64_t{1}}, {"normalize_epsilon", 0.25}, {"scale", 2.5}}});
}

BOOST_AUTO_TEST_CASE(chosen_by_other_numbers_than_weighted_with) {
  check({.attributes = {{"top_k", int64_t{2}}, {"normalize", int64_t{1}}}, .chosen_apart = true});
}

BOOST_AUTO_TEST_CASE(bounded_gates) {
  check({.attributes = {{"top_k", int64_t{2}}, {"limit", 0.7}, {"alpha", 1.702}}, .biased = true});
  check({.attributes = {{"top_k", int64_t{2}}, {"limit", 0.7}}});
}

// Numbers of experts that part into groups, and a prime one.
BOOST_AUTO_TEST_CASE(large_experts) {
  for (const int64_t number : {7, 36}) check({.number = number, .gated = false, .inner = large_inner}, 5e-4);
  check({.number = 24,
         .attributes = {{"top_k", int64_t{3}}, {"normalize", int64_t{1}}},
         .biased = true,
         .inner = large_inner},
        5e-4);
}

void an_expert_that_nobody_chose_is_not_run(const Mixture& m, double tolerance) {
  Graph g = m.graph();
  // Not a number wherever the last expert is asked.
  for (Value& value : g.values) {
    if (value.origin != Origin::constant || value.constant->shape.size() != 3) continue;
    Tensor spoilt = *value.constant;
    const size_t one = spoilt.as<float>().size() / 4;
    for (size_t i = 3 * one; i < 4 * one; ++i) spoilt.as<float>()[i] = std::numeric_limits<float>::quiet_NaN();
    value.constant = std::make_shared<const Tensor>(std::move(spoilt));
  }
  Tensors given = m.inputs(2, 5);
  for (size_t i = 3; i < given["scores"].as<float>().size(); i += 4) given["scores"].as<float>()[i] = -1;
  check_equal(same_at_every_opset(g, given, tolerance), {{"y", by_hand(m, given)}}, tolerance, "the reference");
}
BOOST_AUTO_TEST_CASE(experts_that_nobody_chose_are_not_run) {
  an_expert_that_nobody_chose_is_not_run({}, 2e-5);
  an_expert_that_nobody_chose_is_not_run({.inner = large_inner}, 5e-4);
}

BOOST_AUTO_TEST_CASE(as_many_nodes_for_any_number_of_experts) {
  for (const int64_t opset : {13, 18, 24}) {
    for (const int64_t inner : {usual_inner, large_inner}) {
      const auto nodes = [&](int64_t number) {
        return node_count(lower(Mixture{.number = number, .inner = inner}.graph(), {.opset = opset, .patches = {}}));
      };
      BOOST_TEST(nodes(4) == nodes(64));
      BOOST_TEST(nodes(4) < 55u);
    }
  }
}

BOOST_AUTO_TEST_CASE(routers_stay_in_f32) {
  Graph g;
  const Dim tokens = Dim::symbol("tokens");
  const ValueId x = g.add_input("x", {DType::f32, {tokens, Dim(hidden)}});
  const auto add = [&](const char* domain, const char* op, std::vector<ValueId> inputs, Attributes attributes = {}) {
    return g.add_node({domain, op, "m", std::move(inputs), {}, std::move(attributes), ""})[0];
  };
  const Mixture m;
  const ValueId logits = add(composite_domain, "Linear", {x, g.add_constant(numbers({4, hidden}, 1))}),
                scores = add("", "Softmax", {logits}, {{"axis", int64_t{-1}}});
  g.add_output("y", add(composite_domain, "MixtureOfExperts",
                        {x, scores, absent, absent, g.add_constant(m.weight(experts::up)),
                         g.add_constant(m.weight(experts::down))},
                        {{"top_k", int64_t{2}}}));
  const Graph narrow = to_precision(g, {.dtype = DType::f16, .keep_in_fp32 = {}, .opset = 18});
  for (const Node& node : narrow.nodes) {
    if (node.op == "Linear" || node.op == "Softmax")
      BOOST_TEST((narrow[node.outputs[0]].type.dtype == DType::f32), node.op);
    if (node.op == "MixtureOfExperts") BOOST_TEST((narrow[node.outputs[0]].type.dtype == DType::f16));
  }
  const Tensors given{{"x", numbers({3, hidden}, 7)}};
  check_equal(test::by_runtime(narrow, 18, given), test::by_reference(g, given), 2e-2, "f16");
}

BOOST_AUTO_TEST_CASE(what_does_not_fit) {
  const auto refusal = [](const Mixture& m) {
    try {
      m.graph();
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  BOOST_TEST(refusal({.attributes = {{"top_k", int64_t{5}}}}).find("5 of 4 experts") != std::string::npos);
  BOOST_TEST(refusal({.attributes = {{"top_k", int64_t{2}}, {"activation", std::string("cube")}}}).find("'cube'") !=
             std::string::npos);
  BOOST_TEST(refusal({.attributes = {{"top_k", int64_t{2}}, {"limit", 7.0}}, .gated = false}).find("with a gate") !=
             std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace experts_test
