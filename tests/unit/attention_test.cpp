// SPDX-License-Identifier: Apache-2.0
// Attention, its masks and rotary embeddings: values by hand, and what each opset's form computes against the
// reference.
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <filesystem>
#include <fstream>

#include "core/backend.hpp"
#include "core/error.hpp"
#include "core/export.hpp"
#include "core/ir/operators.hpp"
#include "core/onnx/model_proto.hpp"
#include "core/passes/lower.hpp"
#include "core/validate/compare.hpp"

using namespace onnxport;
using namespace onnxport::ir;

namespace {

constexpr float masked = static_cast<float>(masked_score);

Tensor filled(std::vector<int64_t> shape, float step) {
  Tensor tensor{DType::f32, std::move(shape), {}};
  std::vector<float> values(static_cast<size_t>(tensor.element_count()));
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = std::sin(step * static_cast<float>(i + 1)) * (i % 3 == 0 ? -1.F : 1.F);
  return Tensor::of<float>(DType::f32, tensor.shape, values);
}

Tensor ids(std::vector<int64_t> shape) {
  Tensor tensor{DType::i64, std::move(shape), {}};
  return Tensor::of<int64_t>(DType::i64, tensor.shape,
                             std::vector<int64_t>(static_cast<size_t>(tensor.element_count()), 1));
}

/// A graph whose inputs have the given names, types and values.
struct Fixture {
  Graph g;
  Tensors values;
  Dim batch = Dim::symbol("batch"), n = Dim::symbol("n"), past = Dim::symbol("past");

  ValueId input(const std::string& name, Shape shape, Tensor value) {
    const DType dtype = value.dtype;
    values.emplace(name, std::move(value));
    return g.add_input(name, {dtype, std::move(shape)});
  }
  ValueId add(const std::string& op, std::vector<ValueId> inputs, Attributes attributes = {}) {
    const std::string domain = find_composite(op) ? composite_domain : "";
    return g.add_node({domain, op, "m", std::move(inputs), {}, std::move(attributes), ""})[0];
  }
  static bool find_composite(const std::string& op) { return op != "GatherND" && op != "Concat"; }

  Tensor reference() { return load_backend("reference").load_graph(g)->run(values).at("y"); }

  /// Every form that an opset has computes what the reference does.
  void check_all_opsets() {
    if (!backend_installed("reference")) {
      BOOST_TEST_MESSAGE("not run: the reference back end is not built");
      return;
    }
    const Tensor expected = reference();
    std::string pattern = (std::filesystem::temp_directory_path() / "onnxport-attention-XXXXXX").string();
    BOOST_REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    for (const int64_t opset : {13, 17, 18, 23, 24}) {
      const ModelParts parts = to_model(lower(g, {.opset = opset, .patches = {}}), {.opset = opset, .metadata = {}});
      const std::string file = pattern + "/" + std::to_string(opset) + ".onnx";
      std::ofstream(file, std::ios::binary) << parts.model.SerializeAsString();
      const Tensors actual = load_backend("onnxruntime").load_file(file)->run(values);
      for (const Difference& difference : compare({{"y", expected}}, actual, 1e-5))
        BOOST_TEST(difference.passes, "opset " << opset << ": " << difference.max_abs << " " << difference.problem);
    }
    std::filesystem::remove_all(pattern);
  }
};

std::vector<float> numbers(const Tensor& tensor) {
  const auto values = tensor.as<float>();
  return {values.begin(), values.end()};
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(attention_and_masks, Fixture)

BOOST_AUTO_TEST_CASE(a_causal_mask_with_a_window_and_padding) {
  const ValueId mask = input("mask", {batch, past + n}, Tensor::of<int64_t>(DType::i64, {1, 5}, {0, 1, 1, 1, 1}));
  const ValueId query = input("query", {batch, n}, ids({1, 3}));
  g.add_output("y", add("AttentionMask", {mask, query}, {{"causal", int64_t{1}}, {"window", int64_t{2}}}));
  BOOST_TEST(to_string(g[g.outputs[0].value].type) == "f32[batch, 1, n, past + n]");
  check_all_opsets();
  if (!backend_installed("reference")) return;
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
  if (!backend_installed("reference")) return;
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
  if (!backend_installed("reference")) return;
  for (const float value : numbers(reference())) BOOST_TEST(std::isfinite(value));
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
  if (!backend_installed("reference")) return;
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
  if (!backend_installed("reference")) return;
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
