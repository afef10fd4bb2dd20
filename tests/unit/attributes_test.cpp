// SPDX-License-Identifier: Apache-2.0
// Attributes are held against the operator's row, in the graph and as a plugin author sees it; those of others'
// operators are free and cross the ABI whole.
#include <onnxport/plugin.hpp>

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>

#include "core/definition/host_tables.hpp"
#include "core/definition/onnx_config.hpp"
#include "core/error.hpp"
#include "core/ir/operators.hpp"
#include "core/ir/scalar.hpp"

namespace attributes_test {

using namespace onnxport;
using namespace onnxport::ir;

namespace {

using Ints = std::vector<int64_t>;

struct Fixture {
  Graph g;
  ValueId x = g.add_input("x", {DType::f32, {Dim::symbol("batch"), Dim(8)}});
  ValueId weight = g.add_input("weight", {DType::f32, {Dim(8)}});

  const Node& add(const std::string& domain, const std::string& op, std::vector<ValueId> inputs, Attributes given) {
    g.add_node({domain, op, "encoder.norm", std::move(inputs), {}, std::move(given), ""});
    return g.nodes.back();
  }
  std::string refusal(const std::string& domain, const std::string& op, std::vector<ValueId> inputs, Attributes given) {
    try {
      add(domain, op, std::move(inputs), std::move(given));
    } catch (const Error& error) {
      BOOST_TEST((error.failure() == Failure::plugin));
      return error.what();
    }
    return "accepted";
  }
};

onnxport_string text(std::string_view from) {
  return {from.data(), from.size()};
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(attributes, Fixture)

BOOST_AUTO_TEST_CASE(a_composite_names_the_nearest_of_those_it_has) {
  BOOST_TEST(refusal(composite_domain, "LayerNorm", {x, weight}, {{"eps", 1e-5}}) ==
             "'encoder.norm': LayerNorm: has no attribute 'eps'; did you mean 'epsilon'? it has: "
             "epsilon");
  BOOST_TEST(
      refusal(composite_domain, "Linear", {x, g.add_input("w", {DType::f32, {Dim(4), Dim(8)}})}, {{"bias", int64_t{1}}})
          .ends_with(": has no attribute 'bias'; it has none"));
}

BOOST_AUTO_TEST_CASE(nothing_is_scaled_by_what_is_no_number) {
  const auto number = [this](double value) { return g.add_constant(float_scalar(value, DType::f32)); };
  constexpr double infinite = std::numeric_limits<double>::infinity();
  BOOST_TEST(refusal("", "Mul", {x, number(infinite)}, {}).ends_with("scales by inf; expected a finite number"));
  BOOST_TEST(refusal("", "Mul", {number(-infinite), x}, {}).ends_with("scales by -inf; expected a finite number"));
  BOOST_TEST(refusal("", "Div", {x, number(0)}, {}).ends_with("divides by 0; expected another number"));
  BOOST_TEST(refusal("", "Div", {number(0), x}, {}) == "accepted");
  BOOST_TEST(refusal("", "Mul", {x, number(0)}, {}) == "accepted");
  BOOST_TEST(refusal("", "Add", {x, number(-infinite)}, {}) == "accepted");
}

BOOST_AUTO_TEST_CASE(an_operator_of_onnx_as_well) {
  BOOST_TEST(refusal("", "Softmax", {x}, {{"axes", int64_t{-1}}})
                 .ends_with("has no attribute 'axes'; did you mean 'axis'? it has: axis"));
  BOOST_TEST(refusal("", "ReduceMean", {x}, {{"axes", Ints{1}}, {"keep_dims", int64_t{0}}})
                 .ends_with("has no attribute 'keep_dims'; did you mean 'keepdims'? it has: axes, keepdims"));
  BOOST_TEST(refusal("", "Reshape", {x}, {{"shape", Ints{-1}}, {"allowzero", int64_t{1}}})
                 .ends_with("has no attribute 'allowzero'; it has: shape"));
}

BOOST_AUTO_TEST_CASE(kinds_are_checked) {
  BOOST_TEST(
      refusal("", "Softmax", {x}, {{"axis", -1.0}}).ends_with("its attribute 'axis' is given as float; expected int"));
  BOOST_TEST(refusal("", "Unsqueeze", {x}, {{"axes", int64_t{1}}})
                 .ends_with("its attribute 'axes' is given as int; expected ints"));
  BOOST_TEST(refusal(composite_domain, "Gelu", {x}, {{"approximate", int64_t{1}}})
                 .ends_with("its attribute 'approximate' is given as int; expected text"));
  BOOST_TEST(refusal("", "Transpose", {x}, {{"perm", std::vector<double>{1, 0}}})
                 .ends_with("its attribute 'perm' is given as floats; expected ints"));
}

BOOST_AUTO_TEST_CASE(values_are_checked) {
  BOOST_TEST(refusal(composite_domain, "Gelu", {x}, {{"approximate", std::string("fast")}})
                 .ends_with("there is no form 'fast'; known: none, tanh, quick"));
  BOOST_TEST(refusal(composite_domain, "LayerNorm", {x, weight}, {{"epsilon", -1e-5}})
                 .ends_with("its attribute 'epsilon' is -1e-05; expected a number from 0 to 1000000"));
  BOOST_TEST(
      refusal("", "Clip", {x}, {{"min", std::nan("")}}).ends_with("its attribute 'min' is NaN; expected a number"));
  BOOST_TEST(refusal("", "Clip", {x}, {{"max", std::numeric_limits<double>::infinity()}})
                 .ends_with("its attribute 'max' is infinite; expected a number"));
  BOOST_TEST(refusal("", "Softmax", {x}, {{"axis", int64_t{2}}}).ends_with("axis 2 of a tensor of rank 2"));
}

BOOST_AUTO_TEST_CASE(a_whole_number_may_stand_for_a_float) {
  const Node& node = add("", "Clip", {x}, {{"min", int64_t{-1}}, {"max", 2.5}});
  BOOST_TEST(std::get<double>(node.attributes.at("min")) == -1.0);
  BOOST_TEST(std::get<double>(node.attributes.at("max")) == 2.5);
}

BOOST_AUTO_TEST_CASE(a_refused_node_leaves_the_graph_as_it_was) {
  const size_t nodes = g.nodes.size(), values = g.values.size();
  refusal("", "Softmax", {x}, {{"dim", int64_t{1}}});
  BOOST_TEST(g.nodes.size() == nodes);
  BOOST_TEST(g.values.size() == values);
}

BOOST_AUTO_TEST_CASE(as_a_plugin_author_sees_it) {
  onnxport_graph handle;
  handle.graph = &g;
  sdk::Graph graph(&plugin_host(), &handle);
  const sdk::Value in = graph.input("x"), gain = graph.input("weight");
  const auto refused = [](auto define) -> std::string {
    try {
      define();
    } catch (const sdk::Error& error) {
      BOOST_TEST(error.code() == ONNXPORT_GRAPH);
      return error.what();
    }
    return "accepted";
  };
  BOOST_TEST(refused([&] {
               graph.composite("RMSNorm", {in, gain}, {{"eps", 1e-6}});
             }).find("has no attribute 'eps'; did you mean 'epsilon'? it has: epsilon (at ") != std::string::npos);
  BOOST_TEST(refused([&] {
               graph.op("Softmax", {in}, {{"axis", "last"}});
             }).find("its attribute 'axis' is given as text; expected int (at ") != std::string::npos);
  BOOST_TEST(refused([&] { graph.composite("RMSNorm", {in, gain}, {{"epsilon", 1}}); }) == "accepted");
}

/// A list of floats is in none of the host's own operators; a company's may have one.
BOOST_AUTO_TEST_CASE(lists_of_floats_cross_the_abi_both_ways) {
  onnxport_graph handle;
  handle.graph = &g;
  const std::vector<TensorType> types{g[x].type};
  handle.foreign_types = &types;
  const double factors[] = {1.0, 0.25, 1e-30};
  onnxport_attribute given{};
  given.struct_size = sizeof given;
  given.name = text("factors");
  given.type = ONNXPORT_ATTR_FLOATS;
  given.floats = factors;
  given.count = 3;
  onnxport_node node{};
  node.struct_size = sizeof node;
  node.domain = text("com.company");
  node.op = text("Rescale");
  node.inputs = &x;
  node.input_count = 1;
  node.attributes = &given;
  node.attribute_count = 1;
  node.output_count = 1;
  const auto& host = plugin_host();
  const auto* table = static_cast<const onnxport_graph_1*>(host.get_interface(&host, text("graph"), 1));
  onnxport_value result = 0;
  BOOST_REQUIRE(table->node(&handle, &node, &result) == nullptr);
  const Node& made = g.nodes.back();
  BOOST_TEST(std::get<std::vector<double>>(made.attributes.at("factors")) == (std::vector<double>{1.0, 0.25, 1e-30}),
             boost::test_tools::per_element());

  const std::vector<onnxport_attribute> back = onnxport::detail::abi_attributes(made);
  BOOST_REQUIRE(back.size() == 1u);
  BOOST_TEST(back[0].type == ONNXPORT_ATTR_FLOATS);
  BOOST_TEST(
      (std::vector<double>(back[0].floats, back[0].floats + back[0].count) == std::vector<double>{1.0, 0.25, 1e-30}));

  const onnxport_attribute twice[] = {given, given};
  node.attributes = twice;
  node.attribute_count = 2;
  onnxport_status* status = table->node(&handle, &node, &result);
  BOOST_REQUIRE(status != nullptr);
  BOOST_TEST(onnxport::detail::text(host.status_text(status)).find("'factors' twice") != std::string_view::npos);
  host.status_release(status);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace attributes_test
