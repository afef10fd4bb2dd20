// SPDX-License-Identifier: Apache-2.0
// Passes over the definition: 16 bits, and weights that a checkpoint holds twice.
#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <limits>
#include <tuple>

#include "core/checkpoint/checkpoint.hpp"
#include "core/ir/operators.hpp"
#include "core/ir/scalar.hpp"
#include "core/passes/pipeline.hpp"
#include "core/passes/precision.hpp"
#include "core/passes/tie.hpp"
#include "tests/support/temporary_folder.hpp"

namespace precision_test {

using namespace onnxport;
using namespace onnxport::ir;
namespace fs = std::filesystem;

namespace {

struct Fixture {
  Graph g;
  ValueId x = g.add_input("x", {DType::f32, {Dim::symbol("batch"), Dim(4)}});
  ValueId mask = g.add_input("mask", {DType::i64, {Dim::symbol("batch"), Dim(4)}});

  ValueId add(const std::string& op, std::vector<ValueId> inputs, Attributes attributes = {},
              const std::string& scope = "m", const std::string& domain = "") {
    return g.add_node({domain, op, scope, std::move(inputs), {}, std::move(attributes), ""})[0];
  }
  ValueId weight(const std::string& name, std::vector<int64_t> shape, DType dtype = DType::f32) {
    auto stored = std::make_shared<StoredTensor>();
    stored->name = name;
    stored->dtype = dtype;
    stored->shape = shape;
    stored->bytes = size_of(dtype);
    for (int64_t size : shape) stored->bytes *= static_cast<uint64_t>(size);
    Weight weight{stored, {}};
    return g.add_weight(name, dtype == DType::f32 ? weight : weight.then(CastTo{DType::f32}));
  }
  ValueId number(double value) { return g.add_constant(float_scalar(value, DType::f32)); }

  Graph narrow(DType dtype = DType::f16, std::vector<std::string> keep = {}, int64_t opset = 18) const {
    return to_precision(g, {.dtype = dtype, .keep_in_fp32 = kept_modules_of(keep), .opset = opset});
  }
  /// The type in which the first node of that operator computes.
  static DType type_of(const Graph& graph, const std::string& op) {
    for (const Node& node : graph.nodes) {
      if (node.op == op) return graph[node.outputs[0]].type.dtype;
    }
    BOOST_FAIL("no " << op);
    return DType::undefined;
  }
  static int count(const Graph& graph, const std::string& op) {
    int found = 0;
    for (const Node& node : graph.nodes) found += node.op == op ? 1 : 0;
    return found;
  }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(precision, Fixture)

BOOST_AUTO_TEST_CASE(edges_stay_as_they_are) {
  g.add_output("y", add("Linear", {x, weight("w", {3, 4})}, {}, "m", composite_domain));
  const Graph narrowed = narrow();
  BOOST_TEST((narrowed[narrowed.inputs[0].value].type.dtype == DType::f32));
  BOOST_TEST((narrowed[narrowed.outputs[0].value].type.dtype == DType::f32));
  BOOST_TEST((type_of(narrowed, "Linear") == DType::f16));
  BOOST_TEST(count(narrowed, "Cast") == 2);
}

BOOST_AUTO_TEST_CASE(a_weight_that_has_the_type_is_taken_as_it_is) {
  g.add_output("y", add("Linear", {x, weight("w", {3, 4}, DType::f16)}, {}, "m", composite_domain));
  const Graph same = narrow(DType::f16), other = narrow(DType::bf16);
  for (const Value& value : same.values) {
    if (value.origin == Origin::weight) BOOST_TEST(value.weight->transforms.empty());
  }
  for (const Value& value : other.values) {
    if (value.origin == Origin::weight) BOOST_TEST(value.weight->transforms.size() == 1u);
  }
}

BOOST_AUTO_TEST_CASE(modules_that_are_kept) {
  const ValueId h = add("Linear", {x, weight("a", {4, 4})}, {}, "layer.0.wi", composite_domain);
  const ValueId o = add("Linear", {h, weight("b", {4, 4})}, {}, "layer.0.wo", composite_domain);
  g.add_output("y", add("Linear", {o, weight("c", {4, 4})}, {}, "layer.0.two", composite_domain));
  std::map<std::string, DType> types;
  const Graph narrowed = narrow(DType::f16, {"wo"});
  for (const Node& node : narrowed.nodes) {
    if (node.op == "Linear") types[node.scope] = narrowed[node.outputs[0]].type.dtype;
  }
  BOOST_TEST((types.at("layer.0.wi") == DType::f16));
  BOOST_TEST((types.at("layer.0.wo") == DType::f32));
  BOOST_TEST((types.at("layer.0.two") == DType::f16));
}

BOOST_AUTO_TEST_CASE(norms_sum_in_f32) {
  g.add_output("y", add("LayerNorm", {x, weight("w", {4}), weight("b", {4})}, {}, "norm", composite_domain));
  BOOST_TEST((type_of(narrow(DType::f16, {}, 16), "LayerNorm") == DType::f32));
  BOOST_TEST((type_of(narrow(DType::f16, {}, 18), "LayerNorm") == DType::f16));
}

BOOST_AUTO_TEST_CASE(what_comes_from_integers_stays_wide_until_it_meets_the_rest) {
  const ValueId angles = add("Mul", {add("Cast", {mask}, {{"to", int64_t{1}}}), number(1e-4)});
  g.add_output("y", add("Mul", {x, add("Cos", {angles})}));
  const Graph narrowed = narrow();
  BOOST_TEST((type_of(narrowed, "Mul") == DType::f32));  // the angles, which come first
  BOOST_TEST((type_of(narrowed, "Cos") == DType::f32));
  BOOST_TEST((narrowed[narrowed.nodes.at(narrowed.nodes.size() - 2).outputs[0]].type.dtype == DType::f16));
}

BOOST_AUTO_TEST_CASE(axes_that_the_file_leaves_open_stay_open) {
  g[x].open_axes = {{1, "width"}};
  g.add_output("y", add("Tanh", {x}));
  const Graph narrowed = narrow();
  BOOST_TEST(narrowed[narrowed.inputs[0].value].open_axes.at(1) == "width");
  BOOST_TEST(narrowed[narrowed.inputs[1].value].open_axes.empty());
}

BOOST_AUTO_TEST_CASE(attention_adds_to_its_scores_in_f32) {
  const Dim batch = Dim::symbol("batch"), n = Dim::symbol("n"), past = Dim::symbol("past");
  const ValueId q = g.add_input("q", {DType::f32, {batch, n, Dim(8)}});
  const ValueId cache = g.add_input("cache", {DType::f32, {batch, Dim(2), past, Dim(4)}});
  const ValueId bias = g.add_input("bias", {DType::f32, {Dim(1), Dim(2), n, past + n}});
  const ValueId keys = g.add_input("keys", {DType::i64, {batch, past + n}});
  const ValueId table = g.add_input("table", {DType::f32, {batch, n, Dim(2)}});
  const std::vector<ValueId> results =
      g.add_node({composite_domain,
                  "Attention",
                  "m",
                  {q, q, q, bias, keys, cache, cache, table, table, weight("sinks", {2})},
                  {},
                  {{"heads", int64_t{2}}, {"causal", int64_t{1}}, {"present", int64_t{1}}},
                  ""},
                 3);
  for (size_t i = 0; i < results.size(); ++i) g.add_output("y" + std::to_string(i), results[i]);
  for (const DType dtype : {DType::f16, DType::bf16}) {
    const Graph narrowed = narrow(dtype);
    for (const Node& node : narrowed.nodes) {
      if (node.op != "Attention") continue;
      const auto type = [&](size_t input) { return narrowed[node.inputs.at(input)].type.dtype; };
      for (size_t input : {AttentionInput::bias, AttentionInput::sinks}) BOOST_TEST((type(input) == DType::f32));
      BOOST_TEST((type(AttentionInput::mask) == DType::i64));
      for (size_t input : {AttentionInput::q, AttentionInput::past_key, AttentionInput::past_value,
                           AttentionInput::cosines, AttentionInput::sines})
        BOOST_TEST((type(input) == dtype));
    }
    BOOST_TEST(count(narrowed, "Clip") == 0);
    for (const Node& node : lower(narrowed, {.opset = 18, .patches = {}}).nodes) BOOST_TEST(node.op != "Clip");
  }
}

BOOST_AUTO_TEST_CASE(a_number_that_the_type_does_not_have_is_computed_with_in_f32) {
  const ValueId made = add("Linear", {x, weight("w", {4, 4})}, {}, "m", composite_domain);
  g.add_output("y", add("Mul", {made, number(1e5)}));
  g.add_output("z", add("Add", {add("Relu", {made}), number(7e4)}));
  const Graph narrowed = narrow();
  BOOST_TEST((type_of(narrowed, "Linear") == DType::f16));
  BOOST_TEST((type_of(narrowed, "Mul") == DType::f32));
  BOOST_TEST((type_of(narrowed, "Add") == DType::f32));
  BOOST_TEST(count(narrowed, "Clip") == 0);
  // Either is within the range of bf16.
  BOOST_TEST((type_of(narrow(DType::bf16), "Mul") == DType::bf16));
}

BOOST_AUTO_TEST_CASE(what_the_opset_has_no_operator_of_bf16_for_is_computed_in_f32) {
  const ValueId signal = add("Unsqueeze", {x}, {{"axes", std::vector<int64_t>{1}}});
  const ValueId filtered = add("Conv", {signal, weight("w", {2, 1, 3})});
  g.add_output("y", add("Relu", {add("Elu", {filtered})}));
  for (const auto& [dtype, opset, expected] :
       {std::tuple{DType::bf16, 18, DType::f32}, std::tuple{DType::bf16, 22, DType::bf16},
        std::tuple{DType::f16, 18, DType::f16}}) {
    const Graph narrowed = narrow(dtype, {}, opset);
    for (const char* op : {"Conv", "Elu"}) BOOST_TEST((type_of(narrowed, op) == expected));
  }
}

BOOST_AUTO_TEST_CASE(masks_stay_finite) {
  const ValueId hidden =
      add("Mul", {add("Cast", {mask}, {{"to", int64_t{1}}}), number(std::numeric_limits<float>::lowest())});
  g.add_output("y", add("Add", {x, hidden}));
  g.add_output("z", add("Where", {add("Cast", {mask}, {{"to", int64_t{9}}}), x, number(-1e9)}));
  for (const DType dtype : {DType::f16, DType::bf16}) {
    const Graph narrowed = narrow(dtype);
    BOOST_TEST(count(narrowed, "Clip") == 1);
    for (const Value& value : narrowed.values) {
      if (value.origin != Origin::constant || value.type.dtype != dtype) continue;
      uint16_t bits = 0;
      std::memcpy(&bits, value.constant->data.data(), sizeof bits);
      const uint16_t exponent = dtype == DType::f16 ? 0x7c00 : 0x7f80;
      BOOST_TEST((bits & exponent) != exponent, "a constant became an infinity");
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(tie)

BOOST_AUTO_TEST_CASE(equal_tables_become_one) {
  const test::TemporaryFolder folder;
  std::vector<float> numbers(12);
  for (size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<float>(i);
  const Tensor table = Tensor::of<float>(DType::f32, {3, 4}, numbers);
  numbers.back() = -1;
  const Tensor other = Tensor::of<float>(DType::f32, {3, 4}, numbers);
  const fs::path file = folder / "w.safetensors";
  write_safetensors(file, {{"embed", table}, {"head", table}, {"other", other}});
  Graph g;
  std::map<std::string, ValueId> weights;
  for (StoredTensor& stored : read_safetensors(file.string())) {
    const std::string name = stored.name;
    weights[name] = g.add_weight(name, Weight{std::make_shared<const StoredTensor>(std::move(stored)), {}});
  }
  const ValueId ids = g.add_input("ids", {DType::i64, {Dim(2)}});
  const auto linear = [&](ValueId x, const char* name) {
    return g.add_node({composite_domain, "Linear", name, {x, weights.at(name)}, {}, {}, ""})[0];
  };
  const ValueId x = g.add_node({composite_domain, "Embedding", "embed", {weights.at("embed"), ids}, {}, {}, ""})[0];
  g.add_output("y", linear(x, "head"));
  g.add_output("z", linear(x, "other"));
  const auto tied = tie_equal_weights(g);
  BOOST_TEST(tied.size() == 1u);
  BOOST_TEST(tied[0].first == "head");
  BOOST_TEST(tied[0].second == "embed");
  BOOST_TEST(g.nodes[1].inputs[1] == weights.at("embed"));
  BOOST_TEST(g.nodes[2].inputs[1] == weights.at("other"));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace precision_test
