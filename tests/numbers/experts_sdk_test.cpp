// SPDX-License-Identifier: Apache-2.0
// The SDK's mixture of experts over the host's real tables: both ways in which checkpoints hold experts.
#include <unistd.h>

#include <onnxport/blocks/mixture_of_experts.hpp>
#include <onnxport/blocks/norm.hpp>

#include <boost/test/unit_test.hpp>

#include "core/checkpoint/checkpoint.hpp"
#include "core/definition/host_tables.hpp"
#include "core/definition/onnx_config.hpp"
#include "core/definition/weights.hpp"
#include "tests/support/both_back_ends.hpp"
#include "tests/support/temporary_folder.hpp"

namespace experts_sdk_test {

using namespace onnxport;
namespace fs = std::filesystem;
namespace utf = boost::unit_test;

namespace {

using Ints = std::vector<int64_t>;
constexpr size_t experts = 3, inner = 4, hidden = 2;

/// What every packing below says of an entry: gate (0), up (1) and down (2) of an expert.
float entry(size_t layer, size_t expert, size_t out, size_t in) {
  return std::sin(static_cast<float>(1 + layer + 3 * expert + 11 * out + 31 * in));
}
float bias(size_t layer, size_t expert, size_t out) {
  return entry(layer, expert, out, 7);
}

ir::Tensor tensor(Ints shape, const std::function<float(size_t, size_t, size_t)>& at) {
  while (shape.size() < 3) shape.push_back(1);
  std::vector<float> values;
  for (size_t i = 0; i < static_cast<size_t>(shape[0]); ++i) {
    for (size_t j = 0; j < static_cast<size_t>(shape[1]); ++j) {
      for (size_t k = 0; k < static_cast<size_t>(shape[2]); ++k) values.push_back(at(i, j, k));
    }
  }
  return ir::Tensor::of<float>(ir::DType::f32, shape, values);
}
ir::Tensor of_shape(ir::Tensor tensor, Ints shape) {
  tensor.shape = std::move(shape);
  return tensor;
}

struct Fixture {
  Fixture() { std::ofstream(folder / "config.json") << R"({"model_type": "mixture"})"; }

  /// What a checkpoint of these tensors makes of two tokens.
  Tensors run(const std::map<std::string, ir::Tensor>& tensors, const sdk::ExpertsLayout& layout) const {
    write_safetensors(folder / "model.safetensors", tensors);
    const Checkpoint checkpoint = Checkpoint::open(folder);
    WeightSource weights(checkpoint);
    ir::Graph graph;
    const ir::Dim tokens = ir::Dim::symbol("tokens");
    graph.add_input("x", {ir::DType::f32, {tokens, ir::Dim(hidden)}});
    graph.add_input("scores", {ir::DType::f32, {tokens, ir::Dim(experts)}});
    onnxport_graph handle;
    handle.graph = &graph;
    handle.weights = &weights;
    sdk::Graph g(&plugin_host(), &handle);
    const sdk::Experts taken = sdk::experts_of(g.root() / "mlp" / "experts", layout);
    g.output("y", sdk::mixture_of_experts(g.input("x"), g.input("scores"), taken, {.top_k = 2}));
    weights.finish(false);
    const ir::Graph lowered = lower(graph, {.opset = 18, .patches = {}});
    for (const ir::Node& node : lowered.nodes)
      BOOST_TEST((node.op != "Concat" && node.op != "Slice"), node.op << " is left in the graph");
    return test::by_reference(
        graph,
        {{"x", of_shape(tensor({2, 2}, bias), {2, 2})},
         {"scores",
          of_shape(tensor({2, 3}, [](size_t i, size_t j, size_t) { return static_cast<float>(1 + (i + j) % 3); }),
                   {2, 3})}});
  }

  test::TemporaryFolder folder;
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(experts_of_a_checkpoint, Fixture, *utf::precondition(test::both_built))

BOOST_AUTO_TEST_CASE(every_packing_holds_the_same_experts) {
  std::map<std::string, ir::Tensor> apart;
  const char* names[] = {"gate_proj", "up_proj", "down_proj"};
  for (size_t expert = 0; expert < experts; ++expert) {
    for (size_t layer = 0; layer < 3; ++layer) {
      const Ints shape = layer < 2 ? Ints{inner, hidden} : Ints{hidden, inner};
      const std::string name = "mlp.experts." + std::to_string(expert) + "." + names[layer];
      apart[name + ".weight"] = of_shape(
          tensor({1, shape[0], shape[1]}, [&](size_t, size_t out, size_t in) { return entry(layer, expert, out, in); }),
          shape);
      apart[name + ".bias"] = of_shape(
          tensor({1, shape[0]}, [&](size_t, size_t out, size_t) { return bias(layer, expert, out); }), {shape[0]});
    }
  }
  const sdk::ExpertsLayout layout{.count = experts, .hidden = hidden, .inner = inner, .bias = true};
  const Tensors expected = run(apart, layout);

  const auto halves = [](size_t row) { return std::pair(row / inner, row % inner); };
  const auto turns = [](size_t row) { return std::pair(row % 2, row / 2); };
  for (const bool turned : {false, true}) {
    for (const bool interleaved : {false, true}) {
      const auto of_row = [&](size_t row) { return interleaved ? turns(row) : halves(row); };
      const auto gate_up = [&](size_t expert, size_t out, size_t in) {
        if (turned) std::swap(out, in);
        const auto [layer, row] = of_row(out);
        return entry(layer, expert, row, in);
      };
      const auto down = [&](size_t expert, size_t out, size_t in) {
        return turned ? entry(2, expert, in, out) : entry(2, expert, out, in);
      };
      const std::map<std::string, ir::Tensor> stacked{
          {"mlp.experts.gate_up_proj",
           tensor(turned ? Ints{experts, hidden, 2 * inner} : Ints{experts, 2 * inner, hidden}, gate_up)},
          {"mlp.experts.down_proj", tensor(turned ? Ints{experts, inner, hidden} : Ints{experts, hidden, inner}, down)},
          {"mlp.experts.gate_up_proj_bias", of_shape(tensor({experts, 2 * inner},
                                                            [&](size_t expert, size_t row, size_t) {
                                                              return bias(of_row(row).first, expert,
                                                                          of_row(row).second);
                                                            }),
                                                     {experts, 2 * inner})},
          {"mlp.experts.down_proj_bias",
           of_shape(tensor({experts, hidden}, [](size_t expert, size_t row, size_t) { return bias(2, expert, row); }),
                    {experts, hidden})}};
      sdk::ExpertsLayout packed = layout;
      packed.turned = turned;
      packed.interleaved = interleaved;
      test::check_equal(run(stacked, packed), expected, 1e-6,
                        std::string(turned ? "turned" : "plain") + (interleaved ? ", in turns" : ", in halves"));
    }
  }
}

/// A wrong expert is told by the module of its node, which is not that of the norm that it reads.
BOOST_AUTO_TEST_CASE(a_mixture_stands_in_its_own_module) {
  std::map<std::string, ir::Tensor> tensors{
      {"layer.mlp.gate.weight", of_shape(tensor({1, experts, hidden}, bias), {experts, hidden})},
      {"layer.norm.weight", of_shape(tensor({1, 1, hidden}, bias), {hidden})}};
  for (size_t expert = 0; expert < experts; ++expert) {
    const std::string name = "layer.mlp.experts." + std::to_string(expert) + ".";
    for (const char* part : {"gate_proj", "up_proj"})
      tensors[name + part + ".weight"] = of_shape(tensor({1, inner, hidden}, bias), {inner, hidden});
    tensors[name + "down_proj.weight"] = of_shape(tensor({1, hidden, inner}, bias), {hidden, inner});
  }
  write_safetensors(folder / "model.safetensors", tensors);
  const Checkpoint checkpoint = Checkpoint::open(folder);
  WeightSource weights(checkpoint);
  ir::Graph graph;
  graph.add_input("x", {ir::DType::f32, {ir::Dim::symbol("tokens"), ir::Dim(hidden)}});
  onnxport_graph handle;
  handle.graph = &graph;
  handle.weights = &weights;
  sdk::Graph g(&plugin_host(), &handle);
  const sdk::Scope layer = g.root() / "layer";
  const sdk::Value read = sdk::norm(layer / "norm", g.input("x"), {.kind = sdk::Norm::Kind::rms});
  g.output("y", sdk::mixture_feed_forward(
                    layer / "mlp", read,
                    {.experts = {.count = experts, .hidden = hidden, .inner = inner}, .options = {.top_k = 2}}));
  size_t mixtures = 0;
  for (const ir::Node& node : graph.nodes) {
    if (node.op != "MixtureOfExperts") continue;
    ++mixtures;
    BOOST_TEST(node.scope == "layer.mlp");
  }
  BOOST_TEST(mixtures == 1u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace experts_sdk_test
