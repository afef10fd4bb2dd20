// SPDX-License-Identifier: Apache-2.0
// Borders of every kind, by widths that are known and by widths that only the run knows. The numbers are PyTorch 2's.
#include "tests/support/operator_case.hpp"

using namespace onnxport;
using namespace onnxport::ir;
using test::check_case;
using test::check_refusal;
using test::numbers_of;
namespace utf = boost::unit_test;
using Ints = std::vector<int64_t>;

namespace {

/// A case for each of the two ways to say how wide.
void check_border(const Tensor& x, Attributes attributes, const Ints& pads, const Ints& shape,
                  const std::vector<float>& numbers) {
  check_case({.domain = "", .op = "Pad", .inputs = {x, Tensor::i64(pads)}, .attributes = attributes, .fed = {1}}, shape,
             numbers);
  attributes["pads"] = pads;
  check_case({"", "Pad", {x}, attributes}, shape, numbers);
}

Attributes mode(const char* name, Ints axes) {
  return {{"mode", std::string(name)}, {"axes", std::move(axes)}};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(padding, *utf::precondition(test::both_built))

BOOST_AUTO_TEST_CASE(a_mirrored_border) {
  check_border(
      numbers_of({1, 2, 4}), mode("reflect", {-1}), {3, 2}, {1, 2, 9},
      {-0.825815F, -0.155541F, 1.091665F, 0.100000F, 1.091665F, -0.155541F, -0.825815F, -0.155541F, 1.091665F,
       -0.518137F, -0.599875F, 0.898487F, 0.594114F, 0.898487F, -0.599875F, -0.518137F, -0.599875F, 0.898487F});
}

BOOST_AUTO_TEST_CASE(a_border_that_repeats_the_edge) {
  check_border(numbers_of({1, 1, 2, 3}), mode("edge", {2, 3}), {2, 1, 0, 2}, {1, 1, 4, 6},
               {0.100000F,  0.100000F,  1.091665F,  -0.155541F, -0.155541F, -0.155541F, 0.100000F, 0.100000F,
                1.091665F,  -0.155541F, -0.155541F, -0.155541F, 0.100000F,  0.100000F,  1.091665F, -0.155541F,
                -0.155541F, -0.155541F, -0.825815F, -0.825815F, 0.594114F,  0.898487F,  0.898487F, 0.898487F});
}

BOOST_AUTO_TEST_CASE(a_border_that_wraps_around) {
  check_border(numbers_of({1, 1, 2, 3}), mode("wrap", {2, 3}), {2, 1, 0, 3}, {1, 1, 4, 7},
               {-0.155541F, 0.100000F,  1.091665F, -0.155541F, 0.100000F,  1.091665F, -0.155541F,
                0.898487F,  -0.825815F, 0.594114F, 0.898487F,  -0.825815F, 0.594114F, 0.898487F,
                -0.155541F, 0.100000F,  1.091665F, -0.155541F, 0.100000F,  1.091665F, -0.155541F,
                0.898487F,  -0.825815F, 0.594114F, 0.898487F,  -0.825815F, 0.594114F, 0.898487F});
}

BOOST_AUTO_TEST_CASE(a_border_of_one_number) {
  Attributes attributes = mode("constant", {3, 2});  // in any order
  attributes["value"] = -2.5;
  check_border(numbers_of({1, 1, 2, 2}), attributes, {1, 0, 0, 2}, {1, 1, 4, 3},
               {-2.5F, 0.100000F, 1.091665F, -2.5F, -0.155541F, -0.825815F, -2.5F, -2.5F, -2.5F, -2.5F, -2.5F, -2.5F});
  // Of all axes, and of other types.
  test::checked({"", "Pad", {numbers_of({2, 2})}, {{"pads", Ints{1, 0, 0, 1}}}});
  test::checked({"",
                 "Pad",
                 {Tensor::of<int64_t>(DType::i64, {1, 3}, {4, 5, 6})},
                 {{"pads", Ints{2, 0}}, {"axes", Ints{1}}, {"value", 7.0}}});
  test::checked({"",
                 "Pad",
                 {Tensor::of<uint8_t>(DType::boolean, {1, 3}, {1, 0, 1})},
                 {{"pads", Ints{1, 2}}, {"axes", Ints{1}}, {"value", 1.0}}});
}

BOOST_AUTO_TEST_CASE(a_border_of_nothing_is_no_node) {
  Graph g;
  const ValueId x = g.add_input("x", {DType::f32, {Dim::symbol("n"), Dim(3)}});
  const ValueId y = g.add_node({"", "Pad", "s", {x}, {}, {{"pads", Ints{0, 0, 0, 0}}}, ""})[0];
  g.add_output("y", g.add_node({"", "Relu", "s", {y}, {}, {}, ""})[0]);
  BOOST_TEST(lower(g, {.opset = 18, .patches = {}}).nodes.size() == 1u);
}

BOOST_AUTO_TEST_CASE(refusals_of_borders) {
  const Tensor x = numbers_of({1, 3});
  const auto refused = [&](Attributes attributes, const char* part) {
    check_refusal({"", "Pad", {x}, std::move(attributes)}, part);
  };
  Attributes mirrored = mode("reflect", {1}), wrapped = mode("wrap", {1}), unknown = mode("mirror", {1});
  mirrored["pads"] = Ints{3, 0};
  wrapped["pads"] = Ints{0, 4};
  unknown["pads"] = Ints{0, 0};
  refused(mirrored, "a pad of 3 in mode reflect of an axis of length 3");
  refused(wrapped, "a pad of 4 in mode wrap of an axis of length 3");
  refused(unknown, "no mode 'mirror'");
  refused({{"pads", Ints{0, -1, 0, 0}}}, "a pad of -1 takes away; use Slice");
  refused({{"pads", Ints{1, 1}}}, "2 entries; expected 4");
  refused({{"pads", Ints{1, 1, 0, 0}}, {"axes", Ints{1, -1}}}, "named twice");
}

BOOST_AUTO_TEST_SUITE_END()
