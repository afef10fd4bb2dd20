// SPDX-License-Identifier: Apache-2.0
// Attention, its masks and rotary embeddings: values by hand, and what each opset's form computes against the
// reference.
#include <algorithm>

#include "core/error.hpp"
#include "tests/support/graph_fixture.hpp"

namespace attention_test {

using namespace onnxport;
using namespace onnxport::ir;
using namespace onnxport::test;

namespace {

using Fixture = GraphFixture;

constexpr float masked = static_cast<float>(masked_score);

Tensor ids(std::vector<int64_t> shape) {
  Tensor tensor{DType::i64, std::move(shape), {}};
  return Tensor::of<int64_t>(DType::i64, tensor.shape,
                             std::vector<int64_t>(static_cast<size_t>(tensor.element_count()), 1));
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(attention_and_masks, Fixture)

BOOST_AUTO_TEST_CASE(a_causal_mask_with_a_window_and_padding) {
  const ValueId mask = input("mask", {batch, past + n}, Tensor::of<int64_t>(DType::i64, {1, 5}, {0, 1, 1, 1, 1}));
  const ValueId query = input("query", {batch, n}, ids({1, 3}));
  g.add_output("y", add("AttentionMask", {mask, query}, {{"causal", int64_t{1}}, {"window", int64_t{2}}}));
  BOOST_TEST(to_string(g[g.outputs[0].value].type) == "f32[batch, 1, n, past + n]");
  check_all_opsets();
  if (!backend_installed("reference")) return test::not_run("the reference back end is not built");
  // Queries stand at 2, 3 and 4 and see two keys each; key 0 is padding.
  const std::vector<float> expected{masked, 0,      0,      masked, masked, masked, masked, 0,
                                    0,      masked, masked, masked, masked, 0,      0};
  BOOST_TEST(numbers(reference()) == expected, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_causal_mask_without_padding) {
  const ValueId query = input("query", {batch, n}, ids({2, 2}));
  const ValueId keys = input("keys", {batch, Dim(2), past, Dim(4)}, filled({2, 2, 3, 4}, 0.3F));
  g.add_output("y", add("CausalMask", {query, keys}));
  BOOST_TEST(to_string(g[g.outputs[0].value].type) == "f32[1, 1, n, past + n]");
  check_all_opsets();
  if (!backend_installed("reference")) return test::not_run("the reference back end is not built");
  const std::vector<float> expected{0, 0, 0, 0, masked, 0, 0, 0, 0, 0};
  BOOST_TEST(numbers(reference()) == expected, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(keys_of_a_cache_serve_several_heads) {
  const ValueId q = input("q", {batch, n, Dim(24)}, filled({2, 3, 24}, 0.7F));
  const ValueId k = input("k", {batch, Dim(2), past + n, Dim(6)}, filled({2, 2, 5, 6}, 0.4F));
  const ValueId v = input("v", {batch, Dim(2), past + n, Dim(6)}, filled({2, 2, 5, 6}, 0.9F));
  const ValueId bias = input("bias", {batch, Dim(1), n, past + n}, filled({2, 1, 3, 5}, 1.1F));
  g.add_output("y", add("Attention", {q, k, v, bias}, {{"heads", int64_t{4}}, {"kv_heads", int64_t{2}}}));
  BOOST_TEST(to_string(g[g.outputs[0].value].type) == "f32[batch, n, 24]");
  check_all_opsets();
}

BOOST_AUTO_TEST_CASE(a_causal_attention_keeps_its_bias) {
  // A positive bias counts in full where a key may be seen.
  const ValueId q = input("q", {batch, n, Dim(8)}, filled({1, 4, 8}, 0.7F));
  const ValueId bias = input("bias", {Dim(1), Dim(2), n, n}, filled({1, 2, 4, 4}, 2.3F));
  g.add_output("y", add("Attention", {q, q, q, bias},
                        {{"heads", int64_t{2}}, {"kv_heads", int64_t{2}}, {"causal", int64_t{1}}}));
  check_all_opsets();
}

BOOST_AUTO_TEST_CASE(a_padded_row_is_no_nan) {
  const ValueId q = input("q", {batch, n, Dim(8)}, filled({2, 3, 8}, 0.7F));
  const ValueId mask = input("mask", {batch, n}, Tensor::of<int64_t>(DType::i64, {2, 3}, {0, 0, 1, 1, 1, 1}));
  const ValueId bias = add("AttentionMask", {mask, q}, {{"causal", int64_t{1}}});
  g.add_output("y", add("Attention", {q, q, q, bias}, {{"heads", int64_t{2}}, {"kv_heads", int64_t{2}}}));
  check_all_opsets();
  if (!backend_installed("reference")) return test::not_run("the reference back end is not built");
  for (const float value : numbers(reference())) BOOST_TEST(std::isfinite(value));
}

BOOST_AUTO_TEST_CASE(padding_is_hidden_within_the_product) {
  const ValueId q = input("q", {batch, n, Dim(8)}, filled({3, 4, 8}, 0.7F));
  const ValueId k = input("k", {batch, n, Dim(4)}, filled({3, 4, 4}, 0.4F));
  const ValueId mask =
      input("mask", {batch, n}, Tensor::of<int64_t>(DType::i64, {3, 4}, {1, 1, 1, 0, 0, 1, 1, 1, 0, 0, 0, 0}));
  std::vector<ValueId> inputs(AttentionInput::mask + 1, absent);
  inputs[AttentionInput::q] = q;
  inputs[AttentionInput::k] = inputs[AttentionInput::v] = k;
  inputs[AttentionInput::mask] = mask;
  const auto additions = [](const Graph& graph) {
    return std::count_if(graph.nodes.begin(), graph.nodes.end(), [](const Node& node) { return node.op == "Add"; });
  };
  // A scale above 1 could make the number that hides a key infinite.
  for (const double scale : {0.5, 1.0, 1.5}) {
    g.outputs.clear();
    g.add_output("y", add("Attention", inputs, {{"heads", int64_t{2}}, {"kv_heads", int64_t{1}}, {"scale", scale}}));
    BOOST_TEST(additions(lower(g, {.opset = 18, .patches = {}})) == (scale > 1.0 ? 1 : 0));
    check_all_opsets();
  }
  check_f16();
}

BOOST_AUTO_TEST_CASE(a_few_queries_do_not_copy_their_keys_to_hide_some) {
  const Dim one(1);
  const ValueId q = input("q", {batch, one, Dim(8)}, filled({2, 1, 8}, 0.7F));
  const ValueId k = input("k", {batch, n, Dim(8)}, filled({2, 3, 8}, 0.4F));
  std::vector<ValueId> inputs(AttentionInput::mask + 1, absent);
  inputs[AttentionInput::q] = q;
  inputs[AttentionInput::k] = inputs[AttentionInput::v] = k;
  inputs[AttentionInput::mask] = input("mask", {batch, n}, Tensor::of<int64_t>(DType::i64, {2, 3}, {1, 1, 0, 0, 1, 1}));
  g.add_output("y", add("Attention", inputs, {{"heads", int64_t{2}}, {"kv_heads", int64_t{2}}}));
  for (const Node& node : lower(g, {.opset = 18, .patches = {}}).nodes) BOOST_TEST(node.op != "Concat");
  check_all_opsets();
}

BOOST_AUTO_TEST_CASE(pairs_are_turned_by_their_angle) {
  const float a = 0.5F, b = 1.25F;
  const ValueId x = input("x", {batch, Dim(1), n, Dim(4)}, Tensor::of<float>(DType::f32, {1, 1, 1, 4}, {1, 2, 3, 4}));
  const ValueId cos =
      input("cos", {batch, n, Dim(2)}, Tensor::of<float>(DType::f32, {1, 1, 2}, {std::cos(a), std::cos(b)}));
  const ValueId sin =
      input("sin", {batch, n, Dim(2)}, Tensor::of<float>(DType::f32, {1, 1, 2}, {std::sin(a), std::sin(b)}));
  g.add_output("y", add("RotaryEmbedding", {x, cos, sin}, {{"interleaved", int64_t{0}}}));
  check_all_opsets();
  if (!backend_installed("reference")) return test::not_run("the reference back end is not built");
  const std::vector<float> expected{1 * std::cos(a) - 3 * std::sin(a), 2 * std::cos(b) - 4 * std::sin(b),
                                    3 * std::cos(a) + 1 * std::sin(a), 4 * std::cos(b) + 2 * std::sin(b)};
  const std::vector<float> found = numbers(reference());
  for (size_t i = 0; i < expected.size(); ++i) BOOST_TEST(std::abs(found[i] - expected[i]) < 1e-6F);
}

BOOST_AUTO_TEST_CASE(a_part_of_a_head_and_neighbours_are_turned) {
  for (const int64_t interleaved : {0, 1}) {
    Fixture f;
    const ValueId x = f.input("x", {f.batch, Dim(3), f.n, Dim(10)}, filled({2, 3, 4, 10}, 0.37F));
    const ValueId cos = f.input("cos", {Dim(1), f.n, Dim(3)}, filled({1, 4, 3}, 0.21F));
    const ValueId sin = f.input("sin", {Dim(1), f.n, Dim(3)}, filled({1, 4, 3}, 0.83F));
    f.g.add_output("y", f.add("RotaryEmbedding", {x, cos, sin}, {{"interleaved", interleaved}}));
    f.check_all_opsets();
  }
}

BOOST_AUTO_TEST_CASE(rows_by_index_in_every_batch_entry) {
  const ValueId x = input("x", {batch, n, Dim(5)}, filled({3, 4, 5}, 0.3F));
  const ValueId at = input("at", {batch, Dim(1)}, Tensor::of<int64_t>(DType::i64, {3, 1}, {2, 0, 3}));
  g.add_output("y", add("GatherND", {x, at}, {{"batch_dims", int64_t{1}}}));
  BOOST_TEST(to_string(g[g.outputs[0].value].type) == "f32[batch, 5]");
  check_all_opsets();
  if (!backend_installed("reference")) return test::not_run("the reference back end is not built");
  const std::vector<float> all = numbers(values.at("x")), found = numbers(reference());
  BOOST_TEST(found[0] == all[2 * 5]);
  BOOST_TEST(found[5] == all[4 * 5]);
  BOOST_TEST(found[14] == all[11 * 5 + 4]);
}

BOOST_AUTO_TEST_CASE(what_does_not_fit_is_refused) {
  const ValueId q = input("q", {batch, n, Dim(8)}, filled({1, 1, 8}, 1));
  const ValueId k = input("k", {batch, Dim(2), n, Dim(3)}, filled({1, 2, 1, 3}, 1));
  const ValueId x = input("x", {batch, Dim(2), n, Dim(4)}, filled({1, 2, 1, 4}, 1));
  const ValueId wide = input("wide", {batch, n, Dim(3)}, filled({1, 1, 3}, 1));
  BOOST_CHECK_THROW(add("Attention", {q, k, k}, {{"heads", int64_t{2}}, {"kv_heads", int64_t{2}}}), Error);
  BOOST_CHECK_THROW(add("RotaryEmbedding", {x, wide, wide}), Error);
  BOOST_CHECK_THROW(add("GatherND", {q, wide}), Error);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace attention_test
