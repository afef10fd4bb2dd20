// SPDX-License-Identifier: Apache-2.0
// Recurrent layers with torch's weights. The numbers are those of PyTorch 2.
#include <unistd.h>

#include "core/checkpoint/checkpoint.hpp"
#include "tests/support/operator_case.hpp"
#include "tests/support/temporary_folder.hpp"

namespace recurrent_test {

using namespace onnxport;
using namespace onnxport::ir;
using test::check_refusal;
using test::numbers_of;
namespace utf = boost::unit_test;
using Ints = std::vector<int64_t>;

namespace {

struct Layer {
  int64_t gates, directions = 1;
  bool states = false, biases = true;
};

/// Three steps of two sequences, three wide; states two wide. The weights grow from one to the next.
test::OperatorCase of(const Layer& layer) {
  const bool is_lstm = layer.gates == 4;
  test::OperatorCase c{.domain = composite_domain, .op = is_lstm ? "LSTM" : "GRU", .open = {0, 1}};
  c.inputs = {numbers_of({3, 2, 3}), {}, {}};
  if (layer.states) c.open = {0};  // states of so many sequences
  if (layer.states) c.inputs[1] = numbers_of({layer.directions, 2, 2});
  if (layer.states && is_lstm) c.inputs[2] = numbers_of({layer.directions, 2, 2}, 0.5F);
  float factor = 0.3F;
  const auto weight = [&](Ints shape) {
    c.inputs.push_back(numbers_of(std::move(shape), factor));
    factor += 0.1F;
  };
  for (int64_t direction = 0; direction < layer.directions; ++direction) {
    weight({layer.gates * 2, 3});
    weight({layer.gates * 2, 2});
    if (layer.biases) {
      weight({layer.gates * 2});
      weight({layer.gates * 2});
    } else {
      c.inputs.insert(c.inputs.end(), 2, Tensor{});
    }
  }
  c.attributes["direction"] = std::string(layer.directions == 2 ? "bidirectional" : "forward");
  c.outputs = is_lstm ? 3 : 2;
  return c;
}

void check_result(const Tensors& results, const char* name, const Ints& shape, const std::vector<float>& numbers) {
  test::check_equal({{name, results.at(name)}}, {{name, Tensor::of<float>(DType::f32, shape, numbers)}}, 2e-5, "torch");
}

}  // namespace

BOOST_AUTO_TEST_SUITE(recurrent_layers, *utf::precondition(test::both_built))

BOOST_AUTO_TEST_CASE(lstm) {
  const Tensors forward = test::checked(of({.gates = 4}));
  check_result(forward, "y0", {3, 2, 2},
               {0.144479F, 0.197315F, 0.036471F, 0.259581F, 0.139678F, 0.256644F, 0.101801F, 0.203857F, 0.155439F,
                0.152275F, 0.208108F, 0.194645F});
  check_result(forward, "y2", {1, 2, 2}, {0.642913F, 0.724933F, 0.639114F, 0.812463F});
  const Tensors both = test::checked(of({.gates = 4, .directions = 2, .states = true}));
  check_result(both, "y0", {3, 2, 4},
               {0.208887F, 0.228387F, 0.303774F, 0.152401F, -0.031649F, 0.226656F, 0.210579F, 0.386580F,
                0.185282F, 0.251788F, 0.208420F, 0.312660F, 0.079299F,  0.204768F, 0.075057F, 0.166414F,
                0.167371F, 0.149316F, 0.129519F, 0.046225F, 0.197655F,  0.195855F, 0.080048F, 0.125014F});
  check_result(both, "y1", {2, 2, 2},
               {0.167371F, 0.149316F, 0.197655F, 0.195855F, 0.303774F, 0.152401F, 0.210579F, 0.386580F});
  check_result(both, "y2", {2, 2, 2},
               {0.695636F, 0.718011F, 0.603197F, 0.813095F, 0.992943F, 0.936545F, 0.437351F, 0.946990F});
}

BOOST_AUTO_TEST_CASE(gru) {
  check_result(test::checked(of({.gates = 3})), "y0", {3, 2, 2},
               {0.316795F, 0.644091F, -0.005851F, 0.526300F, 0.267143F, 0.447445F, 0.296368F, 0.548013F, 0.608084F,
                0.670141F, 0.551857F, 0.765388F});
  const Tensors both = test::checked(of({.gates = 3, .directions = 2, .states = true}));
  check_result(both, "y0", {3, 2, 4},
               {0.383028F, 0.872518F, 0.872463F, 0.914839F, -0.151822F, 0.304644F, 0.652287F, 0.752344F,
                0.332144F, 0.481710F, 0.784670F, 0.256004F, 0.223084F,  0.491539F, 0.731241F, 0.628406F,
                0.634563F, 0.676608F, 0.835194F, 0.930658F, 0.517279F,  0.756402F, 0.616457F, 0.714654F});
  check_result(both, "y1", {2, 2, 2},
               {0.634563F, 0.676608F, 0.517279F, 0.756402F, 0.872463F, 0.914839F, 0.652287F, 0.752344F});
  check_result(test::checked(of({.gates = 3, .biases = false})), "y0", {3, 2, 2},
               {0.039455F, 0.193913F, -0.197960F, -0.040023F, -0.121648F, -0.088979F, -0.025308F, -0.083953F, 0.270703F,
                0.076751F, 0.143175F, 0.178022F});
}

BOOST_AUTO_TEST_CASE(backwards_only) {
  for (const int64_t gates : {3, 4}) {
    test::OperatorCase c = of({.gates = gates, .states = true});
    c.attributes["direction"] = std::string("reverse");
    test::checked(c);
  }
}

/// Weights of a checkpoint are put in order while they are written: nothing is left to be run.
BOOST_AUTO_TEST_CASE(weights_in_order) {
  const test::TemporaryFolder folder;
  const std::filesystem::path file = folder / "model.safetensors";
  for (const int64_t directions : {1, 2}) {
    const test::OperatorCase c = of({.gates = 4, .directions = directions});
    std::map<std::string, Tensor> tensors;
    for (size_t i = 3; i < c.inputs.size(); ++i) tensors["weight" + std::to_string(i)] = c.inputs[i];
    write_safetensors(file, tensors);
    Graph g;
    std::vector<ValueId> inputs{g.add_input("x", {DType::f32, {Dim::symbol("n"), Dim::symbol("batch"), Dim(3)}}),
                                absent, absent};
    std::map<std::string, Weight> weights;
    for (StoredTensor& stored : read_safetensors(file.string())) {
      const std::string name = stored.name;
      weights[name] = Weight{std::make_shared<const StoredTensor>(std::move(stored)), {}};
    }
    for (size_t i = 3; i < c.inputs.size(); ++i) {
      const std::string name = "weight" + std::to_string(i);
      inputs.push_back(g.add_weight(name, weights.at(name)));
    }
    g.add_output("y0", g.add_node({composite_domain, "LSTM", "lstm", inputs, {}, c.attributes, ""})[0]);
    const Graph lowered = lower(g, {.opset = 18, .patches = {}});
    for (const Node& node : lowered.nodes)
      BOOST_TEST((node.op == "LSTM" || node.op == "Squeeze" || node.op == "Transpose" || node.op == "Reshape"),
                 node.op);
    // The same numbers as from constants, by what is written of the weights.
    Graph constants = lowered;
    for (Value& value : constants.values) {
      if (value.origin != Origin::weight) continue;
      value.constant = std::make_shared<const Tensor>(materialize(*value.weight));
      value.origin = Origin::constant;
    }
    const Tensors given{{"x", c.inputs[0]}};
    const Tensors found = test::run_model(to_model(constants, {.opset = 18, .metadata = {}}).model, given);
    test::check_equal(found, {{"y0", test::checked(c).at("y0")}}, 1e-5, "weights");
  }
}

BOOST_AUTO_TEST_CASE(refusals_of_recurrent_layers) {
  test::OperatorCase c = of({.gates = 4});
  c.attributes["direction"] = std::string("both");
  check_refusal(c, "no direction 'both'; known: forward, reverse, bidirectional");
  c = of({.gates = 4});
  c.inputs[3] = numbers_of({8, 4});
  check_refusal(c, "input 3 is [8, 4]; expected [8, 3]");
  c = of({.gates = 4});
  c.inputs[6] = {};
  check_refusal(c, "one of two biases");
  c = of({.gates = 3});
  c.inputs[2] = numbers_of({1, 2, 2});
  check_refusal(c, "the state of an LSTM's cells");
  c = of({.gates = 4});
  c.attributes["direction"] = std::string("bidirectional");
  check_refusal(c, "a direction has no weights");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace recurrent_test
