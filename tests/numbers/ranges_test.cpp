// SPDX-License-Identifier: Apache-2.0
// Which modules of a graph in f16 compute beyond its range, and what stays in f32 for that.
#include "core/validate/ranges.hpp"

#include <boost/test/unit_test.hpp>
#include <limits>
#include <set>

#include "core/ir/operators.hpp"
#include "core/ir/scalar.hpp"
#include "tests/support/skips.hpp"

namespace ranges_test {

using namespace onnxport;
using namespace onnxport::ir;

namespace {

constexpr double f16_end = 65504;

struct Fixture {
  Graph g;
  Dim batch = Dim::symbol("batch"), n = Dim::symbol("n");
  ValueId x = g.add_input("x", {DType::f32, {batch, Dim(4)}});

  ValueId add(const std::string& scope, const std::string& op, std::vector<ValueId> inputs,
              Attributes attributes = {}) {
    const bool is_composite = find_operator(composite_domain, op) != nullptr;
    return g.add_node(
        {is_composite ? composite_domain : "", op, scope, std::move(inputs), {}, std::move(attributes), ""})[0];
  }
  ValueId number(double value) { return g.add_constant(float_scalar(value, DType::f32)); }

  Ranges measured(std::vector<float> values, int64_t opset = 18) const {
    const auto rows = static_cast<int64_t>(values.size()) / 4;
    Ranges ranges({.definition = g, .precision = {.dtype = DType::f16, .keep_in_fp32 = {}, .opset = opset}});
    ranges.look_at({{"x", Tensor::of<float>(DType::f32, {rows, 4}, values)}});
    return ranges;
  }
  static std::vector<std::string> modules(const std::vector<ModuleRange>& ranges) {
    std::vector<std::string> names;
    for (const ModuleRange& range : ranges) names.push_back(range.module);
    return names;
  }
};

using Names = std::vector<std::string>;

}  // namespace

BOOST_FIXTURE_TEST_SUITE(ranges, Fixture, *boost::unit_test::precondition(test::reference_built))

BOOST_AUTO_TEST_CASE(modules_beyond_the_range_are_told_with_what_they_reach) {
  const ValueId up = add("layer.0.up", "Mul", {x, number(1000)});
  const ValueId down = add("layer.0.down", "Mul", {up, number(100)});
  g.add_output("y", add("layer.0.norm", "Mul", {down, number(1e-5)}));
  BOOST_TEST(measured({0.1F, 0.2F, 0.3F, -0.5F}).beyond(f16_end).empty());
  const std::vector<ModuleRange> found = measured({1, 2, -3, 0.5F}).beyond(f16_end);
  BOOST_TEST(modules(found) == (Names{"layer.0.down", "layer.0.norm"}), boost::test_tools::per_element());
  BOOST_TEST(found.at(0).op == "Mul");
  BOOST_TEST(found.at(0).largest == 3e5, boost::test_tools::tolerance(1e-6));
}

BOOST_AUTO_TEST_CASE(what_is_kept_is_no_more_than_what_has_large_numbers) {
  // A stream of sums that grows beyond the range, and branches whose numbers are small.
  ValueId stream = x;
  for (int layer = 0; layer < 3; ++layer) {
    const std::string scope = "layer." + std::to_string(layer);
    const ValueId normed = add(scope + ".norm", "Div", {stream, number(layer == 0 ? 1 : 5e4)});
    const ValueId branch = add(scope + ".inner", "Mul", {normed, number(2)});
    const ValueId wide = layer == 0 ? add(scope + ".out", "Mul", {branch, number(4e4)}) : branch;
    stream = add(scope, "Add", {stream, wide});
  }
  g.add_output("y", add("last", "Div", {stream, number(1e5)}));
  const Ranges ranges = measured({1, 2, 3, 4});
  KeptModules kept;
  const std::vector<ModuleRange> added = keep_in_range({&ranges}, f16_end, kept);
  const std::set<std::string> names(kept.alone.begin(), kept.alone.end());
  // The last one computes in f32 by itself: the type does not have its number.
  const std::set<std::string> expected{"layer.0.out", "layer.0", "layer.1.norm", "layer.1", "layer.2.norm", "layer.2"};
  BOOST_TEST(names == expected, boost::test_tools::per_element());
  BOOST_TEST(added.size() == expected.size());
  BOOST_TEST(ranges.beyond(f16_end, kept).empty());
}

BOOST_AUTO_TEST_CASE(steps_inside_a_composite_count_where_the_opset_has_no_operator_for_it) {
  // The cube in the tanh form passes the range, and no result does.
  g.add_output("y", add("act", "Gelu", {x}, {{"approximate", std::string("tanh")}}));
  BOOST_TEST(modules(measured({60, 1, 2, 3}, 18).beyond(f16_end)) == Names{"act"}, boost::test_tools::per_element());
  BOOST_TEST(measured({60, 1, 2, 3}, 20).beyond(f16_end).empty());
  BOOST_TEST(measured({6, 1, 2, 3}, 18).beyond(f16_end).empty());
}

BOOST_AUTO_TEST_CASE(scores_count) {
  const ValueId q = add("split", "Unsqueeze", {x}, {{"axes", std::vector<int64_t>{1}}});
  g.add_output("y", add("attention", "Attention", {q, q, q}, {{"heads", int64_t{1}}, {"scale", 1.0}}));
  const std::vector<ModuleRange> found = measured({200, 200, 200, 1}).beyond(f16_end);
  BOOST_TEST(modules(found) == Names{"attention"}, boost::test_tools::per_element());
  BOOST_TEST(found.at(0).largest == 120001, boost::test_tools::tolerance(1e-6));
  BOOST_TEST(measured({20, 20, 20, 1}).beyond(f16_end).empty());
  // The operator of opset 23 has them in the type as well.
  BOOST_TEST(modules(measured({200, 200, 200, 1}, 24).beyond(f16_end)) == Names{"attention"},
             boost::test_tools::per_element());
  BOOST_TEST(measured({20, 20, 20, 1}, 24).beyond(f16_end).empty());
}

BOOST_AUTO_TEST_CASE(a_mask_is_no_number_that_is_too_large) {
  const ValueId lowest = number(std::numeric_limits<float>::lowest());
  const ValueId hidden = add("mask", "Less", {x, number(0)});
  const ValueId scores = add("scores", "Where", {hidden, lowest, x});
  g.add_output("y", add("scores", "Softmax", {add("scores", "Add", {scores, x})}));
  BOOST_TEST(measured({-1, 2, 3, 4}).beyond(f16_end).empty());
}

BOOST_AUTO_TEST_CASE(a_number_of_a_formula_is_no_mask) {
  // Computed in f32, it is given to what computes in the type.
  g.add_output("y", add("taker", "Mul", {add("up", "Mul", {x, number(6e7)}), x}));
  BOOST_TEST(measured({1e-4F, 2e-4F, 0, 0}).beyond(f16_end).empty());
  const std::vector<ModuleRange> found = measured({1, 2, 3, -4}).beyond(f16_end);
  BOOST_TEST(modules(found) == Names{"taker"}, boost::test_tools::per_element());
  BOOST_TEST(found.at(0).largest == 96e7, boost::test_tools::tolerance(1e-6));
  g.add_output("z", add("sums", "Mul", {add("shift", "Add", {x, number(7e4)}), x}));
  BOOST_TEST(modules(measured({1e-4F, 2e-4F, 0, 0}).beyond(f16_end)) == Names{"sums"},
             boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(what_is_in_f32_as_a_whole_has_no_range) {
  g.add_output("y", add("down", "Div", {x, number(1e6)}));
  BOOST_TEST(measured({1, 2, 3, -4}).beyond(f16_end).empty());
}

BOOST_AUTO_TEST_CASE(a_mask_ends_where_weights_are_met) {
  // A maximum over what a mask leaves, as of tokens that are no padding.
  const ValueId lowest = number(std::numeric_limits<float>::lowest());
  const ValueId kept = add("pool", "Where", {add("pool", "Less", {x, number(0)}), lowest, x});
  const ValueId most = add("pool", "ReduceMax", {kept}, {{"axes", std::vector<int64_t>{0}}, {"keepdims", int64_t{1}}});
  const ValueId table =
      g.add_constant(Tensor::of<float>(DType::f32, {4, 1}, std::vector<float>{5e4F, 5e4F, 5e4F, 5e4F}));
  g.add_output("y", add("dense", "Mul", {add("dense", "MatMul", {most, table}), number(1e-5)}));
  BOOST_TEST(modules(measured({1, 2, 3, 4}).beyond(f16_end)) == Names{"dense"}, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace ranges_test
