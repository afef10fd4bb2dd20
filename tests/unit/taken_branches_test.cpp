// SPDX-License-Identifier: Apache-2.0
// Branches in the place of their If: names, and what stands within them.
#include "core/validate/taken_branches.hpp"

#include <boost/test/unit_test.hpp>
#include <string>
#include <vector>

namespace taken_branches_test {

using namespace onnxport;
namespace pb = inspect::pb;

namespace {

pb::NodeProto& add(pb::GraphProto& graph, const char* op, const std::vector<std::string>& inputs, const char* output) {
  pb::NodeProto& node = *graph.add_node();
  node.set_op_type(op);
  for (const std::string& input : inputs) node.add_input(input);
  node.add_output(output);
  return node;
}

void add_branch(pb::NodeProto& choice, const char* name, const pb::GraphProto& branch) {
  pb::AttributeProto& attribute = *choice.add_attribute();
  attribute.set_name(name);
  attribute.set_type(pb::AttributeProto::GRAPH);
  *attribute.mutable_g() = branch;
}

/// One node that makes "inner", with a weight of its own where the operator takes two.
pb::GraphProto branch_of(const char* op, bool has_weight) {
  pb::GraphProto branch;
  if (has_weight) branch.add_initializer()->set_name("weight");
  add(branch, op, has_weight ? std::vector<std::string>{"x", "weight"} : std::vector<std::string>{"x"}, "inner");
  branch.add_output()->set_name("inner");
  return branch;
}

std::string told(const pb::GraphProto& graph) {
  std::string text;
  for (const auto& node : graph.node()) {
    text += node.output(0) + " = " + node.op_type();
    for (const std::string& input : node.input()) text += " " + input;
    text += "; ";
  }
  return text;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(taken_branches)

BOOST_AUTO_TEST_CASE(each_if_is_the_branch_that_is_taken) {
  pb::GraphProto graph;
  graph.add_input()->set_name("x");
  for (const char* result : {"a", "b"}) {
    pb::NodeProto& choice = add(graph, "If", {std::string(result) + " holds"}, result);
    add_branch(choice, "then_branch", branch_of("Mul", true));
    add_branch(choice, "else_branch", branch_of("Neg", false));
  }
  add(graph, "Add", {"a", "b"}, "sum");
  pb::GraphProto once = graph;
  BOOST_TEST(take_branches(once, [](const std::string& condition) { return condition == "a holds"; }) == 2u);
  BOOST_TEST(told(once) ==
             "inner = Mul x weight; a = Identity inner; inner (2) = Neg x; b = Identity inner (2); "
             "sum = Add a b; ");
  // Both have a weight of the same name, and each keeps its own.
  BOOST_TEST(take_branches(graph, [](const std::string&) { return true; }) == 2u);
  BOOST_TEST(told(graph) ==
             "inner = Mul x weight; a = Identity inner; inner (2) = Mul x weight (2); "
             "b = Identity inner (2); sum = Add a b; ");
  BOOST_TEST(graph.initializer(1).name() == "weight (2)");
}

BOOST_AUTO_TEST_CASE(an_if_within_a_branch_stands_in_the_graph_then) {
  pb::GraphProto outer;
  add(outer, "Abs", {"x"}, "inner");
  pb::NodeProto& within = add(outer, "If", {"deep holds"}, "deep");
  pb::GraphProto deepest;
  add(deepest, "Sqrt", {"inner"}, "root");
  deepest.add_output()->set_name("root");
  add_branch(within, "then_branch", deepest);
  outer.add_output()->set_name("deep");
  pb::GraphProto graph;
  add(graph, "Neg", {"x"}, "inner");
  add_branch(add(graph, "If", {"holds"}, "y"), "then_branch", outer);
  const auto always = [](const std::string&) { return true; };
  BOOST_TEST(take_branches(graph, always) == 1u);
  BOOST_TEST(take_branches(graph, always) == 1u);
  BOOST_TEST(take_branches(graph, always) == 0u);
  // What the deepest takes is the branch's value, whose name was not free.
  BOOST_TEST(told(graph) ==
             "inner = Neg x; inner (2) = Abs x; root = Sqrt inner (2); deep = Identity root; "
             "y = Identity deep; ");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace taken_branches_test
