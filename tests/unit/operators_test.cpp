// SPDX-License-Identifier: Apache-2.0
// Shape inference over symbolic dimensions.
#include <boost/test/unit_test.hpp>

#include "core/error.hpp"
#include "core/ir/operators.hpp"

namespace operators_test {

using namespace onnxport;
using namespace onnxport::ir;

namespace {

struct Fixture {
  Graph g;
  Dim batch = Dim::symbol("batch"), sequence = Dim::symbol("sequence");
  ValueId ids = g.add_input("ids", {DType::i64, {batch, sequence}});
  ValueId x = g.add_input("x", {DType::f32, {batch, sequence, Dim(24)}});

  ValueId add(const std::string& domain, const std::string& op, std::vector<ValueId> inputs,
              Attributes attributes = {}) {
    return g.add_node({domain, op, "scope", std::move(inputs), {}, std::move(attributes), ""})[0];
  }
  std::string type(ValueId id) { return to_string(g[id].type); }
  std::string refusal(const std::string& op, std::vector<ValueId> inputs, Attributes attributes = {}) {
    try {
      add("", op, std::move(inputs), std::move(attributes));
    } catch (const Error& error) {
      BOOST_TEST((error.failure() == Failure::plugin));
      return error.what();
    }
    return "accepted";
  }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(operators, Fixture)

BOOST_AUTO_TEST_CASE(reshape_keeps_symbols) {
  BOOST_TEST(type(add("", "Reshape", {x}, {{"shape", std::vector<int64_t>{0, 0, 4, 6}}})) ==
             "f32[batch, sequence, 4, 6]");
  BOOST_TEST(type(add("", "Reshape", {x}, {{"shape", std::vector<int64_t>{0, 0, 4, -1}}})) ==
             "f32[batch, sequence, 4, 6]");
  BOOST_TEST(refusal("Reshape", {x}, {{"shape", std::vector<int64_t>{-1, -1}}}).find("two entries of -1") !=
             std::string::npos);
}

BOOST_AUTO_TEST_CASE(rows_that_are_a_multiple_of_a_symbol_are_divided) {
  const ValueId rows = add("", "Reshape", {g.add_input("a", {DType::f32, {batch, Dim(4), Dim(48)}})},
                           {{"shape", std::vector<int64_t>{-1, 48}}});
  BOOST_TEST(type(rows) == "f32[4*batch, 48]");
  BOOST_TEST(type(add("", "Reshape", {rows}, {{"shape", std::vector<int64_t>{-1, 4, 48}}})) == "f32[batch, 4, 48]");
  BOOST_TEST(type(add("", "Reshape", {rows}, {{"shape", std::vector<int64_t>{-1, 8, 48}}})) ==
             "f32[(192*batch)/384, 8, 48]");
}

BOOST_AUTO_TEST_CASE(a_shape_that_is_taken_apart_and_put_together_stays_known) {
  const ValueId batch_and_sequence = add("", "Shape", {ids});
  BOOST_REQUIRE(g[batch_and_sequence].contents.has_value());
  BOOST_TEST(to_string(*g[batch_and_sequence].contents) == "[batch, sequence]");
  const ValueId target =
      add("", "Concat",
          {add("", "Shape", {x}, {{"start", int64_t{0}}, {"end", int64_t{2}}}), g.add_constant(Tensor::i64({2, 12}))},
          {{"axis", int64_t{0}}});
  BOOST_TEST(type(add("", "Reshape", {x, target})) == "f32[batch, sequence, 2, 12]");
}

BOOST_AUTO_TEST_CASE(rows_of_choices_and_back) {
  const ValueId choices = g.add_input("c", {DType::i64, {batch, Dim::symbol("choice"), sequence}});
  const ValueId target = add(
      "", "Concat",
      {g.add_constant(Tensor::i64({-1})), add("", "Shape", {choices}, {{"start", int64_t{2}}, {"end", int64_t{3}}})},
      {{"axis", int64_t{0}}});
  const ValueId rows = add("", "Reshape", {choices, target});
  BOOST_TEST(g[rows].type.shape[1].to_string() == "sequence");
  const ValueId back = add("", "Reshape", {rows, add("", "Shape", {choices})});
  BOOST_TEST(type(back) == type(choices));
}

BOOST_AUTO_TEST_CASE(broadcasting_refuses_unequal_symbols) {
  BOOST_TEST(to_string(broadcast({batch, Dim(1), Dim(4)}, {sequence, Dim(4)})) == "[batch, sequence, 4]");
  BOOST_CHECK_THROW(broadcast({batch}, {sequence}), std::invalid_argument);
}

BOOST_AUTO_TEST_CASE(slices) {
  const auto slice = [&](int64_t begin, int64_t end, int64_t axis, int64_t step) {
    return type(add("", "Slice", {x},
                    {{"starts", std::vector<int64_t>{begin}},
                     {"ends", std::vector<int64_t>{end}},
                     {"axes", std::vector<int64_t>{axis}},
                     {"steps", std::vector<int64_t>{step}}}));
  };
  BOOST_TEST(slice(1, INT64_MAX, 1, 1) == "f32[batch, sequence - 1, 24]");
  BOOST_TEST(slice(0, -1, 1, 1) == "f32[batch, sequence - 1, 24]");
  BOOST_TEST(slice(0, 12, 2, 1) == "f32[batch, sequence, 12]");
  BOOST_TEST(slice(-1, INT64_MIN, 2, -1) == "f32[batch, sequence, 24]");
  BOOST_TEST(slice(0, 24, -1, 2) == "f32[batch, sequence, 12]");
}

BOOST_AUTO_TEST_CASE(linear_and_attention_know_their_widths) {
  const ValueId weight = g.add_input("w", {DType::f32, {Dim(8), Dim(24)}});
  BOOST_TEST(type(add(composite_domain, "Linear", {x, weight})) == "f32[batch, sequence, 8]");
  BOOST_TEST(type(add(composite_domain, "Attention", {x, x, x}, {{"heads", int64_t{4}}, {"kv_heads", int64_t{4}}})) ==
             "f32[batch, sequence, 24]");
  BOOST_CHECK_THROW(add(composite_domain, "Attention", {x, x, x}, {{"heads", int64_t{5}}, {"kv_heads", int64_t{5}}}),
                    Error);
}

BOOST_AUTO_TEST_CASE(refusals_name_scope_operator_and_types) {
  const std::string text = refusal("Add", {ids, x});
  BOOST_TEST(text.find("'scope'") != std::string::npos);
  BOOST_TEST(text.find("Add(i64[batch, sequence], f32[batch, sequence, 24])") != std::string::npos);
  BOOST_TEST(refusal("NoSuchOperator", {x}).find("'NoSuchOperator'") != std::string::npos);
  BOOST_TEST(refusal("MatMul", {x}).find("takes 2 to 2") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(equal_constants_are_one_value) {
  BOOST_TEST(g.add_constant(Tensor::i64({1, 2})) == g.add_constant(Tensor::i64({1, 2})));
  BOOST_TEST(g.add_constant(Tensor::i64({1, 2})) != g.add_constant(Tensor::i64({2, 1})));
  BOOST_TEST(g.add_constant(Tensor::i64({1})) != g.add_constant(Tensor::i64_scalar(1)));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace operators_test
