// SPDX-License-Identifier: Apache-2.0
// Choosing among entries and putting entries back. The numbers are those of PyTorch 2.
#include <cmath>
#include <limits>

#include "tests/support/operator_case.hpp"

namespace selection_test {

using namespace onnxport;
using namespace onnxport::ir;
using test::check_case;
using test::check_refusal;
using test::numbers_of;
namespace utf = boost::unit_test;
using Ints = std::vector<int64_t>;

namespace {

Tensor i64(Ints shape, const Ints& values) {
  return Tensor::of<int64_t>(DType::i64, std::move(shape), values);
}
Tensor f32(Ints shape, const std::vector<float>& values) {
  return Tensor::of<float>(DType::f32, std::move(shape), values);
}

struct Reduction {
  std::string name;
  int64_t first_opset;
  std::vector<float> along_rows;  // of scatter_reduce
};
const Reduction reductions[] = {
    {"add", 16, {-0.055541F, 1.0F, 3.091665F, 3.0F, 3.768299F, 5.898487F}},
    {"mul", 16, {0.0F, 1.0F, 2.183330F, 3.0F, -1.962510F, 4.492436F}},
    {"min", 18, {-0.155541F, 1.0F, 1.091665F, 3.0F, -0.825815F, 0.898487F}},
    {"max", 18, {0.1F, 1.0F, 2.0F, 3.0F, 4.0F, 5.0F}},
};

}  // namespace

BOOST_AUTO_TEST_SUITE(selection, *utf::precondition(test::both_built))

/// By axis, as ONNX has them: torch.nonzero transposed.
BOOST_AUTO_TEST_CASE(places_that_are_not_zero) {
  const auto places = [](const Tensor& x) {
    return test::checked({.domain = "", .op = "NonZero", .inputs = {x}, .open = {0, 1}}).at("y0");
  };
  test::check_equal({{"y", places(f32({2, 3}, {0, 1, 0, -2, 0, 3}))}}, {{"y", i64({2, 3}, {0, 1, 1, 1, 0, 2})}}, 0,
                    "some");
  test::check_equal({{"y", places(f32({2, 2}, {0, 0, 0, 0}))}}, {{"y", i64({2, 0}, {})}}, 0, "none");
  test::check_equal({{"y", places(Tensor::of<uint8_t>(DType::boolean, {3}, std::vector<uint8_t>{1, 0, 1}))}},
                    {{"y", i64({1, 2}, {0, 2})}}, 0, "truths");
}

BOOST_AUTO_TEST_CASE(largest_and_smallest) {
  const Tensor x = f32({2, 4}, {3, 1, 4, 2, -5, -9, -2, -6});
  test::OperatorCase c{
      .domain = "", .op = "TopK", .inputs = {x}, .attributes = {{"k", int64_t{2}}}, .outputs = 2, .open = {0}};
  Tensors results = test::checked(c);
  test::check_equal(results, {{"y0", f32({2, 2}, {4, 3, -2, -5})}, {"y1", i64({2, 2}, {2, 0, 2, 0})}}, 0, "largest");
  c.attributes = {{"k", int64_t{1}}, {"axis", int64_t{0}}, {"largest", int64_t{0}}};
  results = test::checked(c);
  test::check_equal(results, {{"y0", f32({1, 4}, {-5, -9, -2, -6})}, {"y1", i64({1, 4}, {1, 1, 1, 1})}}, 0, "smallest");
  // As many as the run says: an order of all of them, among them.
  c.attributes = {{"largest", int64_t{0}}};
  c.inputs = {x, Tensor::i64({4})};
  c.fed = {1};
  c.open = {0, 1};
  results = test::checked(c);
  test::check_equal({{"y1", results.at("y1")}}, {{"y1", i64({2, 4}, {1, 3, 0, 2, 1, 3, 0, 2})}}, 0, "order");
  check_refusal({"", "TopK", {x}, {{"k", int64_t{5}}}}, "the 5 largest of 4");
}

/// As ONNX has it: what is out of the question is worth the same, and both back ends have to choose the same of it.
BOOST_AUTO_TEST_CASE(of_equals_the_first_are_chosen) {
  std::vector<float> values(64, 0);
  values[40] = 1;
  const Tensors results = test::checked({.domain = "",
                                         .op = "TopK",
                                         .inputs = {f32({1, 64}, values)},
                                         .attributes = {{"k", int64_t{4}}},
                                         .outputs = 2,
                                         .open = {0}});
  test::check_equal({{"y1", results.at("y1")}}, {{"y1", i64({1, 4}, {40, 0, 1, 2})}}, 0, "of equals");
}

BOOST_AUTO_TEST_CASE(scattering_elements) {
  const Tensor data = f32({2, 3}, {0, 1, 2, 3, 4, 5}), indices = i64({2, 3}, {0, 2, 0, 1, 1, 2});
  for (const Reduction& reduction : reductions) {
    check_case({.domain = "",
                .op = "ScatterElements",
                .inputs = {data, indices, numbers_of({2, 3})},
                .attributes = {{"axis", int64_t{1}}, {"reduction", reduction.name}},
                .open = {},
                .first_opset = reduction.first_opset},
               {2, 3}, reduction.along_rows);
  }
  check_case({"",
              "ScatterElements",
              {data, i64({1, 2}, {-1, 0}), f32({1, 2}, {7, 8})},
              {{"axis", int64_t{1}}, {"reduction", std::string("none")}},
              1,
              {}},
             {2, 3}, {8, 1, 7, 3, 4, 5});
}

BOOST_AUTO_TEST_CASE(scattering_parts) {
  const Tensor data = f32({2, 3}, {0, 1, 2, 3, 4, 5});
  test::OperatorCase places{"", "ScatterND", {data, i64({2, 2}, {0, 2, -1, 0}), f32({2}, {7, 8})}, {}, 1, {}};
  check_case(places, {2, 3}, {0, 1, 7, 8, 4, 5});
  test::OperatorCase rows{"", "ScatterND", {data, i64({2, 1}, {1, 1}), f32({2, 3}, {2, -1, 3, 4, 5, -6})}, {}, 1, {}};
  const std::map<std::string, std::vector<float>> expected{{"add", {0, 1, 2, 9, 8, 2}},
                                                           {"mul", {0, 1, 2, 24, -20, -90}},
                                                           {"min", {0, 1, 2, 2, -1, -6}},
                                                           {"max", {0, 1, 2, 4, 5, 5}}};
  for (const Reduction& reduction : reductions) {
    rows.attributes["reduction"] = reduction.name;
    rows.first_opset = reduction.first_opset;
    check_case(rows, {2, 3}, expected.at(reduction.name));
  }
}

BOOST_AUTO_TEST_CASE(a_reduction_that_an_opset_lacks) {
  const Tensor data = f32({2, 3}, {0, 1, 2, 3, 4, 5});
  for (const Reduction& reduction : reductions) {
    const Graph g = test::graph_of(
        {"", "ScatterND", {data, i64({1, 1}, {1}), f32({1, 3}, {1, 2, 3})}, {{"reduction", reduction.name}}}, false);
    BOOST_CHECK_EXCEPTION(
        lower(g, {.opset = reduction.first_opset - 1, .patches = {}}), Error, [&](const Error& error) {
          const std::string said = error.what();
          return error.failure() == Failure::usage && said.find("'test'") != std::string::npos &&
                 said.find("reduction '" + reduction.name + "' needs opset " + std::to_string(reduction.first_opset)) !=
                     std::string::npos;
        });
  }
  check_refusal({"", "ScatterND", {data, i64({1, 1}, {1}), f32({1, 2}, {1, 2})}},
                "its updates are [1, 2]; expected [1, 3]");
  check_refusal(
      {"", "ScatterND", {data, i64({1, 1}, {1}), f32({1, 3}, {1, 2, 3})}, {{"reduction", std::string("sum")}}},
      "no reduction 'sum'; known: none, add, mul, min, max");
}

BOOST_AUTO_TEST_CASE(what_is_no_number) {
  const float nan = std::numeric_limits<float>::quiet_NaN(), infinite = std::numeric_limits<float>::infinity();
  const Tensors results = test::checked({"", "IsNaN", {f32({4}, {0, nan, infinite, -1})}, {}, 1, {0}});
  test::check_equal(results, {{"y0", Tensor::of<uint8_t>(DType::boolean, {4}, {0, 1, 0, 0})}}, 0, "torch");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace selection_test
