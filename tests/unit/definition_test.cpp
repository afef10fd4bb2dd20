// SPDX-License-Identifier: Apache-2.0
// A definition as a plugin writes it, over the host's real tables: where its nodes stand, and what its constants are.
#include <onnxport/plugin.hpp>

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>
#include <memory>

#include "core/definition/description_sink.hpp"
#include "core/definition/host_tables.hpp"
#include "core/definition/onnx_config.hpp"
#include "core/definition/status.hpp"

namespace definition_test {

namespace sdk = onnxport::sdk;
namespace ir = onnxport::ir;

namespace {

struct Fixture {
  ir::Graph made;
  onnxport_graph handle;
  sdk::Graph g;

  Fixture() : g((handle.graph = &made, &onnxport::plugin_host()), &handle) {}

  sdk::Value input(const char* name, ir::TensorType type) { return {g, made.add_input(name, std::move(type))}; }
  const std::string& scope_of_last() const { return made.nodes.back().scope; }
  template <class T>
  T scalar(double value, sdk::DType dtype) {
    const ir::Value& constant = made[g.scalar(value, dtype).id()];
    BOOST_TEST(static_cast<int32_t>(constant.type.dtype) == static_cast<int32_t>(dtype));
    return constant.constant->as<T>()[0];
  }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(definitions, Fixture)

BOOST_AUTO_TEST_CASE(an_operation_stands_where_its_first_placed_value_does) {
  const sdk::Value x = input("x", {ir::DType::f32, {2, 4}});
  const sdk::Value nowhere = x + x;
  BOOST_TEST(scope_of_last() == "");
  const sdk::Scope first = g.root() / "layers.0", second = g.root() / "layers.1";
  const sdk::Value a = nowhere.in(first), b = x.in(second);
  (void)(x * a);
  BOOST_TEST(scope_of_last() == "layers.0");
  (void)(a + b);
  BOOST_TEST(scope_of_last() == "layers.0");
  (void)(b + a);
  BOOST_TEST(scope_of_last() == "layers.1");
  (void)(2.0 - b);
  BOOST_TEST(scope_of_last() == "layers.1");
  (void)(first / "self").op("Relu", {b});
  BOOST_TEST(scope_of_last() == "layers.0.self");
}

BOOST_AUTO_TEST_CASE(the_order_of_calls_means_nothing) {
  const sdk::Value x = input("x", {ir::DType::f32, {2, 4}}).in(g.root() / "a");
  const sdk::Value other = sdk::relu(x.in(g.root() / "b"));  // between, and in another module
  const sdk::Value y = sdk::tanh(x);
  BOOST_TEST(scope_of_last() == "a");
  (void)(y + other);
  BOOST_TEST(scope_of_last() == "a");
}

BOOST_AUTO_TEST_CASE(a_failure_names_the_module) {
  const sdk::Value x = input("x", {ir::DType::f32, {2, 4}}).in(g.root() / "encoder.layer.3");
  try {
    (void)x.fixed(7);
    BOOST_FAIL("a fixed length of an axis that is not there");
  } catch (const sdk::Error& error) {
    BOOST_TEST(error.place() == "encoder.layer.3");
  }
}

BOOST_AUTO_TEST_CASE(an_input_that_is_not_there_is_named_beside_those_that_are) {
  sdk::Inputs inputs;
  inputs.emplace("input_ids", input("input_ids", {ir::DType::i64, {2, 4}}));
  inputs.emplace("mask", input("mask", {ir::DType::i64, {2, 4}}));
  BOOST_TEST(static_cast<bool>(inputs.at("mask")));
  BOOST_TEST(!inputs.maybe("attention_mask"));
  try {
    (void)inputs.at("attention_mask");
    BOOST_FAIL("an input that is not there");
  } catch (const sdk::Error& error) {
    BOOST_TEST(
        std::string(error.what())
            .starts_with(
                "the graph has no input 'attention_mask'; inputs() lists: input_ids, mask (at definition_test.cpp:"));
  }
}

BOOST_AUTO_TEST_CASE(a_tolerance_is_a_number_from_0_on) {
  onnxport::Description description;
  onnxport::detail::DescriptionSink sink(description);
  const auto told = [&](double tolerance) {
    const std::unique_ptr<onnxport_status> status(
        sink.real(&sink, onnxport::detail::abi("atol_for_validation"), tolerance));
    return status ? status->text : "";
  };
  BOOST_TEST(told(0) == "");
  BOOST_TEST(told(2e-3) == "");
  BOOST_TEST(description.reals.at("atol_for_validation") == 2e-3);
  BOOST_TEST(told(-1e-3) == "'atol_for_validation' is -0.001; expected a number from 0 on");
  BOOST_TEST(told(std::nan("")) == "'atol_for_validation' is nan; expected a number from 0 on");
  BOOST_TEST(told(std::numeric_limits<double>::infinity()).starts_with("'atol_for_validation' is inf;"));
  BOOST_TEST(description.reals.at("atol_for_validation") == 2e-3);
}

BOOST_AUTO_TEST_CASE(a_failure_names_the_line_that_asked_for_it) {
  const sdk::Value x = input("x", {ir::DType::f32, {2, 4}}), narrow = input("narrow", {ir::DType::f32, {3}});
  const auto line_of = [](const auto& call) {
    try {
      call();
    } catch (const sdk::Error& error) {
      const std::string text = error.what(), before = "(at definition_test.cpp:";
      const size_t at = text.rfind(before);
      BOOST_TEST(text.find("(at ") == at, text);  // once
      return at == std::string::npos ? 0 : std::stoi(text.substr(at + before.size()));
    }
    return -1;
  };
  // An operator, a function, a helper that calls others, a node by its name, a list, a shape; on lines of their own.
  const int first = __LINE__;
  BOOST_TEST(line_of([&] { (void)(x + narrow); }) == first + 1);
  BOOST_TEST(line_of([&] { (void)sdk::matmul(x, narrow); }) == first + 2);
  BOOST_TEST(line_of([&] { (void)sdk::split_at(narrow.in(g.root() / "a"), 7); }) == first + 3);
  BOOST_TEST(line_of([&] { (void)(g.root() / "a").op("MatMul", {x, narrow}); }) == first + 4);
  BOOST_TEST(line_of([&] { (void)sdk::concat({x, narrow}, 0); }) == first + 5);
  BOOST_TEST(line_of([&] { (void)sdk::einsum("ij,jk->ik", {x, narrow}); }) == first + 6);
  BOOST_TEST(line_of([&] { (void)x.fixed(7); }) == first + 7);
  const sdk::Value absent;
  const int second = __LINE__;
  BOOST_TEST(line_of([&] { (void)(absent + x); }) == second + 1);
  BOOST_TEST(line_of([&] { (void)absent.fixed(0); }) == second + 2);
  BOOST_TEST(line_of([&] { (void)sdk::concat({}, 0); }) == second + 3);
  BOOST_TEST(line_of([&] { (void)sdk::einsum("ij->ji", {}); }) == second + 4);
  BOOST_TEST(line_of([&] { (void)g.constant<double>(sdk::DType::f32, {1}, {1.0}); }) == second + 5);
  BOOST_TEST(line_of([&] { (void)g.scalar(300, sdk::DType::u8); }) == second + 6);
  BOOST_TEST(line_of([&] { (void)g.op("Concat", {x, x}); }) == second + 7);
  // A call in the arguments of another is told as its own, and one that went well leaves nothing behind.
  const auto nested = [&] { return sdk::relu(sdk::matmul(x, narrow)); };
  BOOST_TEST(line_of(nested) > first + 7);
  BOOST_TEST(sdk::relu(x).rank() == 2u);
  BOOST_TEST(sdk::CallSite::current().empty());
}

BOOST_AUTO_TEST_CASE(a_failure_says_what_was_given_and_what_is_expected) {
  const sdk::Value x = input("x", {ir::DType::f32, {ir::Dim::symbol("batch"), 4}}),
                   table = input("t", {ir::DType::f32, {4, 3}});
  const auto text_of = [](const auto& call) -> std::string {
    try {
      call();
    } catch (const sdk::Error& error) {
      const std::string text = error.what();
      return text.substr(0, text.rfind(" (at "));
    }
    return "";
  };
  const auto equation = [&](const char* letters) {
    const std::string text = text_of([&] { (void)sdk::einsum(letters, {x, table}); });
    return text.substr(std::min(text.size(), text.find("its equation")));
  };
  BOOST_TEST(equation("bi,ij->bj") == "");
  BOOST_TEST(equation("bi, ij") == "its equation \"bi,ij\" needs an explicit result (->)");
  BOOST_TEST(
      equation("bi;ij->bj").starts_with("its equation \"bi;ij->bj\" has a ';'; expected a letter for each axis"));
  BOOST_TEST(equation("bi->b") == "its equation \"bi->b\" is for 1 inputs, and was given 2");
  BOOST_TEST(equation("bi,ijk->bk") == "its equation \"bi,ijk->bk\" has 3 letters for input 1, which has 2 axes");
  BOOST_TEST(equation("bi,bj->ij") == "its equation \"bi,bj->ij\" has 'b' for batch and for 4");
  BOOST_TEST(equation("bi,ij->bz") == "its equation \"bi,ij->bz\" has 'z' in its result and in no input");

  BOOST_TEST(text_of([&] { (void)x.fixed(0); }) ==
             "axis 0 has no fixed length, it is 'batch'; size_of() yields the length that it has at run time");
  BOOST_TEST(text_of([&] { (void)x.fixed(2); }) == "axis 2 is asked for of a value of rank 2");
  BOOST_TEST(text_of([&] { (void)sdk::relu(sdk::Value()); }).starts_with("an absent value is used"));
  BOOST_TEST(text_of([&] { (void)sdk::Value().dtype(); }).starts_with("an absent value is used"));
  BOOST_TEST(text_of([&] { (void)g.constant<double>(sdk::DType::f32, {1}, {1.0}); }) ==
             "a constant f32[1] takes 4 bytes, and its data have 8; is the type that of the list?");
  BOOST_TEST(
      text_of([&] { (void)g.op("Softmx", {x}); }).ends_with("did you mean Softmax? docs/operators.md lists all"));
  BOOST_TEST(text_of([&] { (void)g.op("LayerNorm", {x}); }).ends_with("is a composite: composite(\"LayerNorm\", …)"));
  BOOST_TEST(text_of([&] { (void)g.composite("Softmax", {x}); }).ends_with("operator of ONNX's: op(\"Softmax\", …)"));
  BOOST_TEST(text_of([&] { (void)g.op("CumSum", {x}); }).ends_with("needs the attribute 'axis'"));
}

BOOST_AUTO_TEST_CASE(a_limit_is_a_number_from_0_on) {
  onnxport::Description description;
  onnxport::detail::DescriptionSink sink(description);
  const onnxport_type type{sizeof(onnxport_type), ONNXPORT_I64, 0, nullptr};
  BOOST_TEST(sink.input(&sink, onnxport::detail::abi("ids"), &type) == nullptr);
  BOOST_TEST(sink.value_limit(&sink, onnxport::detail::abi("ids"), 50) == nullptr);
  const std::unique_ptr<onnxport_status> status(sink.value_limit(&sink, onnxport::detail::abi("ids"), -1));
  BOOST_REQUIRE(status);
  BOOST_TEST(status->text == "the limit of the input 'ids' is -1, expected 0 or more");
  BOOST_TEST(description.inputs.at(0).limit == 50);
}

BOOST_AUTO_TEST_CASE(a_scalar_that_its_type_cannot_hold_is_refused) {
  BOOST_CHECK_THROW(g.scalar(std::nan(""), sdk::DType::i64), sdk::Error);
  BOOST_CHECK_THROW(g.scalar(0x1p63, sdk::DType::i64), sdk::Error);
  BOOST_CHECK_THROW(g.scalar(-1, sdk::DType::u8), sdk::Error);
  BOOST_CHECK_THROW(g.scalar(128, sdk::DType::i8), sdk::Error);
  BOOST_TEST(scalar<int64_t>(-0x1p63, sdk::DType::i64) == std::numeric_limits<int64_t>::min());
  BOOST_TEST(scalar<uint8_t>(255.5, sdk::DType::u8) == 255);
  BOOST_TEST(scalar<int8_t>(-128.9, sdk::DType::i8) == -128);
}

BOOST_AUTO_TEST_CASE(scalars_are_of_the_type_that_is_asked_for) {
  BOOST_TEST(scalar<float>(0.1, sdk::DType::f32) == 0.1f);
  BOOST_TEST(scalar<double>(0.1, sdk::DType::f64) == 0.1);
  BOOST_TEST(scalar<int32_t>(-3, sdk::DType::i32) == -3);
  BOOST_TEST(scalar<int64_t>(int64_t{1} << 40, sdk::DType::i64) == int64_t{1} << 40);
  BOOST_TEST(scalar<uint8_t>(1, sdk::DType::boolean) == 1);
}

BOOST_AUTO_TEST_CASE(scalars_of_16_bits_are_rounded_to_the_nearest) {
  const auto half = [&](double value) { return scalar<uint16_t>(value, sdk::DType::f16); };
  BOOST_TEST(half(1.0) == 0x3c00);
  BOOST_TEST(half(-2.0) == 0xc000);
  BOOST_TEST(half(0.1) == 0x2e66);
  BOOST_TEST(half(65504.0) == 0x7bff);
  BOOST_TEST(half(65519.9) == 0x7bff);
  BOOST_TEST(half(65520.0) == 0x7c00);
  BOOST_TEST(half(0x1p-14) == 0x0400);
  BOOST_TEST(half(0x1p-24) == 0x0001);
  BOOST_TEST(half(0x1p-26) == 0x0000);
  BOOST_TEST(half(2049.0) == half(2048.0));  // ties go to the even one
  BOOST_TEST(half(2051.0) == half(2052.0));
  BOOST_TEST(half(0x1.ffcp-15 + 0x1p-25) == 0x0400);  // rounds up into the normal numbers
  const auto brain = [&](double value) { return scalar<uint16_t>(value, sdk::DType::bf16); };
  BOOST_TEST(brain(1.0) == 0x3f80);
  BOOST_TEST(brain(0.1) == 0x3dcd);
  BOOST_TEST(brain(-3.0e38) == 0xff62);
}

BOOST_AUTO_TEST_CASE(a_list_in_braces_is_a_list) {
  const sdk::Value x = input("x", {ir::DType::f32, {2, 4, 1}});
  (void)g.op("Squeeze", {x}, {{"axes", {2}}});
  BOOST_TEST(made.nodes.back().integers("axes") == std::vector<int64_t>{2}, boost::test_tools::per_element());
  const sdk::Attribute reals("scales", {0.5, 2.0});
  BOOST_TEST(reals.type == static_cast<int32_t>(ONNXPORT_ATTR_FLOATS));
  BOOST_TEST(reals.floats == (std::vector<double>{0.5, 2.0}), boost::test_tools::per_element());
  BOOST_TEST(sdk::reshape(x, {0, 4}).rank() == 2u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace definition_test
