// SPDX-License-Identifier: Apache-2.0
// Graphs in graphs: types, passes, the reference, and the file.
#include <boost/test/unit_test.hpp>
#include <set>

#include "core/error.hpp"
#include "core/passes/merge_steps.hpp"
#include "core/passes/precision.hpp"
#include "tests/support/both_back_ends.hpp"

namespace control_test {

using namespace onnxport;
using namespace onnxport::ir;
using onnxport::test::both_built;
using onnxport::test::same_at_every_opset;
namespace utf = boost::unit_test;

namespace {

using Floats = std::vector<float>;
using BodyOf = std::shared_ptr<const Graph>;

Tensor f32(std::vector<int64_t> shape, const Floats& values) {
  return Tensor::of<float>(DType::f32, std::move(shape), values);
}
Tensor flag(bool value) {
  return Tensor::of<uint8_t>(DType::boolean, {1}, {static_cast<uint8_t>(value)});
}

ValueId add(Graph& g, const std::string& op, std::vector<ValueId> inputs, Attributes attributes = {},
            const std::string& domain = "") {
  return g.add_node({domain, op, "m", std::move(inputs), {}, std::move(attributes), ""})[0];
}
BodyOf shared(Graph g) {
  return std::make_shared<const Graph>(std::move(g));
}

const Dim rows = Dim::symbol("rows");
const TensorType matrix{DType::f32, {rows, Dim(2)}};

/// Two branches over x: one operator each.
BodyOf branch(const std::string& op, Attributes attributes = {}, const std::string& domain = "") {
  Graph g;
  const ValueId x = g.add_input("x", matrix);
  g.add_output("y", op.empty() ? x : add(g, op, {x}, std::move(attributes), domain));
  return shared(std::move(g));
}

struct Chosen {
  Graph g;
  ValueId choice = g.add_input("choice", {DType::boolean, {Dim(1)}});
  ValueId x = g.add_input("x", matrix);

  ValueId choose(BodyOf yes, BodyOf no, std::vector<ValueId> captures) {
    Node node;
    node.op = "If";
    node.scope = "m";
    node.inputs = {choice};
    node.inputs.insert(node.inputs.end(), captures.begin(), captures.end());
    node.formal_inputs = 1;
    node.bodies = {{"then_branch", std::move(yes)}, {"else_branch", std::move(no)}};
    return g.add_node(std::move(node))[0];
  }
  Tensors inputs(bool value) const { return {{"choice", flag(value)}, {"x", f32({2, 2}, {-1, 2, -3, 4})}}; }
};

std::string refusal(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

void collect_names(const pb::GraphProto& graph, std::multiset<std::string>& names) {
  for (const auto& initializer : graph.initializer()) names.insert(initializer.name());
  for (const auto& input : graph.input()) names.insert(input.name());
  for (const auto& node : graph.node()) {
    for (const std::string& output : node.output()) names.insert(output);
    for (const auto& attribute : node.attribute()) {
      if (attribute.has_g()) collect_names(attribute.g(), names);
    }
  }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(control)

BOOST_FIXTURE_TEST_CASE(a_choice_runs_one_branch, Chosen, *utf::precondition(both_built)) {
  g.add_output("y", choose(branch("Relu"), branch("Neg"), {add(g, "Abs", {x})}));
  for (const bool value : {true, false}) {
    const Tensor y = same_at_every_opset(g, inputs(value)).at("y");
    BOOST_TEST(y.as<float>()[0] == (value ? 1.F : -1.F));
  }
}

BOOST_FIXTURE_TEST_CASE(a_branch_may_yield_what_it_was_given, Chosen, *utf::precondition(both_built)) {
  g.add_output("y", choose(branch(""), branch("Neg"), {x}));
  BOOST_TEST(same_at_every_opset(g, inputs(true)).at("y").as<float>()[0] == -1.F);
}

BOOST_FIXTURE_TEST_CASE(composites_and_choices_in_a_branch_are_lowered, Chosen, *utf::precondition(both_built)) {
  Graph outer;
  const ValueId inner_choice = outer.add_input("choice", {DType::boolean, {Dim(1)}}),
                inner_x = outer.add_input("x", matrix);
  Node inner;
  inner.op = "If";
  inner.scope = "m";
  inner.inputs = {inner_choice, inner_x};
  inner.formal_inputs = 1;
  inner.bodies = {{"then_branch", branch("Gelu", {{"approximate", std::string("none")}}, composite_domain)},
                  {"else_branch", branch("Neg")}};
  outer.add_output("y", outer.add_node(std::move(inner))[0]);
  Graph other;
  other.add_input("choice", {DType::boolean, {Dim(1)}});
  const ValueId other_x = other.add_input("x", matrix);
  other.add_output("y", add(other, "Add", {other_x, other.add_constant(f32({2}, {10, 20}))}));
  const ValueId shifted = add(g, "Add", {x, g.add_constant(f32({2}, {10, 20}))});
  g.add_output("y", choose(shared(std::move(outer)), shared(std::move(other)), {choice, shifted}));
  for (const bool value : {true, false}) same_at_every_opset(g, inputs(value));
  const ModelParts parts = to_model(lower(g, {.opset = 18, .patches = {}}), {.opset = 18, .metadata = {}});
  std::multiset<std::string> names;
  collect_names(parts.model.graph(), names);
  for (const std::string& name : names) BOOST_TEST(names.count(name) == 1u, name << " stands twice");
  // The constant of the graph and that of the branch are one.
  int tables = 0;
  for (const auto& initializer : parts.model.graph().initializer()) tables += initializer.dims_size() == 1 ? 1 : 0;
  BOOST_TEST(tables == 1);
}

BOOST_AUTO_TEST_CASE(a_loop_carries_states_and_stacks_rows, *utf::precondition(both_built)) {
  Graph body;
  const ValueId time = body.add_input("time", {DType::i64, {}}), on = body.add_input("on", {DType::boolean, {}}),
                state = body.add_input("state", matrix), step = body.add_input("step", matrix);
  const ValueId next = add(body, "Add", {add(body, "Mul", {state, state}), step});
  body.add_output("on", add(body, "And", {on, add(body, "Less", {time, body.add_constant(Tensor::i64_scalar(1))})}));
  body.add_output("state", next);
  body.add_output("row", state);
  Graph g;
  const ValueId x = g.add_input("x", matrix);
  Node node;
  node.op = "Loop";
  node.scope = "m";
  node.inputs = {g.add_constant(Tensor::i64_scalar(5)), absent, add(g, "Neg", {x}), x};
  node.formal_inputs = 3;
  node.bodies["body"] = shared(std::move(body));
  const auto results = g.add_node(std::move(node), 2);
  BOOST_TEST(to_string(g[results[0]].type) == "f32[rows, 2]");
  BOOST_TEST(g[results[1]].type.shape.size() == 3u);
  g.add_output("last", results[0]);
  g.add_output("all", results[1]);
  const Tensors y = same_at_every_opset(g, {{"x", f32({1, 2}, {1, 2})}});
  // It stops after the second time: -1 -> 2 -> 5 and -2 -> 6 -> 38.
  BOOST_TEST(y.at("last").as<float>()[0] == 5.F);
  BOOST_TEST(y.at("last").as<float>()[1] == 38.F);
  BOOST_TEST(y.at("all").shape == (std::vector<int64_t>{2, 1, 2}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_scan_walks_the_first_axis, *utf::precondition(both_built)) {
  Graph body;
  const ValueId sum = body.add_input("sum", {DType::f32, {Dim(2)}}),
                row = body.add_input("row", {DType::f32, {Dim(2)}}),
                scale = body.add_input("scale", {DType::f32, {Dim(2)}});
  body.add_output("sum", add(body, "Add", {sum, add(body, "Mul", {row, scale})}));
  body.add_output("twice", add(body, "Add", {row, row}));
  Graph g;
  const ValueId x = g.add_input("x", matrix);
  Node node;
  node.op = "Scan";
  node.scope = "m";
  node.inputs = {g.add_constant(f32({2}, {100, 200})), x, g.add_constant(f32({2}, {1, -1}))};
  node.formal_inputs = 2;
  node.attributes["num_scan_inputs"] = int64_t{1};
  node.bodies["body"] = shared(std::move(body));
  const auto results = g.add_node(std::move(node), 2);
  BOOST_TEST(to_string(g[results[1]].type) == "f32[rows, 2]");
  g.add_output("sum", results[0]);
  g.add_output("twice", results[1]);
  const Tensors y = same_at_every_opset(g, {{"x", f32({3, 2}, {1, 2, 3, 4, 5, 6})}});
  BOOST_TEST(y.at("sum").as<float>()[0] == 109.F);
  BOOST_TEST(y.at("sum").as<float>()[1] == 188.F);
  BOOST_TEST(y.at("twice").as<float>()[5] == 12.F);
  const Tensors none = test::by_reference(g, {{"x", f32({0, 2}, {})}});
  BOOST_TEST(none.at("sum").as<float>()[0] == 100.F);
  BOOST_TEST(none.at("twice").shape == (std::vector<int64_t>{0, 2}), boost::test_tools::per_element());
}

BOOST_FIXTURE_TEST_CASE(lengths_that_differ_by_branch_are_open, Chosen) {
  Graph twice;
  const ValueId inner = twice.add_input("x", matrix);
  twice.add_output("y", add(twice, "Concat", {inner, inner}, {{"axis", int64_t{0}}}));
  const Shape shape = g[choose(branch("Relu"), shared(std::move(twice)), {x})].type.shape;
  BOOST_TEST(!shape[0].is_static());
  BOOST_TEST((shape[0] == rows) == false);
  BOOST_TEST(shape[1].size() == 2);
}

BOOST_FIXTURE_TEST_CASE(bodies_that_do_not_fit, Chosen) {
  const auto cast = [] { return branch("Cast", {{"to", static_cast<int64_t>(DType::f16)}}); };
  BOOST_TEST(refusal([&] { choose(branch("Relu"), cast(), {x}); }).find("f32[rows, 2] in one case and f16[rows, 2]") !=
             std::string::npos);
  BOOST_TEST(refusal([&] { choose(branch("Relu"), branch("Neg"), {}); }).find("takes 1 inputs, and is given 0") !=
             std::string::npos);
  BOOST_TEST(refusal([&] { choose(branch("Relu"), branch("Neg"), {choice}); }).find("is given bool[1]") !=
             std::string::npos);
  BOOST_TEST(refusal([&] { choose(branch("Relu"), nullptr, {x}); }) != "accepted");
}

BOOST_FIXTURE_TEST_CASE(passes_keep_what_a_body_uses_and_tell_bodies_apart, Chosen) {
  const ValueId wide = add(g, "Abs", {x});
  const ValueId a = choose(branch("Relu"), branch("Neg"), {wide}), b = choose(branch("Neg"), branch("Relu"), {wide});
  g.add_output("y", add(g, "Sub", {a, b}));
  const Graph lowered = lower(g, {.opset = 18, .patches = {}});
  BOOST_TEST(lowered.nodes.size() == 4u);
  BOOST_TEST(lowered.nodes[0].op == "Abs");
  BOOST_TEST(node_count(lowered) == 8u);
  // In 16 bits a body keeps the types that it was defined with.
  const Graph narrow = to_precision(g, {.dtype = DType::f16, .keep_in_fp32 = {}, .opset = 18});
  for (const Node& node : narrow.nodes) {
    if (node.op == "If") BOOST_TEST(to_string(narrow[node.outputs[0]].type) == "f32[rows, 2]");
  }
}

BOOST_AUTO_TEST_CASE(a_patch_reaches_into_a_body) {
  Chosen one;
  one.g.add_output("y", one.choose(branch("Relu"), branch("Neg"), {one.x}));
  const Patch patch{"", "Neg", [](Graph& graph, const PatchedNode& patched) {
                      return graph.add_node({"", "Abs", patched.node.scope, patched.node.inputs, {}, {}, ""});
                    }};
  const Graph lowered = lower(one.g, {.opset = 18, .patches = {patch}});
  BOOST_TEST(lowered.nodes[0].bodies.at("else_branch")->nodes[0].op == "Abs");
}

BOOST_AUTO_TEST_CASE(steps_that_do_not_fit_are_not_merged) {
  const auto step = [](DType dtype, const std::string& output) {
    Graph g;
    g.add_output(output, add(g, "Identity", {g.add_input("x", {dtype, {rows}})}));
    return lower(g, {.opset = 18, .patches = {}});
  };
  const auto merge = [&](DType dtype, const std::string& output) {
    return refusal([&] { merge_steps({step(DType::f32, "y"), step(dtype, output)}, "choice"); });
  };
  BOOST_TEST(merge(DType::f32, "y") == "accepted");
  BOOST_TEST(merge(DType::i64, "y").find("is f32[rows] in the first step and i64[rows]") != std::string::npos);
  BOOST_TEST(merge(DType::f32, "z").find("does not put out 'y'") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace control_test
