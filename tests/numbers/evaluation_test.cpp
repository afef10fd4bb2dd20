// SPDX-License-Identifier: Apache-2.0
// What is computed of constants at export, against libtorch.
#include <boost/test/unit_test.hpp>
#include <limits>

#include "core/checkpoint/checkpoint.hpp"
#include "core/passes/fold_constants.hpp"
#include "core/passes/recipe.hpp"
#include "tests/support/graph_fixture.hpp"

namespace evaluation_test {

using namespace onnxport;
using namespace onnxport::ir;
using test::filled;

namespace {

using Ints = std::vector<int64_t>;

/// Nodes of constants alone, whose results are held against the reference.
struct Fixture : test::GraphFixture {
  ValueId reals(const Ints& shape) { return g.add_constant(filled(shape, 0.7F)); }
  ValueId ints(const Ints& shape, Ints values) { return g.add_constant(Tensor::of(DType::i64, shape, values)); }
  ValueId bools(const Ints& shape, const std::vector<uint8_t>& values) {
    return g.add_constant(Tensor::of(DType::boolean, shape, values));
  }

  /// Adds the node, and says whether its row computes what the reference does.
  void check(const std::string& op, std::vector<ValueId> inputs, Attributes attributes = {}, size_t outputs = 1) {
    BOOST_TEST_CONTEXT(op) {
      const std::vector<ValueId> results = add_all(op, std::move(inputs), std::move(attributes), outputs);
      const Node& node = g.nodes.back();
      std::vector<const Tensor*> known;
      for (ValueId id : node.inputs) known.push_back(id == absent ? nullptr : g[id].constant.get());
      std::vector<TensorType> types;
      for (ValueId id : results) types.push_back(g[id].type);
      const Evaluated found = evaluate({node, known, types});
      BOOST_REQUIRE(found.has_value());
      Graph alone = g;
      alone.outputs.clear();
      Tensors computed;
      for (size_t i = 0; i < results.size(); ++i) {
        alone.add_output(std::to_string(i), results[i]);
        computed.emplace(std::to_string(i), (*found)[i]);
      }
      test::check_equal(computed, test::by_reference(alone, {}), 1e-6, "the row");
    }
  }
};

constexpr int64_t end = std::numeric_limits<int64_t>::max();

}  // namespace

BOOST_FIXTURE_TEST_SUITE(evaluation, Fixture, *boost::unit_test::precondition(test::both_built))

BOOST_AUTO_TEST_CASE(element_by_element) {
  for (const char* op : {"Abs", "Neg", "Exp", "Reciprocal", "Erf", "Tanh", "Sigmoid", "Relu", "Softplus", "Softsign",
                         "Sin", "Cos", "Floor", "Ceil", "Round", "Sign", "IsNaN"})
    check(op, {reals({2, 3})});
  const ValueId positive = g.add_constant(Tensor::of<float>(DType::f32, {3}, {0.5F, 2, 9}));
  for (const char* op : {"Log", "Sqrt"}) check(op, {positive});
  for (const char* op : {"Add", "Sub", "Mul", "Div", "Min", "Max", "Less", "LessOrEqual", "Greater", "GreaterOrEqual"})
    check(op, {reals({2, 1, 3}), reals({4, 1})});
  check("Pow", {positive, reals({3})});
  check("Clip", {reals({2, 3})}, {{"min", -0.5}, {"max", 0.25}});
  const ValueId some = bools({2, 1}, {1, 0}), others = bools({3}, {0, 1, 1});
  for (const char* op : {"And", "Or"}) check(op, {some, others});
  check("Not", {others});
  check("Where", {some, reals({2, 3}), reals({1})});
}

BOOST_AUTO_TEST_CASE(whole_numbers) {
  const ValueId a = ints({4}, {7, -7, 7, -7}), b = ints({4}, {2, 2, -2, -2});
  for (const char* op : {"Add", "Sub", "Mul", "Div", "Mod", "Min", "Max", "Equal", "Less"}) check(op, {a, b});
  check("Neg", {a});
  check("Cast", {a}, {{"to", static_cast<int64_t>(DType::f32)}});
  check("Cast", {a}, {{"to", static_cast<int64_t>(DType::boolean)}});
  check("Cast", {reals({5})}, {{"to", static_cast<int64_t>(DType::i64)}});
  check("Range", {ints({}, {2}), ints({}, {11}), ints({}, {3})});
  check("Range", {ints({}, {4}), ints({}, {-1}), ints({}, {-2})});
}

BOOST_AUTO_TEST_CASE(what_no_double_holds_is_left_to_the_runtime) {
  const ValueId large = ints({1}, {int64_t{1} << 60}), one = ints({1}, {1});
  const ValueId sum = add("Max", {large, one});
  const Tensor &a = *g[large].constant, &b = *g[one].constant;
  BOOST_TEST(!evaluate({g.nodes.back(), {&a, &b}, {g[sum].type}}).has_value());
  const ValueId divided = add("Mod", {one, ints({1}, {0})});
  const Tensor zero = Tensor::i64({0});
  BOOST_TEST(!evaluate({g.nodes.back(), {&b, &zero}, {g[divided].type}}).has_value());
}

BOOST_AUTO_TEST_CASE(other_places) {
  const ValueId x = reals({2, 5, 3});
  check("Concat", {x, reals({2, 1, 3}), x}, {{"axis", int64_t{1}}});
  check("Split", {x}, {{"axis", int64_t{1}}, {"split", Ints{2, 3}}}, 2);
  check("Expand", {reals({5, 1})}, {{"shape", Ints{2, 5, 3}}});
  check("Slice", {x}, {{"starts", Ints{-1, 0}}, {"ends", Ints{-end, 2}}, {"axes", Ints{1, 2}}, {"steps", Ints{-2, 1}}});
  check("Slice", {x, ints({1}, {1}), ints({1}, {4})}, {{"axes", Ints{1}}});
  check("Gather", {x, ints({2, 2}, {0, -1, 3, 1})}, {{"axis", int64_t{1}}});
  check("Gather", {x, ints({}, {1})}, {{"axis", int64_t{2}}});
  check("Trilu", {reals({2, 4, 3})}, {{"upper", int64_t{0}}, {"k", int64_t{-1}}});
  check("Transpose", {x}, {{"perm", Ints{2, 0, 1}}});
  check("Unsqueeze", {x}, {{"axes", Ints{0, -1}}});
}

BOOST_AUTO_TEST_CASE(along_axes) {
  const ValueId x = reals({2, 5, 3});
  for (const char* op : {"ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL2"}) {
    check(op, {x}, {{"axes", Ints{0, -1}}});
    check(op, {x}, {{"axes", Ints{1}}, {"keepdims", int64_t{0}}});
    check(op, {x});
  }
  for (const int64_t exclusive : {0, 1}) {
    for (const int64_t reverse : {0, 1})
      check("CumSum", {x}, {{"axis", int64_t{1}}, {"exclusive", exclusive}, {"reverse", reverse}});
  }
  check("MatMul", {reals({2, 1, 4, 3}), reals({5, 3, 2})});
  check("MatMul", {reals({4, 3}), reals({2, 3, 1})});
}

BOOST_AUTO_TEST_CASE(lowered_graphs_hold_no_node_of_constants) {
  const ValueId image = input("image", {batch, 2, Dim(8)}, filled({3, 2, 8}, 0.3F));
  const ValueId positions = add("Range", {ints({}, {0}), add("Size", {image}, {{"axis", int64_t{2}}}), ints({}, {1})});
  const ValueId angles = add("Cos", {add("Cast", {positions}, {{"to", static_cast<int64_t>(DType::f32)}})});
  const ValueId twice = add("Concat", {angles, angles}, {{"axis", int64_t{0}}});
  g.add_output(
      "y", add("Mul", {image, add("Slice", {twice}, {{"starts", Ints{4}}, {"ends", Ints{12}}, {"axes", Ints{0}}})}));
  const Graph lowered = lower(g, {.opset = 18, .patches = {}});
  BOOST_TEST(lowered.nodes.size() == 1U);
  check_all_opsets();
}

BOOST_AUTO_TEST_CASE(a_result_that_would_make_the_file_larger_stays) {
  const ValueId x = input("x", {batch, Dim(512), Dim(512)}, filled({1, 512, 512}, 0.3F));
  const ValueId large = add("Expand", {reals({512, 1})}, {{"shape", Ints{512, 512}}});
  g.add_output("y", add("Mul", {x, large}));
  BOOST_TEST(lower(g, {.opset = 18, .patches = {}}).nodes.size() == 2U);
  // Unless all is fixed anyway, and a mask of all places is one of the constants.
  const LoweringOptions fixed{.opset = 18, .patches = {}, .inputs = {.fixed = {{"batch", 1}}}};
  BOOST_TEST(lower(g, fixed).nodes.size() == 1U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace evaluation_test
