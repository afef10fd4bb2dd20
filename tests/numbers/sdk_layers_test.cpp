// SPDX-License-Identifier: Apache-2.0
// The SDK's layers for images, sound and sequences over checkpoints with torch's names. The numbers are PyTorch 2's.
#include <unistd.h>

#include <onnxport/recurrent.hpp>
#include <onnxport/selection.hpp>
#include <onnxport/vision.hpp>

#include "core/checkpoint/checkpoint.hpp"
#include "core/definition/host_tables.hpp"
#include "core/definition/onnx_config.hpp"
#include "core/definition/weights.hpp"
#include "tests/support/operator_case.hpp"
#include "tests/support/temporary_folder.hpp"

namespace sdk_layers_test {

namespace fs = std::filesystem;
namespace ir = onnxport::ir;
namespace utf = boost::unit_test;
using namespace onnxport::sdk;
using onnxport::Tensors;
using onnxport::test::numbers_of;
using Ints = std::vector<int64_t>;

namespace {

ir::Tensor i64(Ints shape, const Ints& values) {
  return ir::Tensor::of<int64_t>(ir::DType::i64, std::move(shape), values);
}

/// A definition of outputs of one input x, whose axes are known where they are not 0 in `axes`.
struct Definition {
  ir::Tensor x;
  Ints axes;
  std::map<std::string, ir::Tensor> weights{};
  std::function<void(const Scope&, const Value& x)> forward{};

  ir::Graph graph() const {
    const onnxport::test::TemporaryFolder folder;
    folder.write("config.json", R"({"model_type": "layers"})");
    onnxport::write_safetensors(folder / "model.safetensors",
                                weights.empty() ? std::map<std::string, ir::Tensor>{{"m.none", x}} : weights);
    const onnxport::Checkpoint checkpoint = onnxport::Checkpoint::open(folder);
    onnxport::WeightSource source(checkpoint);
    ir::Graph graph;
    ir::Shape shape;
    for (size_t i = 0; i < axes.size(); ++i)
      shape.push_back(axes[i] == 0 ? ir::Dim::symbol("axis" + std::to_string(i)) : ir::Dim(axes[i]));
    graph.add_input("x", {x.dtype, shape});
    onnxport_graph handle;
    handle.graph = &graph;
    handle.weights = &source;
    Graph g(&onnxport::plugin_host(), &handle);
    forward(g.root() / "m", g.input("x"));
    if (!weights.empty()) source.finish(false);
    return graph;  // what was opened stays
  }

  /// The reference's outputs, which ONNX Runtime yields as well, at the lowest opset and the highest.
  Tensors results() const {
    const ir::Graph g = graph();
    const Tensors given{{"x", x}}, expected = onnxport::test::by_reference(g, given);
    for (const int64_t opset : {13, 24}) {
      ir::Graph lowered = onnxport::lower(g, {.opset = opset, .patches = {}});
      for (ir::Value& value : lowered.values) {
        if (value.origin != ir::Origin::weight) continue;
        value.constant = std::make_shared<const ir::Tensor>(materialize(*value.weight));
        value.origin = ir::Origin::constant;
      }
      const auto model = onnxport::to_model(lowered, {.opset = opset, .metadata = {}}).model;
      onnxport::test::check_equal(onnxport::test::run_model(model, given), expected, 1e-5,
                                  "opset " + std::to_string(opset));
    }
    return expected;
  }

  void check(const Ints& shape, const std::vector<float>& numbers) const {
    onnxport::test::check_equal({{"y", results().at("y")}},
                                {{"y", ir::Tensor::of<float>(ir::DType::f32, shape, numbers)}}, 2e-5, "torch");
  }
  void check_integers(const Ints& shape, const Ints& numbers) const {
    onnxport::test::check_equal({{"y", results().at("y")}}, {{"y", i64(shape, numbers)}}, 0, "torch");
  }
};

/// A definition of one output y, of an i64 input.
Definition of_integers(ir::Tensor x, Ints axes, std::function<Value(const Value&)> define) {
  return {.x = std::move(x),
          .axes = std::move(axes),
          .forward = [define = std::move(define)](const Scope&, const Value& v) { v.graph().output("y", define(v)); }};
}

/// The weights of recurrent layers in torch's order, growing from one to the next.
std::map<std::string, ir::Tensor> recurrent_weights(int64_t gates, int64_t layers, bool both) {
  std::map<std::string, ir::Tensor> weights;
  float factor = 0.3F;
  for (int64_t layer = 0; layer < layers; ++layer) {
    for (const char* direction : {"", "_reverse"}) {
      if (*direction != '\0' && !both) continue;
      const int64_t width = layer == 0 ? 3 : both ? 4 : 2;
      for (const auto& [name, shape] : {std::pair<std::string, Ints>{"weight_ih", {gates * 2, width}},
                                        {"weight_hh", {gates * 2, 2}},
                                        {"bias_ih", {gates * 2}},
                                        {"bias_hh", {gates * 2}}}) {
        weights["m.rnn." + name + "_l" + std::to_string(layer) + direction] = numbers_of(shape, factor);
        factor += 0.05F;
      }
    }
  }
  return weights;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(sdk_layers, *utf::precondition(onnxport::test::both_built))

BOOST_AUTO_TEST_CASE(a_recurrence_of_the_definitions_own) {
  // s ← s · w + x, and a row of 2 s in each of three steps.
  const Definition definition{.x = ir::Tensor::of<float>(ir::DType::f32, {3, 2}, {1, 2, 3, 4, 5, 6}),
                              .axes = {0, 2},
                              .weights = {{"m.w", ir::Tensor::of<float>(ir::DType::f32, {2}, {0.5F, -1})}},
                              .forward = [](const Scope& s, const Value& x) {
                                Graph& g = s.graph();
                                const ScanOver over{.states = {g.constant<float>(DType::f32, {2}, {0.F, 0.F})},
                                                    .walked = {x},
                                                    .captures = {s.weight("w", {2})},
                                                    .rows = 1};
                                const ScanResult made =
                                    g.scan(s, over, [](Graph&, const std::vector<Value>& in) -> ScanStep {
                                      const Value next = in[0] * in[2] + in[1];
                                      return {{next}, {next * 2.0}};
                                    });
                                g.output("y", made.rows.at(0));
                                g.output("last", made.states.at(0));
                              }};
  const Tensors results = definition.results();
  onnxport::test::check_equal(results,
                              {{"y", ir::Tensor::of<float>(ir::DType::f32, {3, 2}, {2, 4, 7, 4, 13.5F, 8})},
                               {"last", ir::Tensor::of<float>(ir::DType::f32, {2}, {6.75F, 4})}},
                              1e-6, "by hand");
}

BOOST_AUTO_TEST_CASE(a_step_of_a_recurrence_sees_what_it_is_handed) {
  const auto said = [](const std::function<ScanStep(Graph&, const std::vector<Value>&)>& step) -> std::string {
    const Definition definition{
        .x = numbers_of({3, 2}), .axes = {0, 2}, .forward = [&](const Scope& s, const Value& x) {
          x.graph().output("y", x.graph().scan(s, {.states = {}, .walked = {x}, .rows = 1}, step).rows[0]);
        }};
    try {
      (void)definition.graph();
    } catch (const Error& error) {
      return error.what();
    }
    return "accepted";
  };
  const auto mentions = [&](const std::string& text, const char* part) { return text.find(part) != std::string::npos; };
  BOOST_TEST(said([](Graph&, const std::vector<Value>& in) -> ScanStep { return {{}, {in[0]}}; }) == "accepted");
  BOOST_TEST(mentions(said([](Graph&, const std::vector<Value>&) -> ScanStep { return {}; }), "another number of"));
  BOOST_TEST(mentions(said([](Graph& g, const std::vector<Value>&) -> ScanStep {
                        return {{}, {g.root().weight("w", {2})}};
                      }),
                      "has weights of its own"));
}

BOOST_AUTO_TEST_CASE(two_layers_in_both_directions) {
  const Definition definition{.x = numbers_of({2, 3, 3}),
                              .axes = {0, 0, 3},
                              .weights = recurrent_weights(4, 2, true),
                              .forward = [](const Scope& s, const Value& x) {
                                const RecurrentResult y =
                                    lstm(s / "rnn", x,
                                         {.hidden = 2, .layers = 2, .bidirectional = true, .batch_first = true});
                                x.graph().output("y", y.sequence);
                                x.graph().output("cell", y.cell);
                              }};
  definition.check({2, 3, 4}, {0.116722F, 0.209129F, 0.213459F, 0.201491F, 0.193703F, 0.221076F, 0.181034F, 0.196813F,
                               0.221905F, 0.208559F, 0.106375F, 0.176841F, 0.114767F, 0.208445F, 0.207548F, 0.201672F,
                               0.180416F, 0.218007F, 0.169258F, 0.195597F, 0.220623F, 0.215016F, 0.109296F, 0.183886F});
  onnxport::test::check_equal(
      {{"cell", definition.results().at("cell")}},
      {{"cell", ir::Tensor::of<float>(
                    ir::DType::f32, {4, 2, 2},
                    {0.204881F, 0.454709F, 0.648908F, 0.726501F, 0.519171F, 0.885484F, 0.714520F, 0.716351F, 0.909702F,
                     0.944054F, 0.885741F, 0.937686F, 0.967276F, 0.982414F, 0.935424F, 0.972223F})}},
      2e-5, "torch");
}

BOOST_AUTO_TEST_CASE(layers_that_start_from_a_state) {
  Definition{.x = numbers_of({3, 2, 3}),
             .axes = {0, 2, 3},
             .weights = recurrent_weights(3, 2, false),
             .forward =
                 [](const Scope& s, const Value& x) {
                   const std::vector<float> state{0.1F,      1.091665F, -0.155541F, -0.825815F,
                                                  0.594114F, 0.898487F, -0.599875F, -0.518137F};
                   const Value start = x.graph().constant(DType::f32, {2, 2, 2}, state);
                   x.graph().output("y", gru(s / "rnn", x, {.hidden = 2, .layers = 2, .state = start}).sequence);
                 }}
      .check({3, 2, 2}, {0.680017F, 0.556585F, -0.036893F, 0.402943F, 0.733081F, 0.538802F, 0.284974F, 0.647095F,
                         0.783286F, 0.425380F, 0.478071F, 0.570208F});
}

BOOST_AUTO_TEST_CASE(a_weight_by_its_direction_and_length) {
  ir::Tensor length = numbers_of({1, 1, 2});
  for (float& number : length.as<float>()) number += 1;
  for (const bool newer : {false, true}) {
    const std::string kept = newer ? "m.conv.parametrizations.weight.original" : "m.conv.weight_";
    Definition{.x = numbers_of({1, 2, 4}),
               .axes = {1, 2, 0},
               .weights = {{kept + (newer ? "0" : "g"), length},
                           {kept + (newer ? "1" : "v"), numbers_of({3, 2, 2})},
                           {"m.conv.bias", numbers_of({3})}},
               .forward =
                   [](const Scope& s, const Value& x) {
                     const Value weight = weight_norm(s / "conv", {3, 2, 2}, 2);
                     x.graph().output("y", conv1d(s / "conv", x, {.out = 3, .kernel = 2, .weight = weight}));
                   }}
        .check({1, 3, 3},
               {0.567590F, 0.459108F, -0.398820F, 1.483857F, 1.369402F, 0.727410F, 0.132456F, -0.017956F, -0.345126F});
  }
}

BOOST_AUTO_TEST_CASE(transposes_and_norms_take_their_weights) {
  Definition definition{.x = numbers_of({2, 4, 3, 3}),
                        .axes = {0, 4, 0, 0},
                        .weights = {{"m.up.weight", numbers_of({4, 2, 2, 2})},
                                    {"m.up.bias", numbers_of({2})},
                                    {"m.norm.weight", numbers_of({4})},
                                    {"m.norm.bias", numbers_of({4})}}};
  definition.forward = [](const Scope& s, const Value& x) {
    const Value y =
        conv_transpose2d(s / "up", group_norm(s / "norm", x, {.groups = 2}), {.out = 2, .kernel = 2, .stride = 2});
    x.graph().output("y", adaptive_average_pool(interpolate(y, {0.5, 0.5}, {.how = Interpolation::bilinear}), {2, 3}));
    x.graph().output("z", grid_sample(y, pad(transpose(slice(x, {1, 0, 2}), {0, 2, 3, 1}), {{1, 0, 1}})));
  };
  const Tensors results = definition.results();
  BOOST_TEST(results.at("y").shape == (Ints{2, 2, 2, 3}), boost::test_tools::per_element());
  BOOST_TEST(results.at("z").shape == (Ints{2, 2, 4, 3}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(other_ways_to_look_at_an_axis) {
  const ir::Tensor counted = i64({1, 7}, {0, 1, 2, 3, 4, 5, 6});
  of_integers(counted, {1, 0}, [](const Value& x) {
    return flip(x, 1);
  }).check_integers({1, 7}, Ints{6, 5, 4, 3, 2, 1, 0});
  of_integers(counted, {1, 0}, [](const Value& x) {
    return roll(x, 1, 2);
  }).check_integers({1, 7}, Ints{5, 6, 0, 1, 2, 3, 4});
  of_integers(counted, {1, 0}, [](const Value& x) {
    return roll(x, 1, -3);
  }).check_integers({1, 7}, Ints{3, 4, 5, 6, 0, 1, 2});
  of_integers(counted, {1, 0}, [](const Value& x) {
    return windows_of(x, {.axis = 1, .size = 3, .step = 2});
  }).check_integers({1, 3, 3}, Ints{0, 1, 2, 2, 3, 4, 4, 5, 6});
  // To a multiple of four, whatever the length is.
  of_integers(counted, {1, 0}, [](const Value& x) {
    Graph& g = x.graph();
    return pad(x, {OpenPad{1, g.integer(0), missing_to_multiple(size_of(x, 1), 4)}}, {.value = 9});
  }).check_integers({1, 8}, Ints{0, 1, 2, 3, 4, 5, 6, 9});
}

BOOST_AUTO_TEST_CASE(choices) {
  const ir::Tensor ids = i64({2, 2}, {1, 0, 2, 1});
  of_integers(ids, {0, 0}, [](const Value& x) {
    return cast(one_hot(x, 3), DType::i64);
  }).check_integers({2, 2, 3}, Ints{0, 1, 0, 1, 0, 0, 0, 0, 1, 0, 1, 0});
  of_integers(ids, {0, 0}, [](const Value& x) {
    return top_k(cast(x, DType::f32), size_of(x, 1)).indices;
  }).check_integers({2, 2}, Ints{0, 1, 0, 1});
  // Rows of images where a text has tokens for them.
  of_integers(ids, {0, 0}, [](const Value& x) {
    Graph& g = x.graph();
    const Value rows = g.constant<int64_t>(DType::i64, {2, 2}, {7, 8, 9, 10});
    return masked_scatter(concat({unsqueeze(x, {2}), unsqueeze(x, {2})}, 2), equal(x, 1), rows);
  }).check_integers({2, 2, 2}, Ints{7, 8, 0, 0, 2, 2, 9, 10});
}

BOOST_AUTO_TEST_CASE(halves_and_what_is_no_number) {
  const ir::Tensor x = ir::Tensor::of<float>(ir::DType::f32, {1, 4}, {1, -2, 0, std::log(3.0F)});
  const auto check = [&](Value (*define)(const Value&), const Ints& shape, const std::vector<float>& expected) {
    const auto forward = [define](const Scope&, const Value& v) { v.graph().output("y", define(v)); };
    Definition{.x = x, .axes = {0, 4}, .forward = forward}.check(shape, expected);
  };
  check([](const Value& v) { return glu(v); }, {1, 2}, {0.5F, -1.5F});
  check([](const Value& v) { return nan_to_zero(sqrt(v)); }, {1, 4}, {1, 0, 0, std::sqrt(std::log(3.0F))});
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace sdk_layers_test
