// SPDX-License-Identifier: Apache-2.0
// What passes a comparison, and what is said of what does not.
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>

#include "core/validate/compare.hpp"

namespace compare_test {

using namespace onnxport;
using ir::DType;
using ir::Tensor;

namespace {

constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();
constexpr float infinity = std::numeric_limits<float>::infinity();

Tensor f32(std::vector<int64_t> shape, const std::vector<float>& values) {
  return Tensor::of<float>(DType::f32, std::move(shape), values);
}

Difference one(const Tensor& expected, const Tensor& actual, double atol = 0, double rtol = 0) {
  const auto differences = compare({{"y", expected}}, {{"y", actual}}, atol, rtol);
  BOOST_REQUIRE_EQUAL(differences.size(), 1u);
  BOOST_TEST(differences[0].output == "y");
  return differences[0];
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(comparison)

BOOST_AUTO_TEST_CASE(the_worst_element_is_told) {
  const Difference d = one(f32({2, 3}, {1, 2, 3, 4, 5, 6}), f32({2, 3}, {1, 2.25F, 3, 4, 4, 6.5F}), 0.5);
  BOOST_TEST(!d.passes);
  BOOST_TEST(d.finite);
  BOOST_TEST(d.elements == 6);
  BOOST_TEST(d.mismatches == 1);
  BOOST_TEST(d.max_abs == 1.0);
  BOOST_TEST(d.max_rel == 0.2);
  BOOST_TEST(d.worst_index == (std::vector<int64_t>{1, 1}), boost::test_tools::per_element());
  BOOST_TEST(d.expected == 5.0);
  BOOST_TEST(d.actual == 4.0);
  BOOST_TEST(d.problem == "");
}

BOOST_AUTO_TEST_CASE(numbers_of_all_elements) {
  const Difference d = one(f32({4}, {1, 0, 0, 2}), f32({4}, {1, 0.5F, 0, 1.5F}), 1);
  BOOST_TEST(d.mean_abs == 0.25);
  BOOST_TEST(std::fabs(d.cosine - 4 / std::sqrt(5 * 3.5)) < 1e-12);
  BOOST_TEST(one(f32({2}, {0, 0}), f32({2}, {0, 0})).cosine == 1.0);
  BOOST_TEST(one(f32({2}, {1, 1}), f32({2}, {-1, -1}), 3).cosine == -1.0);
  BOOST_TEST(!d.same_best.has_value());
}

BOOST_AUTO_TEST_CASE(best_classes_of_logits) {
  const auto logits = [](const std::string& name, const Tensor& expected, const Tensor& actual) {
    return compare({{name, expected}}, {{name, actual}}, 100)[0];
  };
  const Tensor expected = f32({2, 7}, {0, 1, 2, 3, 4, 5, 6, 6, 5, 4, 3, 2, 1, 0});
  const Tensor swapped = f32({2, 7}, {0, 1, 2, 3, 4, 6, 5, 6, 5, 4, 3, 1, 2, 0});
  const Difference d = logits("logits", expected, swapped);
  BOOST_TEST(d.same_best.value() == 0.5);
  BOOST_TEST(d.same_best_five.value() == 0.5);
  BOOST_TEST(logits("start_logits", expected, expected).same_best.value() == 1.0);
  BOOST_TEST(!logits("last_hidden_state", expected, swapped).same_best.has_value());
  BOOST_TEST(!logits("logits", f32({1, 5}, {1, 2, 3, 4, 5}), f32({1, 5}, {1, 2, 3, 4, 5})).same_best_five.has_value());
}

BOOST_AUTO_TEST_CASE(values_that_differ) {
  const auto values = differing_values(f32({2, 2}, {1, 2, 3, not_a_number}), f32({2, 2}, {1, 3, 5, not_a_number}),
                                       {.absolute = 0.5}, 1);
  BOOST_REQUIRE_EQUAL(values.size(), 1u);
  BOOST_TEST(values[0].index == (std::vector<int64_t>{0, 1}), boost::test_tools::per_element());
  BOOST_TEST(values[0].expected == 2.0);
  BOOST_TEST(values[0].actual == 3.0);
}

BOOST_AUTO_TEST_CASE(tolerances_are_absolute_and_relative) {
  const Tensor expected = f32({2}, {0, 100}), actual = f32({2}, {0.25F, 101});
  BOOST_TEST(!one(expected, actual).passes);
  BOOST_TEST(!one(expected, actual, 0.5).passes);
  BOOST_TEST(one(expected, actual, 1).passes);
  BOOST_TEST(one(expected, actual, 0.25, 0.01).passes);
  BOOST_TEST(!one(expected, actual, 0, 0.01).passes);
  BOOST_TEST(one(expected, expected).passes);
}

BOOST_AUTO_TEST_CASE(nan_passes_only_beside_nan) {
  const Tensor with = f32({3}, {1, not_a_number, 3}), without = f32({3}, {1, 2, 3});
  for (const Difference& d : {one(with, without, 100), one(without, with, 100)}) {
    BOOST_TEST(!d.passes);
    BOOST_TEST(!d.finite);
    BOOST_TEST(d.mismatches == 1);
    BOOST_TEST(d.worst_index == std::vector<int64_t>{1}, boost::test_tools::per_element());
    BOOST_TEST(contains(d.problem, "NaN"), d.problem);
  }
  const Difference both = one(with, with);
  BOOST_TEST(both.passes);
  BOOST_TEST(!both.finite);
  BOOST_TEST(contains(both.problem, "NaN"), both.problem);  // worth a word all the same
  // Where nobody recorded it, it is what no model is meant to say.
  const Tolerance finite{.absolute = 1, .only_finite = true};
  for (const float value : {not_a_number, infinity})
    BOOST_TEST(!compare({{"y", f32({1}, {value})}}, {{"y", f32({1}, {value})}}, finite)[0].passes);
}

BOOST_AUTO_TEST_CASE(infinities_pass_only_beside_equal_ones) {
  BOOST_TEST(one(f32({2}, {infinity, -infinity}), f32({2}, {infinity, -infinity})).passes);
  BOOST_TEST(one(f32({2}, {infinity, -infinity}), f32({2}, {infinity, -infinity})).problem == "");
  BOOST_TEST(!one(f32({1}, {infinity}), f32({1}, {-infinity}), 1, 1).passes);
  BOOST_TEST(!one(f32({1}, {infinity}), f32({1}, {3e38F}), 1, 1).passes);
  BOOST_TEST(!one(f32({1}, {3e38F}), f32({1}, {infinity}), 1, 1).passes);
}

BOOST_AUTO_TEST_CASE(a_number_beside_nan_is_worse_than_any_difference) {
  const Difference d = one(f32({3}, {0, 0, 0}), f32({3}, {9, not_a_number, 9}), 10);
  BOOST_TEST(d.worst_index == std::vector<int64_t>{1}, boost::test_tools::per_element());
  BOOST_TEST(std::isnan(d.actual));
  BOOST_TEST(d.max_abs == 9.0);
}

BOOST_AUTO_TEST_CASE(shapes_and_types_must_be_equal) {
  const Tensor x = f32({2, 1}, {1, 2});
  Difference d = one(x, f32({1, 2}, {1, 2}));
  BOOST_TEST(!d.passes);
  BOOST_TEST((contains(d.problem, "[1, 2]") && contains(d.problem, "[2, 1]")), d.problem);
  d = one(x, Tensor::of<int64_t>(DType::i64, {2, 1}, {1, 2}));
  BOOST_TEST(!d.passes);
  BOOST_TEST((contains(d.problem, "i64") && contains(d.problem, "f32")), d.problem);
  BOOST_TEST(!one(Tensor::i64({1}), Tensor::of<int32_t>(DType::i32, {1}, {1})).passes);
  BOOST_TEST(!one(Tensor::of<uint8_t>(DType::boolean, {1}, {1}), Tensor::of<uint8_t>(DType::u8, {1}, {1})).passes);
}

BOOST_AUTO_TEST_CASE(floats_of_any_width_compare) {
  const Tensor expected = f32({3}, {1, -2, 0.5F});
  BOOST_TEST(one(expected, Tensor::of<uint16_t>(DType::f16, {3}, {0x3C00, 0xC000, 0x3800})).passes);
  BOOST_TEST(one(expected, Tensor::of<uint16_t>(DType::bf16, {3}, {0x3F80, 0xC000, 0x3F00})).passes);
  BOOST_TEST(one(expected, Tensor::of<double>(DType::f64, {3}, {1, -2, 0.5})).passes);
  const Difference d = one(expected, Tensor::of<uint16_t>(DType::f16, {3}, {0x3C00, 0xC000, 0x3A00}));
  BOOST_TEST(d.max_abs == 0.25);
  BOOST_TEST(d.actual == 0.75);
}

BOOST_AUTO_TEST_CASE(integers_compare) {
  BOOST_TEST(one(Tensor::i64({1, 5}), Tensor::i64({1, 5})).passes);
  BOOST_TEST(one(Tensor::i64({1, 5}), Tensor::i64({1, 7})).max_abs == 2.0);
  const auto check = [](DType dtype, auto low, auto high) {
    using T = decltype(low);
    const Tensor x = Tensor::of<T>(dtype, {2}, {low, high});
    BOOST_TEST(one(x, x).passes, ir::name_of(dtype));
    BOOST_TEST(!one(x, Tensor::of<T>(dtype, {2}, {low, static_cast<T>(high - 1)})).passes, ir::name_of(dtype));
  };
  check(DType::i32, int32_t{-3}, int32_t{9});
  check(DType::i16, int16_t{-3}, int16_t{9});
  check(DType::i8, int8_t{-3}, int8_t{9});
  check(DType::u8, uint8_t{3}, uint8_t{255});
  check(DType::u16, uint16_t{3}, uint16_t{65535});
  check(DType::u32, uint32_t{3}, uint32_t{4000000000});
  check(DType::u64, uint64_t{3}, uint64_t{9});
  check(DType::boolean, uint8_t{0}, uint8_t{1});
}

BOOST_AUTO_TEST_CASE(every_expected_output_is_told_of_in_order) {
  const Tensor x = f32({1}, {1});
  const auto differences = compare({{"c", x}, {"a", x}, {"b", x}}, {{"a", x}, {"c", x}, {"further", x}}, 0);
  BOOST_REQUIRE_EQUAL(differences.size(), 3u);
  BOOST_TEST(differences[0].output == "a");
  BOOST_TEST(differences[0].passes);
  BOOST_TEST(differences[1].output == "b");
  BOOST_TEST(!differences[1].passes);
  BOOST_TEST(contains(differences[1].problem, "missing"));
  BOOST_TEST(differences[2].passes);
}

BOOST_AUTO_TEST_CASE(nothing_equals_nothing) {
  const Difference d = one(f32({0, 3}, {}), f32({0, 3}, {}));
  BOOST_TEST(d.passes);
  BOOST_TEST(d.elements == 0);
  BOOST_TEST(one(f32({}, {2}), f32({}, {2})).worst_index.empty());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace compare_test
