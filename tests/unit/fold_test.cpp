// SPDX-License-Identifier: Apache-2.0
// Folding of what depends on weights alone, and the bytes of the weights that carry it.
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <filesystem>
#include <map>

#include "core/checkpoint/checkpoint.hpp"
#include "core/checkpoint/convert.hpp"
#include "core/passes/pipeline.hpp"
#include "tests/support/temporary_folder.hpp"

namespace fold_test {

using namespace onnxport;
using namespace onnxport::ir;
namespace fs = std::filesystem;

namespace {

using Ints = std::vector<int64_t>;

struct Fixture {
  /// 0.5, 1, 1.5, …, in a file of its own.
  Weight stored(const std::string& name, Ints shape) {
    Tensor tensor{DType::f32, std::move(shape), {}};
    std::vector<float> values(static_cast<size_t>(tensor.element_count()));
    for (size_t i = 0; i < values.size(); ++i) values[i] = 0.5F * static_cast<float>(i + 1);
    const fs::path file = folder / (name + ".safetensors");
    write_safetensors(file, {{name, Tensor::of<float>(DType::f32, tensor.shape, values)}});
    return Weight{std::make_shared<const StoredTensor>(read_safetensors(file.string())[0]), {}};
  }
  ValueId weight(const std::string& name, Ints shape) { return g.add_weight(name, stored(name, std::move(shape))); }
  ValueId add(const std::string& domain, const std::string& op, std::vector<ValueId> inputs,
              Attributes attributes = {}) {
    return g.add_node({domain, op, "m", std::move(inputs), {}, std::move(attributes), ""})[0];
  }
  Graph lowered(const std::vector<Patch>& patches = {}) { return lower(g, {.opset = 18, .patches = patches}); }
  static std::vector<std::string> ops(const Graph& graph) {
    std::vector<std::string> names;
    for (const Node& node : graph.nodes) names.push_back(node.op);
    return names;
  }
  static std::vector<float> floats(const Weight& weight) {
    const Tensor tensor = materialize(weight);
    return {tensor.as<float>().begin(), tensor.as<float>().end()};
  }

  test::TemporaryFolder folder;
  Graph g;
  ValueId image = g.add_input("image", {DType::f32, {Dim::symbol("batch"), Dim(2), Dim(8), Dim(8)}});
  ValueId rows = g.add_input("rows", {DType::f32, {Dim::symbol("batch"), Dim(3)}});
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(fold, Fixture)

BOOST_AUTO_TEST_CASE(a_normalisation_goes_into_the_convolution_before_it) {
  for (const bool bias : {false, true}) {
    g = Graph();
    image = g.add_input("image", {DType::f32, {Dim::symbol("batch"), Dim(2), Dim(8), Dim(8)}});
    std::vector<ValueId> inputs{image, weight("kernel", {3, 2, 1, 1})};
    if (bias) inputs.push_back(weight("offset", {3}));
    const ValueId conv = add("", "Conv", inputs);
    g.marks.push_back({"before", conv});
    g.add_output("y",
                 add(composite_domain, "BatchNorm",
                     {conv, weight("gain", {3}), weight("shift", {3}), weight("mean", {3}), weight("variance", {3})},
                     {{"epsilon", 0.25}}));
    const Graph graph = lowered();
    BOOST_TEST(ops(graph) == std::vector<std::string>{"Conv"}, boost::test_tools::per_element());
    BOOST_TEST(graph.marks.empty());  // its value is nowhere in the file
    const Node& node = graph.nodes[0];
    BOOST_REQUIRE(node.inputs.size() == 3u);
    BOOST_TEST(graph[node.inputs[1]].name == "kernel");
    BOOST_TEST(graph[node.inputs[2]].name == "shift");
    const auto kernel = floats(*graph[node.inputs[1]].weight), offset = floats(*graph[node.inputs[2]].weight);
    for (size_t i = 0; i < 3; ++i) {
      const double v = 0.5 * static_cast<double>(i + 1), scale = v / std::sqrt(v + 0.25);
      for (size_t j = 0; j < 2; ++j)
        BOOST_TEST(static_cast<double>(kernel[2 * i + j]) == 0.5 * static_cast<double>(2 * i + j + 1) * scale,
                   boost::test_tools::tolerance(1e-6));
      BOOST_TEST(static_cast<double>(offset[i]) == ((bias ? v : 0.0) - v) * scale + v,
                 boost::test_tools::tolerance(1e-6));
    }
  }
}

BOOST_AUTO_TEST_CASE(what_somebody_else_reads_stays) {
  const ValueId conv = add("", "Conv", {image, weight("kernel", {3, 2, 1, 1})});
  const auto norm = [&](ValueId x) {
    return add(composite_domain, "BatchNorm",
               {x, weight("gain", {3}), weight("shift", {3}), weight("mean", {3}), weight("variance", {3})});
  };
  g.add_output("y", add("", "Add", {norm(conv), conv}));
  auto left = ops(lowered());
  BOOST_TEST((left == std::vector<std::string>{"Conv", "BatchNormalization", "Add"}));

  g.outputs.clear();
  const ValueId second = add("", "Conv", {image, weight("other", {3, 2, 1, 1})});
  g.add_output("y", norm(second));
  const Patch patch{composite_domain, "BatchNorm", [](Graph& graph, const PatchedNode& patched) {
                      return graph.add_node({"", "Relu", "m", {patched.node.inputs[0]}, {}, {}, ""});
                    }};
  BOOST_TEST((ops(lowered({patch})) == std::vector<std::string>{"Conv", "Relu"}));
  BOOST_TEST((ops(lowered()) == std::vector<std::string>{"Conv"}));
}

BOOST_AUTO_TEST_CASE(a_scale_goes_into_the_linear_layer_before_it) {
  const ValueId y = add(composite_domain, "Linear", {rows, weight("w", {4, 3}), weight("b", {4})});
  g.add_output("y", add("", "Mul", {weight("scale", {4}), y}));
  const Graph graph = lowered();
  BOOST_TEST((ops(graph) == std::vector<std::string>{"Gemm"}));
  const auto w = floats(*graph[graph.nodes[0].inputs[1]].weight), b = floats(*graph[graph.nodes[0].inputs[2]].weight);
  for (size_t i = 0; i < 4; ++i) {
    const float scale = 0.5F * static_cast<float>(i + 1);
    for (size_t j = 0; j < 3; ++j) BOOST_TEST(w[3 * i + j] == 0.5F * static_cast<float>(3 * i + j + 1) * scale);
    BOOST_TEST(b[i] == scale * scale);
  }
}

BOOST_AUTO_TEST_CASE(layouts_and_sums_of_weights) {
  // As position embeddings are read: [1, 1 + 2·3, 4] -> the first, and a grid [1, 4, 2, 3].
  const ValueId table = weight("table", {1, 7, 4});
  const auto slice = [&](int64_t begin, int64_t end) {
    return add("", "Slice", {table},
               {{"starts", Ints{begin}}, {"ends", Ints{end}}, {"axes", Ints{1}}, {"steps", Ints{1}}});
  };
  const ValueId turned = add("", "Transpose", {slice(1, INT64_MAX)}, {{"perm", Ints{0, 2, 1}}});
  g.add_output("grid", add("", "Reshape", {turned}, {{"shape", Ints{1, 4, 2, 3}}}));
  g.add_output("first", add("", "Add", {weight("token", {1, 1, 4}), slice(0, 1)}));
  const Graph graph = lowered();
  BOOST_TEST((ops(graph) == std::vector<std::string>{"Identity", "Identity"}));
  const Weight &grid = *graph[graph.nodes[0].inputs[0]].weight, &first = *graph[graph.nodes[1].inputs[0]].weight;
  BOOST_TEST(grid.shape() == (Ints{1, 4, 2, 3}), boost::test_tools::per_element());
  const auto values = floats(grid);
  for (size_t channel = 0; channel < 4; ++channel) {
    for (size_t place = 0; place < 6; ++place)
      BOOST_TEST(values[channel * 6 + place] == 0.5F * static_cast<float>((place + 1) * 4 + channel + 1));
  }
  BOOST_TEST(floats(first) == (std::vector<float>{1, 2, 3, 4}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_weight_that_is_read_as_stored_is_not_copied) {
  const ValueId table = weight("table", {3, 3});
  g.add_output("y", add("", "MatMul",
                        {add("", "MatMul", {rows, table}), add("", "Transpose", {table}, {{"perm", Ints{1, 0}}})}));
  BOOST_TEST((ops(lowered()) == std::vector<std::string>{"MatMul", "Transpose", "MatMul"}));
}

BOOST_AUTO_TEST_CASE(arithmetic_of_weights_and_constants) {
  // Gemma's norms: x · (1 + weight). Then a quotient, a difference in both orders, a product with a row.
  const auto number = [&](float value) { return g.add_constant(Tensor::f32_scalar(value)); };
  const ValueId w = weight("w", {3}), table = weight("table", {2, 3});
  const ValueId row = g.add_constant(Tensor::of<float>(DType::f32, {3}, {1, 10, 100}));
  const std::vector<std::pair<ValueId, std::vector<float>>> cases{
      {add("", "Add", {number(1), w}), {1.5F, 2, 2.5F}},
      {add("", "Sub", {number(1), w}), {0.5F, 0, -0.5F}},
      {add("", "Sub", {w, number(1)}), {-0.5F, 0, 0.5F}},
      {add("", "Div", {number(3), w}), {6, 3, 2}},
      {add("", "Mul", {row, table}), {0.5F, 10, 150, 2, 25, 300}},
      {add("", "Mul", {table, w}), {0.25F, 1, 2.25F, 1, 2.5F, 4.5F}},
      {add("", "Reciprocal", {add("", "Sqrt", {add("", "Mul", {w, w})})}), {2, 1, 1 / 1.5F}},
      {add("", "Neg",
           {add("", "Slice", {add("", "Mul", {table, w})},
                {{"starts", Ints{1}}, {"ends", Ints{2}}, {"axes", Ints{1}}, {"steps", Ints{1}}})}),
       {-1, -2.5F}}};
  for (size_t i = 0; i < cases.size(); ++i) g.add_output("y" + std::to_string(i), cases[i].first);
  const Graph graph = lowered();
  BOOST_REQUIRE_EQUAL(graph.nodes.size(), cases.size());
  for (size_t i = 0; i < cases.size(); ++i) {
    BOOST_TEST(graph.nodes[i].op == "Identity");
    const Value& value = graph[graph.nodes[i].inputs[0]];
    BOOST_REQUIRE((value.origin == Origin::weight));
    BOOST_TEST((value.name == "w" || value.name == "table"));
    BOOST_TEST(floats(*value.weight) == cases[i].second, boost::test_tools::per_element());
  }
}

BOOST_AUTO_TEST_CASE(arithmetic_of_constants_is_a_constant) {
  const ValueId three = g.add_constant(Tensor::i64({3, 4})), five = g.add_constant(Tensor::i64({5}));
  g.add_output("sum", add("", "Add", {add("", "Mul", {three, five}), five}));
  g.add_output("half",
               add("", "Mul", {g.add_constant(Tensor::f32_scalar(3)), g.add_constant(Tensor::f32_scalar(0.5F))}));
  const Graph graph = lowered();
  BOOST_TEST((ops(graph) == std::vector<std::string>{"Identity", "Identity"}));
  BOOST_TEST((*graph[graph.nodes[0].inputs[0]].constant == Tensor::i64({20, 25})));
  BOOST_TEST((*graph[graph.nodes[1].inputs[0]].constant == Tensor::f32_scalar(1.5F)));
}

BOOST_AUTO_TEST_CASE(any_order_of_axes) {
  // [2, 3, 2]: the middle axis goes to the front, then the others change places as well.
  const ValueId w = weight("w", {2, 3, 2});
  g.add_output("y", add("", "Transpose", {add("", "Mul", {w, g.add_constant(Tensor::f32_scalar(2))})},
                        {{"perm", Ints{2, 1, 0}}}));
  const Graph graph = lowered();
  BOOST_TEST((ops(graph) == std::vector<std::string>{"Identity"}));
  const Weight& turned = *graph[graph.nodes[0].inputs[0]].weight;
  BOOST_TEST(turned.shape() == (Ints{2, 3, 2}), boost::test_tools::per_element());
  const auto values = floats(turned);
  for (size_t i = 0; i < 2; ++i) {
    for (size_t j = 0; j < 3; ++j) {
      for (size_t k = 0; k < 2; ++k)
        BOOST_TEST(values[(i * 3 + j) * 2 + k] == static_cast<float>((k * 3 + j) * 2 + i + 1));
    }
  }
}

BOOST_AUTO_TEST_CASE(a_large_weight_is_computed_in_pieces_and_stands_once) {
  const ValueId table = weight("table", {400, 300}), ids = g.add_input("ids", {DType::i64, {Dim::symbol("n")}});
  const ValueId scaled =
      add("", "Mul", {add("", "Add", {table, weight("other", {400, 300})}), g.add_constant(Tensor::f32_scalar(0.5F))});
  g.add_output("rows", add(composite_domain, "Embedding", {scaled, ids}));
  const Graph graph = lowered();
  BOOST_TEST((ops(graph) == std::vector<std::string>{"Gather"}));
  const Weight& sum = *graph[graph.nodes[0].inputs[0]].weight;
  BOOST_TEST(TileReader(sum).granularity() == sizeof(float));  // nothing is made whole
  const auto values = floats(sum);
  for (size_t i = 0; i < values.size(); i += 997) BOOST_TEST(values[i] == 0.5F * static_cast<float>(i + 1));

  g.add_output("all", add("", "MatMul", {g.add_input("x", {DType::f32, {Dim(1), Dim(400)}}), table}));
  BOOST_TEST((ops(lowered()) == std::vector<std::string>{"Add", "Mul", "Gather", "MatMul"}));
}

BOOST_AUTO_TEST_CASE(what_refers_to_the_checkpoint_stays_where_it_is) {
  const ValueId w = weight("w", {4, 3});
  const auto slice = [&](int64_t axis) {
    return add("", "Slice", {w}, {{"starts", Ints{1}}, {"ends", Ints{3}}, {"axes", Ints{axis}}, {"steps", Ints{1}}});
  };
  g.add_output("run", slice(0));
  g.add_output("column", slice(1));
  g.add_output("sum", add("", "Add", {w, g.add_constant(Tensor::f32_scalar(1))}));
  const Graph graph = lower(g, {.opset = 18, .patches = {}, .weights_as_stored = true});
  BOOST_TEST((ops(graph) == std::vector<std::string>{"Slice", "Add", "Identity"}));
}

BOOST_AUTO_TEST_CASE(scaled_rows_in_pieces) {
  // In every order of scale, transpose and cast, a run read from the middle is that of the whole.
  const Weight plain = stored("w", {5, 6});
  const Weight scaled = scaled_rows(plain, stored("five", {5}));
  const std::vector<Weight> weights{scaled,
                                    scaled_rows(plain.then(CastTo{DType::f16}), stored("five", {5})),
                                    scaled.then(CastTo{DType::f16}),
                                    scaled.then(TransposeMatrix{}),
                                    scaled_rows(plain.then(TransposeMatrix{}), stored("six", {6})),
                                    scaled.then(TransposeMatrix{}).then(CastTo{DType::bf16}),
                                    scaled_rows(plain.then(SliceAxis{0, 1, 4}), stored("three", {3})),
                                    scaled.then(SliceAxis{0, 1, 4})};
  const auto at = [&](size_t row, size_t column) { return 0.5 * static_cast<double>(row * 6 + column + 1); };
  for (size_t k = 0; k < weights.size(); ++k) {
    const Weight& weight = weights[k];
    const Tensor whole = materialize(weight);
    Tensor wide{DType::f32, whole.shape, std::vector<std::byte>(static_cast<size_t>(whole.element_count()) * 4)};
    convert_elements(whole.dtype, whole.data.data(), DType::f32, wide.data.data(),
                     static_cast<uint64_t>(whole.element_count()));
    const bool turned = k == 3 || k == 4 || k == 5;
    const size_t first = k >= 6 ? 1 : 0;
    for (size_t i = 0; i < static_cast<size_t>(whole.shape[0]); ++i) {
      for (size_t j = 0; j < static_cast<size_t>(whole.shape[1]); ++j) {
        const size_t row = first + (turned ? j : i), column = turned ? i : j;
        const size_t factor = k == 4 ? column : k == 6 ? row - 1 : row;
        const double expected = at(row, column) * 0.5 * static_cast<double>(factor + 1);
        BOOST_TEST(wide.as<float>()[i * static_cast<size_t>(whole.shape[1]) + j] == expected,
                   "weight " << k << " at " << i << ", " << j);
      }
    }
    const TileReader reader(weight);
    BOOST_TEST(!reader.untouched().has_value());
    const uint64_t step = reader.granularity();
    for (uint64_t begin = 0; begin < weight.bytes(); begin += step) {
      std::vector<std::byte> piece(step);
      reader.read(begin, piece);
      BOOST_TEST(std::equal(piece.begin(), piece.end(), whole.data.begin() + static_cast<std::ptrdiff_t>(begin)));
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace fold_test
