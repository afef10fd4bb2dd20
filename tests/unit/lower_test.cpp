// SPDX-License-Identifier: Apache-2.0
// Lowering: which operators come out at which opset, and the tidying after it.
#include <boost/test/unit_test.hpp>
#include <map>

#include "core/error.hpp"
#include "core/export/export.hpp"
#include "core/onnx/model_proto.hpp"
#include "core/passes/pipeline.hpp"

namespace lower_test {

using namespace onnxport;
using namespace onnxport::ir;

namespace {

struct Fixture {
  Graph g;
  Dim batch = Dim::symbol("batch"), sequence = Dim::symbol("sequence");
  ValueId x = g.add_input("x", {DType::f32, {batch, sequence, Dim(8)}});

  ValueId add(const std::string& op, std::vector<ValueId> inputs, Attributes attributes = {},
              const std::string& scope = "m") {
    const bool composite = find(op);
    return g.add_node(
        {composite ? composite_domain : "", op, scope, std::move(inputs), {}, std::move(attributes), ""})[0];
  }
  static bool find(const std::string& op) {
    return op == "Linear" || op == "Embedding" || op == "LayerNorm" || op == "Attention" || op == "AttentionMask" ||
           op == "Size" || op == "Gelu";
  }
  ValueId weight(const std::string& name, std::vector<int64_t> shape) {
    auto stored = std::make_shared<StoredTensor>();
    stored->name = name;
    stored->dtype = DType::f32;
    stored->shape = shape;
    stored->bytes = 4;
    for (int64_t size : shape) stored->bytes *= static_cast<uint64_t>(size);
    return g.add_weight(name, Weight{stored, {}});
  }
  std::map<std::string, int> counts(int64_t opset) {
    std::map<std::string, int> by_op;
    for (const Node& node : lower(g, {.opset = opset, .patches = {}}).nodes) ++by_op[node.op];
    return by_op;
  }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(lowering, Fixture)

BOOST_AUTO_TEST_CASE(a_known_row_of_a_weight_is_a_view) {
  const ValueId table = weight("t.weight", {3, 8});
  const ValueId row = add("Gather", {table, g.add_constant(Tensor::i64_scalar(-1))}, {{"axis", int64_t{0}}});
  g.add_output("y", add("Add", {x, row}));
  const Graph lowered = lower(g, {.opset = 18, .patches = {}});
  BOOST_REQUIRE(lowered.nodes.size() == 1u);
  const Value& view = lowered[lowered.nodes[0].inputs[1]];
  BOOST_TEST(view.name == "t.weight");
  BOOST_TEST(view.weight->shape() == std::vector<int64_t>{8}, boost::test_tools::per_element());
  BOOST_TEST(std::get<SliceAxis>(view.weight->transforms.at(0)).begin == 2);
}

BOOST_AUTO_TEST_CASE(the_best_form_that_an_opset_has) {
  g.add_output("y", add("Gelu", {add("LayerNorm", {x, weight("n.weight", {8}), weight("n.bias", {8})})},
                        {{"approximate", std::string("none")}}));
  BOOST_TEST(counts(13)["LayerNormalization"] == 0);
  BOOST_TEST(counts(13)["Erf"] == 1);
  BOOST_TEST(counts(17)["LayerNormalization"] == 1);
  BOOST_TEST(counts(20)["Gelu"] == 1);
  BOOST_TEST(counts(20)["Erf"] == 0);
}

BOOST_AUTO_TEST_CASE(attention_is_fused_from_23) {
  g.add_output("y", add("Attention", {x, x, x}, {{"heads", int64_t{2}}, {"kv_heads", int64_t{2}}}));
  BOOST_TEST(counts(22)["Softmax"] == 1);
  BOOST_TEST(counts(23)["Attention"] == 1);
  BOOST_TEST(counts(23)["Softmax"] == 0);
}

BOOST_AUTO_TEST_CASE(an_attention_of_the_fused_operator_has_no_mask_of_its_own_where_it_is_a_triangle) {
  g.add_output("y", add("Attention", {x, x, x}, {{"heads", int64_t{2}}, {"causal", int64_t{1}}}));
  BOOST_TEST(counts(22)["Where"] == 1);
  BOOST_TEST(counts(23)["Where"] == 0);
  BOOST_TEST(counts(23)["Range"] == 0);
}

namespace {

/// Layers of one kind over a mask, defined with a mask that is made once and added as a bias, or with one that is an
/// input of every layer.
struct MaskedLayers : Fixture {
  ValueId mask = g.add_input("mask", {DType::i64, {batch, sequence}});
  ValueId relative = g.add_input("relative", {DType::f32, {Dim(1), Dim(2), sequence, sequence}});

  Graph lowered(int64_t opset) const { return lower(g, {.opset = opset, .patches = {}}); }

  ValueId layer(ValueId h, ValueId bias, ValueId hidden, int64_t causal, int64_t window) {
    const std::string scope = "layer." + std::to_string(g.nodes.size());
    return add("Attention", {h, h, h, bias, hidden}, {{"heads", int64_t{2}}, {"causal", causal}, {"window", window}},
               scope);
  }
};

}  // namespace

BOOST_AUTO_TEST_CASE(masks_of_layers_cost_no_more_than_one_that_is_made_once) {
  for (const int64_t opset : {13, 18, 23}) {
    for (const int64_t causal : {0, 1}) {
      for (const bool biased : {false, true}) {
        MaskedLayers once, each;
        ValueId bias = once.add("AttentionMask", {once.mask, once.x}, {{"causal", causal}});
        if (biased) bias = once.add("Add", {once.relative, bias});
        ValueId h = once.x, i = each.x;
        for (int layer = 0; layer < 3; ++layer) {
          h = once.layer(h, bias, absent, 0, 0);
          i = each.layer(i, biased ? each.relative : absent, each.mask, causal, 0);
        }
        once.g.add_output("y", h);
        each.g.add_output("y", i);
        // Padding that is hidden within the product takes two joins a layer in place of a sum; the row of keys and the
        // column of queries are made once.
        const bool within = opset < 23 && causal == 0 && !biased;
        const size_t more = within ? 3 + 4 : 0;
        BOOST_TEST(each.lowered(opset).nodes.size() <= once.lowered(opset).nodes.size() + more,
                   "opset " << opset << ", causal " << causal << ", biased " << biased);
      }
    }
  }
}

BOOST_FIXTURE_TEST_CASE(masks_of_layers_are_shared_and_stand_apart, MaskedLayers) {
  ValueId h = x;
  for (const int64_t window : {0, 2, 0, 2}) h = layer(h, absent, mask, 1, window);
  g.add_output("y", h);
  const Graph made = lowered(18);
  std::map<std::string, int> by_op;
  for (const Node& node : made.nodes) {
    ++by_op[node.op];
    if (node.op == "Where") BOOST_TEST(node.name.starts_with("/mask/"), node.name);
  }
  BOOST_TEST(by_op["Where"] == 2);  // one for each window
  BOOST_TEST(by_op["Range"] == 1);
  BOOST_TEST(by_op["Shape"] == 1);
}

BOOST_AUTO_TEST_CASE(queries_of_other_places_than_the_keys_are_scaled_before_their_heads_are_split) {
  for (const char* length : {"sequence", "seen"}) {
    Fixture f;
    const ValueId keys = f.g.add_input("keys", {DType::f32, {f.batch, Dim::symbol(length), Dim(8)}});
    f.g.add_output("y", f.add("Attention", {f.x, keys, keys}, {{"heads", int64_t{2}}}));
    const Graph lowered = lower(f.g, {.opset = 18, .patches = {}});
    int scaled = 0;
    for (const Node& node : lowered.nodes) scaled += node.op == "Mul" && lowered[node.inputs[0]].name == "x" ? 1 : 0;
    BOOST_TEST(scaled == (std::string(length) == "seen" ? 1 : 0), length);
  }
}

BOOST_AUTO_TEST_CASE(sinks_are_turned_while_they_are_written) {
  const ValueId sinks = weight("sinks", {2});
  for (const char* scope : {"a", "b"}) {
    const std::vector<ValueId> inputs{x, x, x, absent, absent, absent, absent, absent, absent, sinks};
    g.add_output(scope, add("Attention", inputs, {{"heads", int64_t{2}}}, scope));
  }
  const Graph lowered = lower(g, {.opset = 23, .patches = {}});
  int expands = 0;
  for (const Node& node : lowered.nodes) {
    if (node.op != "Expand") continue;
    ++expands;
    BOOST_TEST(lowered[node.inputs[0]].name == "sinks");
    BOOST_TEST(to_string(lowered[node.inputs[0]].type) == "f32[1, 2, 1, 1]");
  }
  BOOST_TEST(expands == 1);
}

BOOST_AUTO_TEST_CASE(the_fused_operator_joins_its_past_where_heads_have_keys_of_their_own) {
  for (const int64_t kv_heads : {1, 2}) {
    Fixture f;
    const ValueId past = f.g.add_input("past", {DType::f32, {f.batch, Dim(kv_heads), Dim::symbol("past"), Dim(4)}});
    const ValueId k = f.g.add_input("k", {DType::f32, {f.batch, f.sequence, Dim(4 * kv_heads)}});
    const std::vector<ValueId> results =
        f.g.add_node({composite_domain,
                      "Attention",
                      "m",
                      {f.x, k, k, absent, absent, past, past},
                      {},
                      {{"heads", int64_t{2}}, {"kv_heads", kv_heads}, {"present", int64_t{1}}},
                      ""},
                     3);
    for (size_t i = 0; i < results.size(); ++i) f.g.add_output("y" + std::to_string(i), results[i]);
    BOOST_TEST(f.g[results[1]].type.shape[2].to_string() == "past + sequence");
    BOOST_TEST(f.counts(23)["Concat"] == (kv_heads == 2 ? 0 : 2));
    BOOST_TEST(f.counts(18)["Concat"] == 2);
  }
}

BOOST_AUTO_TEST_CASE(a_tied_weight_is_in_the_file_once) {
  const ValueId ids = g.add_input("ids", {DType::i64, {batch, sequence}});
  const ValueId table = weight("table", {32, 8});
  g.add_output("logits", add("Linear", {add("Embedding", {table, ids}), table}));
  const Graph lowered = lower(g, {.opset = 18, .patches = {}});
  BOOST_TEST(to_model(lowered, {.opset = 18, .metadata = {}}).weights.size() == 1u);
}

BOOST_AUTO_TEST_CASE(equal_work_is_done_once_and_unused_work_not_at_all) {
  const ValueId ids = g.add_input("ids", {DType::i64, {batch, sequence}});
  for (int i = 0; i < 3; ++i) add("Tanh", {x});
  const ValueId a = add("Size", {x}, {{"axis", int64_t{1}}}), b = add("Size", {ids}, {{"axis", int64_t{1}}});
  g.add_output("y", add("Add", {a, b}));
  auto by_op = counts(18);
  BOOST_TEST(by_op["Tanh"] == 0);
  BOOST_TEST(by_op["Shape"] == 1);
}

BOOST_AUTO_TEST_CASE(names_follow_the_module_path) {
  g.add_output("y", add("Linear", {x, weight("w", {8, 8})}, {}, "encoder.layer.3.output.dense"));
  BOOST_TEST(lower(g, {.opset = 18, .patches = {}}).nodes[0].name == "/encoder/layer.3/output/dense/MatMul");
}

BOOST_AUTO_TEST_CASE(an_input_that_is_an_output_gets_a_node_of_its_own) {
  g.add_output("same", x);
  g.add_output("again", x);
  BOOST_TEST(counts(18)["Identity"] == 2);
}

BOOST_AUTO_TEST_CASE(a_patch_replaces_one_operator) {
  g.add_output("y", add("Tanh", {add("Gelu", {x}, {{"approximate", std::string("none")}})}));
  const Patch patch{composite_domain, "Gelu", [](Graph& graph, const PatchedNode& patched) {
                      return graph.add_node({"", "Relu", patched.node.scope, patched.node.inputs, {}, {}, ""});
                    }};
  std::map<std::string, int> by_op;
  for (const Node& node : lower(g, {.opset = 18, .patches = {patch}}).nodes) ++by_op[node.op];
  BOOST_TEST(by_op["Relu"] == 1);
  BOOST_TEST(by_op["Erf"] == 0);
}

BOOST_AUTO_TEST_CASE(a_patch_that_yields_another_shape_is_refused) {
  g.add_output("y", add("Gelu", {x}));
  const Patch patch{composite_domain, "Gelu", [](Graph& graph, const PatchedNode& patched) {
                      return graph.add_node({"",
                                             "ReduceSum",
                                             patched.node.scope,
                                             patched.node.inputs,
                                             {},
                                             {{"axes", std::vector<int64_t>{-1}}, {"keepdims", int64_t{0}}},
                                             ""});
                    }};
  try {
    lower(g, {.opset = 18, .patches = {patch}});
    BOOST_FAIL("a patch of another rank");
  } catch (const onnxport::Error& error) {
    BOOST_TEST(std::string(error.what()).find("the patching spec of Gelu yields f32") != std::string::npos,
               error.what());
  }
}

BOOST_AUTO_TEST_CASE(a_patch_may_put_an_operator_of_its_own_domain) {
  g.add_output("y", add("Tanh", {add("Attention", {x, x, x}, {{"heads", int64_t{2}}, {"kv_heads", int64_t{2}}})}));
  const Patch patch{
      composite_domain, "Attention", [](Graph& graph, const PatchedNode& patched) {
        Value value;
        value.origin = Origin::node;
        value.type = patched.types[0];
        const ValueId y = graph.add_value(value);
        graph.nodes.push_back({"com.example", "FastAttention", patched.node.scope, patched.node.inputs, {y}, {}, ""});
        return std::vector<ValueId>{y};
      }};
  const Graph lowered = lower(g, {.opset = 18, .patches = {patch}});
  BOOST_REQUIRE(lowered.nodes.size() == 2u);
  BOOST_TEST(lowered.nodes[0].op == "FastAttention");
  const ModelParts parts = to_model(lowered, {.opset = 18, .metadata = {}});
  BOOST_TEST(parts.model.opset_import(1).domain() == "com.example");
}

BOOST_AUTO_TEST_CASE(lowering_is_deterministic) {
  g.add_output("y", add("Attention", {x, x, x}, {{"heads", int64_t{2}}, {"kv_heads", int64_t{2}}}));
  for (int64_t opset = lowest_opset; opset <= highest_opset; ++opset) {
    const auto bytes = [&] {
      return to_model(lower(g, {.opset = opset, .patches = {}}), {.opset = opset, .metadata = {}})
          .model.SerializeAsString();
    };
    BOOST_TEST(bytes() == bytes());
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace lower_test
