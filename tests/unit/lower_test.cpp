// SPDX-License-Identifier: Apache-2.0
// Lowering: which operators come out at which opset, and the tidying after it.
#include <boost/test/unit_test.hpp>
#include <map>

#include "core/error.hpp"
#include "core/export.hpp"
#include "core/onnx/model_proto.hpp"
#include "core/passes/lower.hpp"

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
