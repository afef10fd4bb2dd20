// SPDX-License-Identifier: Apache-2.0
// Experts in groups, of which a token may choose from the best only.
#include <onnxport/blocks/mixture_of_experts.hpp>

#include <boost/test/unit_test.hpp>

#include "core/definition/host_tables.hpp"
#include "core/definition/onnx_config.hpp"
#include "tests/support/both_back_ends.hpp"

namespace expert_groups_test {

using namespace onnxport;
namespace utf = boost::unit_test;

namespace {

constexpr float out = -9;

/// Two tokens' choices among six experts, by groups.
ir::Graph limited(const sdk::ExpertGroups& groups) {
  ir::Graph graph;
  const ir::Dim tokens = ir::Dim::symbol("tokens");
  graph.add_input("choice", {ir::DType::f32, {ir::Dim(1), tokens, ir::Dim(6)}});
  onnxport_graph handle;
  handle.graph = &graph;
  sdk::Graph g(&plugin_host(), &handle);
  g.output("limited", sdk::within_groups(g.input("choice"), groups));
  return graph;
}

std::vector<float> run(const sdk::ExpertGroups& groups) {
  const std::vector<float> choice{1, 2, 9, -8, 4, 3, /**/ 5, 0, 1, 2, -1, 7};
  const Tensors inputs{{"choice", ir::Tensor::of<float>(ir::DType::f32, {1, 2, 6}, choice)}};
  const Tensors found = test::same_at_every_opset(limited(groups), inputs);
  const auto values = found.at("limited").as<float>();
  return {values.begin(), values.end()};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(groups_of_experts)

BOOST_AUTO_TEST_CASE(the_best_groups_stay, *utf::precondition(test::both_built)) {
  const auto each = boost::test_tools::per_element();
  BOOST_TEST(run({.count = 3, .kept = 1, .outside = out}) ==
                 (std::vector<float>{out, out, out, out, 4, 3, /**/ out, out, out, out, -1, 7}),
             each);
  BOOST_TEST(run({.count = 3, .kept = 2, .outside = out}) ==
                 (std::vector<float>{1, 2, out, out, 4, 3, /**/ 5, 0, out, out, -1, 7}),
             each);
  BOOST_TEST(run({.count = 3, .kept = 1, .judged_by = 1, .outside = out}) ==
                 (std::vector<float>{out, out, 9, -8, out, out, /**/ out, out, out, out, -1, 7}),
             each);
  BOOST_TEST(run({.count = 2, .kept = 1, .outside = out}) ==
                 (std::vector<float>{1, 2, 9, out, out, out, /**/ out, out, out, 2, -1, 7}),
             each);
}

BOOST_AUTO_TEST_CASE(all_groups_are_no_limit) {
  BOOST_TEST(limited({.count = 3, .kept = 3}).nodes.empty());
  BOOST_TEST(!limited({.count = 3, .kept = 2}).nodes.empty());
}

BOOST_AUTO_TEST_CASE(groups_that_cannot_be_are_refused) {
  const auto refused = [](const sdk::ExpertGroups& groups, const std::string& text) {
    BOOST_CHECK_EXCEPTION(limited(groups), sdk::Error,
                          [&](const sdk::Error& error) { return std::string(error.what()).starts_with(text); });
  };
  refused({.count = 4, .kept = 2}, "2 of 4 groups of 6 experts, each judged by its 2 best, cannot be chosen");
  refused({.count = 6, .kept = 2}, "2 of 6 groups of 6 experts, each judged by its 2 best, cannot be chosen");
  refused({.count = 3, .kept = 4}, "4 of 3 groups of 6 experts");
  refused({.count = 3, .kept = 0}, "0 of 3 groups of 6 experts");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace expert_groups_test
