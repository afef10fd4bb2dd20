// SPDX-License-Identifier: Apache-2.0
// The lists of passes, what is held against each of them, and rules that would go in a circle.
#include "core/passes/pipeline.hpp"

#include <boost/test/unit_test.hpp>
#include <string>
#include <vector>

#include "core/error.hpp"
#include "core/ir/builder.hpp"
#include "core/passes/preallocate_cache.hpp"
#include "core/passes/precision.hpp"

namespace pipeline_test {

using namespace onnxport;
using namespace onnxport::ir;

namespace {

struct Fixture {
  Graph g;
  ValueId x = g.add_input("x", {DType::f32, {Dim::symbol("n"), Dim(4)}});

  ValueId add(const std::string& op, std::vector<ValueId> inputs, Attributes attributes = {}) {
    return g.add_node({"", op, "m", std::move(inputs), {}, std::move(attributes), ""})[0];
  }
  std::string complaint() const {
    try {
      verify_pass("spoil", g);
    } catch (const Error& error) {
      BOOST_TEST((error.failure() == Failure::internal));
      return error.what();
    }
    return "no complaint";
  }
};

std::vector<std::string> passes_of(const Graph& graph, const LoweringOptions& options) {
  std::vector<std::string> names;
  const PassObserver before = observe_passes([&](std::string_view pass, const Graph&) { names.emplace_back(pass); });
  lower(graph, options);
  observe_passes(before);
  return names;
}

bool says(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(pipeline, Fixture)

BOOST_AUTO_TEST_CASE(each_form_has_its_list) {
  using Names = std::vector<std::string>;
  g.add_output("y", add("Relu", {x}));
  BOOST_TEST((passes_of(g, {.opset = 18, .patches = {}}) == Names{"tie equal weights", "fold weights", "divide layers",
                                                                  "apply rules", "fold constants", "merge equal nodes",
                                                                  "remove unused nodes", "name nodes"}));
  BOOST_TEST((passes_of(g, {.opset = 18, .patches = {}, .dtype = DType::f16, .keep_in_fp32 = {}}) ==
              Names{"tie equal weights", "fold weights", "divide layers", "narrow", "apply rules", "fold constants",
                    "merge equal nodes", "remove unused nodes", "name nodes"}));
  BOOST_TEST((passes_of(g, {.opset = 18, .patches = {}, .weights_as_stored = true}) ==
              Names{"fold weights", "divide layers", "apply rules", "fold constants", "merge equal nodes",
                    "remove unused nodes", "name nodes"}));
  BOOST_TEST(
      (passes_of(g, {.opset = 18, .patches = {}, .inputs = {.fixed = {{"n", 2}}, .int32 = true}}) ==
       Names{"fix axes", "fold lengths", "tie equal weights", "fold weights", "divide layers", "keep norms apart",
             "apply rules", "fold constants", "narrow ids", "merge equal nodes", "remove unused nodes", "name nodes"}));
}

BOOST_AUTO_TEST_CASE(the_pass_that_broke_the_graph_is_named) {
  const ValueId y = add("Relu", {x});
  g.add_output("y", add("Tanh", {y}));
  BOOST_TEST(complaint() == "no complaint");
  const Graph sound = g;

  std::swap(g.nodes[0], g.nodes[1]);
  BOOST_TEST(complaint() ==
             "the pass 'spoil' broke the graph: the node 'm.Tanh' of the graph 'model' takes as input 0 "
             "a value that nothing before it makes");
  g = sound;
  g.nodes.pop_back();
  BOOST_TEST(says(complaint(), "the output 'y' of the graph 'model' is a value that nothing makes"));
  g = sound;
  g.nodes[1].outputs = g.nodes[0].outputs;
  BOOST_TEST(says(complaint(), "yields what another makes as well"));
  g = sound;
  g[y].type.dtype = DType::i64;
  BOOST_TEST(says(complaint(), "which is declared as i64[n, 4]"));
  g = sound;
  g.nodes[0].attributes["alpha"] = 1.0;
  BOOST_TEST(says(complaint(), "has no attribute 'alpha'"));
  g = sound;
  g.add_output("y", y);
  BOOST_TEST(says(complaint(), "the output 'y' of the graph 'model' is there twice"));
}

BOOST_AUTO_TEST_CASE(a_body_is_verified_as_well) {
  auto body = std::make_shared<Graph>();
  body->name = "branch";
  const ValueId in = body->add_input("x", g[x].type);
  body->add_output("y", body->add_node({"", "Relu", "m", {in}, {}, {}, ""})[0]);
  Node choose;
  choose.op = "If";
  choose.formal_inputs = 1;
  choose.inputs = {g.add_input("c", {DType::boolean, {}}), x};
  choose.bodies = {{"then_branch", body}, {"else_branch", body}};
  g.add_output("y", g.add_node(choose)[0]);
  BOOST_TEST(complaint() == "no complaint");
  auto spoilt = std::make_shared<Graph>(*body);
  spoilt->nodes.clear();
  g.nodes[0].bodies["else_branch"] = spoilt;
  BOOST_TEST(says(complaint(), "the output 'y' of the graph 'branch' is a value that nothing makes"));
}

BOOST_AUTO_TEST_CASE(users_and_their_replacement) {
  const ValueId y = add("Relu", {x}), z = add("Add", {y, y});
  g.add_output("z", z);
  g.add_output("y", y);
  const auto users = g.users();
  BOOST_TEST(users[x] == std::vector<size_t>{0}, boost::test_tools::per_element());
  BOOST_TEST(users[y] == (std::vector<size_t>{1, 1, 2}), boost::test_tools::per_element());  // 2: an output
  g.replace(y, x);
  BOOST_TEST(g.nodes[1].inputs == (std::vector<ValueId>{x, x}), boost::test_tools::per_element());
  BOOST_TEST(g.outputs[1].value == x);
}

// ------------------------------------------------------------------------------------------ rules in a circle

namespace {

std::vector<ValueId> by_itself(Builder& b) {
  return {b.op("Relu", {b.node().input(0)})};
}
std::vector<ValueId> by_the_other(Builder& b) {
  return {b.op(b.node().op == "Tanh" ? "Sigmoid" : "Tanh", {b.node().input(0)})};
}
Rule circles(const Node& node, int64_t opset, Target target) {
  if (node.op == "Relu") return by_itself;
  if (node.op == "Tanh" || node.op == "Sigmoid") return by_the_other;
  return find_rule(node, opset, target);
}

}  // namespace

BOOST_AUTO_TEST_CASE(rules_that_lead_to_themselves_are_an_error) {
  for (const auto& [op, circle] : {std::pair{"Relu", "its rules lead from Relu back to Relu"},
                                   {"Tanh", "its rules lead from Tanh to Sigmoid back to Tanh"}}) {
    Graph graph;
    const ValueId input = graph.add_input("x", {DType::f32, {Dim(2)}});
    graph.add_output("y", graph.add_node({"", op, "m", {input}, {}, {}, ""})[0]);
    try {
      apply_rules(graph, {.opset = 17, .find_rule = circles});
      BOOST_ERROR("accepted");
    } catch (const Error& error) {
      BOOST_TEST((error.failure() == Failure::internal));
      BOOST_TEST(says(error.what(), std::string("the lowering of ") + op + " for opset 17 does not end"));
      BOOST_TEST(says(error.what(), circle));
    }
  }
}

BOOST_AUTO_TEST_CASE(a_rule_is_for_some_opsets_and_targets) {
  const Operator op{.name = "Relu",
                    .lowering = {{.rule = by_the_other, .below = 15}, {.rule = by_itself, .target = Target::ort}}};
  BOOST_TEST((rule_of(op, 14, Target::onnx) == by_the_other));
  BOOST_TEST((rule_of(op, 15, Target::onnx) == nullptr));
  BOOST_TEST((rule_of(op, 15, Target::ort) == by_itself));
}

BOOST_AUTO_TEST_CASE(a_cache_in_a_buffer) {
  const auto cached = [](bool turned) {
    Graph graph;
    const Dim past = Dim::symbol("past_sequence"), step = Dim::symbol("sequence");
    const ValueId given = graph.add_input("past", {DType::f32, {Dim(2), past}}),
                  fresh = graph.add_input("x", {DType::f32, {Dim(2), step}}),
                  mask = graph.add_input("mask", {DType::i64, {Dim(2), past + step}});
    const auto add = [&](const std::string& op, std::vector<ValueId> inputs, Attributes attributes) {
      return graph.add_node({"", op, "m", std::move(inputs), {}, std::move(attributes), ""})[0];
    };
    const ValueId all = add("Concat", {given, fresh}, {{"axis", int64_t{1}}});
    const std::vector<int64_t> axes{1, 0};
    graph.add_output("present", turned ? add("Transpose", {all}, {{"perm", axes}}) : all);
    graph.add_output("seen", add("Cast", {mask}, {{"to", static_cast<int64_t>(DType::f32)}}));
    return graph;
  };
  const std::vector<GrowingState> states{{"past", "present", 1, {"mask", 1}, {"x", 1}}};
  Graph graph = cached(false);
  preallocate_cache(graph, states, 16);
  graph.verify();
  BOOST_TEST(to_string(graph[graph.inputs[0].value].type) == "f32[2, 16]");
  BOOST_TEST(to_string(graph[graph.inputs[2].value].type) == "i64[2, total_sequence]");
  BOOST_TEST(to_string(graph[graph.outputs[0].value].type) == "f32[2, 16]");

  // In 16 bits the buffer keeps its type: what a step reads of it is cast, and what it writes, and not the whole.
  const Graph narrow = to_precision(graph, {.dtype = DType::f16, .opset = 18});
  narrow.verify();
  BOOST_TEST(to_string(narrow[narrow.outputs[0].value].type) == "f32[2, 16]");
  for (const Node& node : narrow.nodes) {
    const bool is_whole = node.op == "Cast" && to_string(narrow[node.inputs[0]].type.shape) == "[2, 16]";
    BOOST_TEST(!is_whole, "a cast of the whole buffer");
  }

  Graph turned = cached(true);
  try {
    preallocate_cache(turned, states, 16);
    BOOST_ERROR("nothing was thrown");
  } catch (const Error& error) {
    BOOST_TEST((error.failure() == Failure::usage));
    BOOST_TEST(says(error.what(), "no buffer can be both"), error.what());
  }
}

BOOST_AUTO_TEST_CASE(a_sum_that_a_norm_alone_reads) {
  const auto sum_of = [](const LoweringOptions& options) {
    Graph graph;
    const Shape shape{Dim::symbol("batch"), Dim::symbol("sequence"), Dim(4)};
    const ValueId x = graph.add_input("x", {DType::f32, shape}), y = graph.add_input("y", {DType::f32, shape});
    const ValueId weight = graph.add_constant(Tensor::of<float>(DType::f32, {4}, {1, 2, 3, 4}));
    const ValueId sum = graph.add_node({"", "Add", "m", {x, y}, {}, {}, ""})[0];
    graph.add_output("z", graph.add_node({composite_domain, "LayerNorm", "m", {sum, weight}, {}, {}, ""})[0]);
    for (const Node& node : lower(graph, options).nodes) {
      if (node.outputs.size() == 1 && (node.op == "Add" || node.op == "Sum")) return node.op;
    }
    return std::string();
  };
  LoweringOptions options;
  BOOST_TEST(sum_of(options) == "Add");
  options.inputs.fixed = {{"batch", 1}, {"sequence", 3}};
  BOOST_TEST(sum_of(options) == "Sum");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pipeline_test
