// SPDX-License-Identifier: Apache-2.0
// Files whose inputs have another form than the definition's: fixed axes, ids in 32 bits, a number of logits.
#include <boost/test/unit_test.hpp>

#include "core/error.hpp"
#include "core/passes/fix_axes.hpp"
#include "core/passes/keep_logits.hpp"
#include "core/passes/pipeline.hpp"
#include "core/validate/file_inputs.hpp"
#include "tests/support/graph_fixture.hpp"

namespace fixed_shapes_test {

using namespace onnxport;
using namespace onnxport::ir;
using test::filled;

namespace {

using Ints = std::vector<int64_t>;

size_t count(const Graph& graph, const std::string& op) {
  return static_cast<size_t>(
      std::count_if(graph.nodes.begin(), graph.nodes.end(), [&](const Node& node) { return node.op == op; }));
}

/// A decoder of one layer: attention with a mask, a norm, a head with a cap.
struct Decoder : test::GraphFixture {
  Decoder() {
    const auto constant = [&](const Ints& shape, float step) { return g.add_constant(filled(shape, step)); };
    const ValueId ids = input("ids", {batch, n}, Tensor::of<int64_t>(DType::i64, {2, 3}, {1, 4, 2, 0, 3, 3}));
    const ValueId mask = input("mask", {batch, n}, Tensor::of<int64_t>(DType::i64, {2, 3}, {1, 1, 1, 1, 1, 0}));
    const ValueId x = add("Embedding", {constant({5, 8}, 0.7F), ids});
    const ValueId mixed = add("Attention", {x, x, x, absent, mask}, {{"heads", int64_t{2}}, {"causal", int64_t{1}}});
    hidden = add("Add", {x, mixed});
    const ValueId normed = add("LayerNorm", {hidden, constant({8}, 0.2F)});
    const ValueId scores = add("Linear", {normed, constant({5, 8}, 0.4F)});
    g.add_output("logits", add("Tanh", {scores}));
  }

  /// The file that a form of the definition makes, by ONNX Runtime.
  Tensors by_file(const InputForm& form, const Tensors& inputs, int64_t opset = 18) const {
    const Graph lowered = lower(g, {.opset = opset, .patches = {}, .inputs = form, .logits = "logits"});
    return test::run_model(to_model(lowered, {.opset = opset, .metadata = {}}).model, as_file_takes(inputs, form));
  }

  ValueId hidden;
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(fixed_shapes, Decoder, *boost::unit_test::precondition(test::both_built))

BOOST_AUTO_TEST_CASE(no_length_is_asked_for_where_all_are_fixed) {
  const InputForm form{.fixed = {{"batch", 2}, {"n", 3}}};
  for (const int64_t opset : {13, 18, 24}) {
    const Graph lowered = lower(g, {.opset = opset, .patches = {}, .inputs = form});
    BOOST_TEST_CONTEXT("opset " << opset) {
      for (const char* op : {"Shape", "Range", "Concat", "Expand", "Size"}) BOOST_TEST(count(lowered, op) == 0U, op);
      for (const auto* list : {&lowered.inputs, &lowered.outputs}) {
        for (const NamedValue& value : *list) BOOST_TEST(element_count(lowered[value.value].type.shape).has_value());
      }
      test::check_equal(by_file(form, values, opset), test::by_reference(g, values), 1e-5, "the fixed file");
    }
  }
}

BOOST_AUTO_TEST_CASE(lengths_that_are_made_of_lengths) {
  const auto number = [&](int64_t value) { return g.add_constant(Tensor::i64_scalar(value)); };
  const auto range = [&](ValueId length) { return add("Range", {number(0), length, number(1)}); };
  const auto size_of = [&](ValueId x, int64_t axis) { return add("Size", {x}, {{"axis", axis}}); };
  // Halves of the text, and one more than there are halves: each has an axis of its own until the text's is known.
  const ValueId half = size_of(range(add("Div", {size_of(hidden, 1), number(2)})), 0);
  const ValueId places = range(add("Add", {half, number(1)}));
  g.add_output("places", add("Add", {places, size_of(hidden, 0)}));
  const InputForm form{.fixed = {{"n", 3}}};
  const Graph lowered = lower(g, {.opset = 18, .patches = {}, .inputs = form});
  BOOST_TEST(count(lowered, "Range") == 0U);
  BOOST_TEST(to_string(lowered[lowered.outputs[1].value].type) == "i64[2]");
  BOOST_TEST(to_string(lowered[lowered.outputs[0].value].type) == "f32[batch, 3, 5]");
  test::check_equal(by_file(form, values), test::by_reference(g, values), 1e-5, "the fixed file");
}

BOOST_AUTO_TEST_CASE(one_axis_of_two) {
  const InputForm form{.fixed = {{"batch", 2}}};
  const Graph lowered = lower(g, {.opset = 18, .patches = {}, .inputs = form});
  BOOST_TEST(to_string(lowered[lowered.inputs[0].value].type) == "i64[2, n]");
  BOOST_TEST(to_string(lowered[lowered.outputs[0].value].type) == "f32[2, n, 5]");
  test::check_equal(by_file(form, values), test::by_reference(g, values), 1e-5, "the fixed file");
}

BOOST_AUTO_TEST_CASE(names_of_what_stays_open_are_kept) {
  g[g.outputs[0].value].type.shape[1] = Dim::symbol("patches");
  fix_axes(g, {{"batch", 2}});
  BOOST_TEST(to_string(g[g.outputs[0].value].type) == "f32[2, patches, 5]");
}

BOOST_AUTO_TEST_CASE(a_size_that_the_model_fixes) {
  g[g.inputs[0].value].open_axes = {{1, "places"}};
  g[g.inputs[0].value].type.shape[1] = Dim(3);
  BOOST_CHECK_EXCEPTION(fix_axes(g, {{"places", 4}}), Error, [](const Error& error) {
    return std::string(error.what()) ==
           "the axis 'places' of the input 'ids' is of size 3 in this model, and 4 was asked for";
  });
}

BOOST_AUTO_TEST_CASE(ids_in_32_bits) {
  const InputForm form{.int32 = true};
  const Graph lowered = lower(g, {.opset = 18, .patches = {}, .inputs = form});
  for (const NamedValue& input : lowered.inputs) BOOST_TEST((lowered[input.value].type.dtype == DType::i32));
  // A table is looked up in by them as they are.
  const auto gather =
      std::find_if(lowered.nodes.begin(), lowered.nodes.end(), [](const Node& node) { return node.op == "Gather"; });
  BOOST_TEST(gather->inputs[1] == lowered.inputs[0].value);
  test::check_equal(by_file(form, values), test::by_reference(g, values), 1e-5, "the file of 32 bits");
}

BOOST_AUTO_TEST_CASE(logits_of_the_last_tokens) {
  const InputForm form{.kept_logits = true};
  const auto reference = with_kept_logits(load_backend("reference").load_graph(g), "logits");
  for (const int64_t kept : {0, 1, 2, 3, 9}) {
    values[kept_logits_input] = Tensor::i64_scalar(kept);
    const Tensors expected = reference->run(values);
    BOOST_TEST(expected.at("logits").shape[1] == (kept == 0 || kept > 3 ? 3 : kept));
    test::check_equal(by_file(form, values), expected, 1e-5, std::to_string(kept) + " logits");
  }
  // What is left out is left out before the norm, and so before the head.
  Graph kept = g;
  BOOST_TEST(keep_logits(kept, "logits"));
  kept.verify();
  const auto last =
      std::find_if(kept.nodes.begin(), kept.nodes.end(), [](const Node& node) { return node.op == "KeepLast"; });
  BOOST_TEST(last->inputs[0] == hidden);
  BOOST_TEST(std::next(last)->op == "LayerNorm");
  BOOST_TEST(to_string(kept[kept.outputs[0].value].type) == "f32[batch, num_logits, 5]");
}

BOOST_AUTO_TEST_CASE(what_others_use_is_not_cut) {
  // The hidden states behind the norm are an output as well.
  const auto norm =
      std::find_if(g.nodes.begin(), g.nodes.end(), [](const Node& node) { return node.op == "LayerNorm"; });
  g.add_output("states", norm->outputs[0]);
  BOOST_TEST(keep_logits(g, "logits"));
  BOOST_TEST(to_string(g[g.outputs[1].value].type) == "f32[batch, n, 8]");
  const size_t nodes = g.nodes.size();
  BOOST_TEST(!keep_logits(g, "states"));  // no product leads there row by row
  BOOST_TEST(g.nodes.size() == nodes);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace fixed_shapes_test
