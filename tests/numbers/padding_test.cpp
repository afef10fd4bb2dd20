// SPDX-License-Identifier: Apache-2.0
// Borders around a tensor, of every kind, with pads that are known and pads that the run gives. The numbers are those
// of torch.nn.functional.pad (PyTorch 2), where "edge" is replicate and "wrap" is circular.
#include "tests/support/operator_case.hpp"

namespace padding_test {

using namespace onnxport;
using namespace onnxport::ir;
using test::check_case;
using test::check_refusal;
namespace utf = boost::unit_test;
using Ints = std::vector<int64_t>;

namespace {

const Tensor x = Tensor::of<float>(DType::f32, {2, 3}, std::vector<float>{1, 2, 3, 4, 5, 6});

struct Mode {
  std::string name;
  std::vector<float> numbers;  // of two columns more before, and one behind
};
const Mode modes[] = {
    {"constant", {0, 0, 1, 2, 3, 0, 0, 0, 4, 5, 6, 0}},
    {"reflect", {3, 2, 1, 2, 3, 2, 6, 5, 4, 5, 6, 5}},
    {"edge", {1, 1, 1, 2, 3, 3, 4, 4, 4, 5, 6, 6}},
    {"wrap", {2, 3, 1, 2, 3, 1, 5, 6, 4, 5, 6, 4}},
};

test::OperatorCase padded(std::vector<Tensor> inputs, Attributes attributes) {
  return {"", "Pad", std::move(inputs), std::move(attributes), 1, {0, 1}, {1}};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(padding, *utf::precondition(test::both_built))

BOOST_AUTO_TEST_CASE(every_mode_along_one_axis) {
  for (const auto& [mode, numbers] : modes) {
    check_case(padded({x}, {{"pads", Ints{2, 1}}, {"axes", Ints{-1}}, {"mode", mode}}), {2, 6}, numbers);
    check_case(padded({x}, {{"pads", Ints{0, 2, 0, 1}}, {"mode", mode}}), {2, 6}, numbers);
    check_case(padded({x, Tensor::i64({2, 1})}, {{"axes", Ints{1}}, {"mode", mode}}), {2, 6}, numbers);
  }
}

BOOST_AUTO_TEST_CASE(several_axes_and_a_value) {
  const std::vector<float> numbers{9, 9, 9, 9, 9, 1, 2, 3, 9, 9, 4, 5, 6, 9, 9};
  check_case(padded({x}, {{"pads", Ints{1, 0, 0, 2}}, {"value", 9.0}}), {3, 5}, numbers);
  check_case(padded({x, Tensor::i64({1, 0, 0, 2})}, {{"value", 9.0}}), {3, 5}, numbers);
  check_case(padded({x}, {{"pads", Ints{0, 1, 2, 0}}, {"axes", Ints{1, 0}}, {"value", 9.0}}), {3, 5}, numbers);
  check_case(padded({x}, {{"pads", Ints{1, 1, 0, 0}}, {"mode", std::string("wrap")}}), {3, 4},
             {6, 4, 5, 6, 3, 1, 2, 3, 6, 4, 5, 6});
  check_case(padded({x}, {{"pads", Ints{0, 0, 0, 0}}}), {2, 3}, {1, 2, 3, 4, 5, 6});
}

BOOST_AUTO_TEST_CASE(refusals) {
  check_refusal(padded({x}, {{"pads", Ints{1}}}), "has 1 entries; expected 4");
  check_refusal(padded({x}, {{"pads", Ints{0, -1, 0, 0}}}), "a pad of -1 takes away");
  check_refusal(padded({x}, {{"pads", Ints{3, 0}}, {"axes", Ints{1}}, {"mode", std::string("reflect")}}),
                "a pad of 3 in mode reflect of an axis of length 3");
  check_refusal(padded({x}, {{"pads", Ints{0, 0}}, {"axes", Ints{1}}, {"mode", std::string("mirror")}}),
                "there is no mode 'mirror'");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace padding_test
