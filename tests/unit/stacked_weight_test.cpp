// SPDX-License-Identifier: Apache-2.0
// Experts' weights: kept apart in a checkpoint and stacked on their way, or stacked there and cut, turned and sorted.
#include <fcntl.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <functional>

#include "core/checkpoint/checkpoint.hpp"
#include "core/checkpoint/convert.hpp"
#include "core/checkpoint/parallel_writer.hpp"
#include "core/error.hpp"
#include "core/onnx/model_file.hpp"
#include "core/passes/pipeline.hpp"
#include "core/passes/precision.hpp"
#include "tests/support/temporary_folder.hpp"

namespace stacked_weight_test {

using namespace onnxport;
using namespace onnxport::ir;
namespace fs = std::filesystem;

namespace {

using Ints = std::vector<int64_t>;
using Floats = std::vector<float>;

struct Fixture {
  /// first, first + 1, … in a file of its own.
  Weight stored(const std::string& name, Ints shape, float first = 0) {
    Tensor tensor{DType::f32, std::move(shape), {}};
    Floats values(static_cast<size_t>(tensor.element_count()));
    for (size_t i = 0; i < values.size(); ++i) values[i] = first + static_cast<float>(i);
    const fs::path file = folder / (name + ".safetensors");
    write_safetensors(file, {{name, Tensor::of<float>(DType::f32, tensor.shape, values)}});
    return Weight{std::make_shared<const StoredTensor>(read_safetensors(file.string())[0]), {}};
  }
  /// What write_weights puts into a file.
  std::vector<std::byte> written(const Weight& weight, int threads) const {
    const int descriptor = ::open((folder / "out").c_str(), O_RDWR | O_CREAT | O_TRUNC, 0600);
    write_weights({{weight, descriptor, 10}}, {.threads = threads});
    std::vector<std::byte> bytes(weight.bytes());
    BOOST_REQUIRE(::pread(descriptor, bytes.data(), bytes.size(), 10) == static_cast<ssize_t>(bytes.size()));
    ::close(descriptor);
    return bytes;
  }
  /// Materialized and written alike, an f32 weight has these elements.
  void check(const Weight& weight, const Ints& shape, const std::function<float(size_t, size_t, size_t)>& expected) {
    BOOST_TEST(weight.shape() == shape, boost::test_tools::per_element());
    const Tensor tensor = materialize(weight);
    size_t at = 0;
    for (size_t i = 0; i < static_cast<size_t>(shape[0]); ++i) {
      for (size_t j = 0; j < static_cast<size_t>(shape[1]); ++j) {
        for (size_t k = 0; k < static_cast<size_t>(shape[2]); ++k, ++at)
          BOOST_REQUIRE_MESSAGE(tensor.as<float>()[at] == expected(i, j, k), "at " << i << ", " << j << ", " << k);
      }
    }
    for (const int threads : {1, 3}) BOOST_TEST((written(weight, threads) == tensor.data));
  }

  test::TemporaryFolder folder;
};

float number(size_t value) {
  return static_cast<float>(value);
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(stacked_weights, Fixture)

BOOST_AUTO_TEST_CASE(pieces_one_behind_the_other) {
  const std::vector<Weight> pieces{stored("a", {40, 30}), stored("b", {40, 30}, 5000), stored("c", {40, 30}, 9000)};
  const size_t base[] = {0, 5000, 9000};
  const Weight stack = stacked(pieces);
  check(stack, {3, 40, 30}, [&](size_t i, size_t j, size_t k) { return number(base[i] + j * 30 + k); });
  check(stack.then(TransposeMatrix{}), {3, 30, 40},
        [&](size_t i, size_t j, size_t k) { return number(base[i] + k * 30 + j); });
  check(stack.then(SliceAxis{0, 1, 3}), {2, 40, 30},
        [&](size_t i, size_t j, size_t k) { return number(base[i + 1] + j * 30 + k); });
  check(stack.then(SliceAxis{1, 4, 40, 3}), {3, 12, 30},
        [&](size_t i, size_t j, size_t k) { return number(base[i] + (4 + 3 * j) * 30 + k); });
  check(stack.then(ReshapeTo{{3, 30, 40}}), {3, 30, 40},
        [&](size_t i, size_t j, size_t k) { return number(base[i] + j * 40 + k); });
  // A shape that does not keep to the pieces, and what is done behind it.
  check(stack.then(ReshapeTo{{2, 60, 30}}).then(SliceAxis{1, 10, 60}), {2, 50, 30}, [&](size_t i, size_t j, size_t k) {
    const size_t row = i * 60 + 10 + j;
    return number(base[row / 40] + row % 40 * 30 + k);
  });
  BOOST_TEST(only_moves_elements(stack));
  BOOST_TEST(stack.same_as(stacked(pieces)));
  BOOST_TEST(!stack.same_as(stacked({pieces[0], pieces[2], pieces[1]})));
  BOOST_TEST(!stack.same_as(pieces[0]));
  BOOST_CHECK_THROW(stacked({pieces[0], stored("d", {30, 40})}), Error);
}

BOOST_AUTO_TEST_CASE(pieces_are_cast_each_by_itself) {
  const Weight narrow = stacked({stored("a", {20, 30}), stored("b", {20, 30}, 600)}).then(CastTo{DType::f16});
  BOOST_TEST((narrow.dtype() == DType::f16));
  BOOST_TEST(narrow.pieces().size() == 2u);
  check(narrow.then(CastTo{DType::f32}), {2, 20, 30},
        [&](size_t i, size_t j, size_t k) { return number(i * 600 + j * 30 + k); });
}

BOOST_AUTO_TEST_CASE(cut_and_turned_matrices_of_a_stacked_tensor) {
  // Large enough to be turned in more than one tile.
  const Weight both = stored("gate_up", {3, 500, 300});
  const auto at = [](size_t i, size_t j, size_t k) { return number((i * 500 + j) * 300 + k); };
  check(both.then(SliceAxis{1, 250, 500}), {3, 250, 300},
        [&](size_t i, size_t j, size_t k) { return at(i, 250 + j, k); });
  check(both.then(TransposeMatrix{}), {3, 300, 500}, [&](size_t i, size_t j, size_t k) { return at(i, k, j); });
  check(both.then(SliceAxis{2, 1, 300, 2}).then(TransposeMatrix{}), {3, 150, 500},
        [&](size_t i, size_t j, size_t k) { return at(i, k, 2 * j + 1); });
  check(both.then(SliceAxis{0, 1, 2}).then(TransposeMatrix{}), {1, 300, 500},
        [&](size_t, size_t j, size_t k) { return at(1, k, j); });
  BOOST_TEST(along_first_axis(both.then(TransposeMatrix{})).size() == 3u);
  BOOST_TEST(along_first_axis(both.then(SliceAxis{0, 1, 2})).empty());
  BOOST_TEST(along_first_axis(both.then(ReshapeTo{{1500, 300}})).empty());
}

BOOST_AUTO_TEST_CASE(a_stack_of_weights_is_a_weight) {
  for (const DType dtype : {DType::f32, DType::f16}) {
    Graph g;
    std::vector<ValueId> pieces;
    for (const std::string expert : {"0", "1", "2"}) {
      const std::string name = "mlp.experts." + expert + ".up.weight";
      pieces.push_back(g.add_weight(name, stored(name, {4, 5}, 100)));
    }
    const ValueId stack = g.add_node({composite_domain, "Stack", "mlp", pieces, {}, {}, ""})[0];
    const ValueId x = g.add_input("x", {DType::f32, {Dim(3), Dim(2), Dim(4)}});
    g.add_output("y", g.add_node({"", "MatMul", "mlp", {x, stack}, {}, {}, ""})[0]);
    const Graph lowered = lower(g, {.opset = 18, .patches = {}, .dtype = dtype, .keep_in_fp32 = {}});
    const ModelParts parts = to_model(lowered, {.opset = 18, .metadata = {}});
    BOOST_REQUIRE_EQUAL(parts.weights.size(), 1u);
    BOOST_TEST(parts.weights[0].header.name() == "mlp.experts.up.weight");
    const Weight& weight = *parts.weights[0].weight;
    BOOST_TEST((weight.dtype() == dtype));
    BOOST_TEST(weight.pieces().size() == 3u);
    BOOST_TEST(weight.shape() == (Ints{3, 4, 5}), boost::test_tools::per_element());
    check(weight.then(CastTo{DType::f32}), {3, 4, 5},
          [](size_t, size_t j, size_t k) { return number(100 + j * 5 + k); });
  }
}

BOOST_AUTO_TEST_CASE(a_stack_of_values_is_joined) {
  Graph g;
  const ValueId x = g.add_input("x", {DType::f32, {Dim::symbol("n"), Dim(2)}}),
                w = g.add_weight("w", stored("w", {2, 2}));
  const ValueId a = g.add_node({"", "MatMul", "m", {x, w}, {}, {}, ""})[0];
  const ValueId stack = g.add_node({composite_domain, "Stack", "m", {x, a, x}, {}, {}, ""})[0];
  BOOST_TEST(to_string(g[stack].type) == "f32[3, n, 2]");
  g.add_output("y", stack);
  const Graph lowered = lower(g, {.opset = 18, .patches = {}});
  BOOST_TEST(lowered.nodes.back().op == "Concat");
}

BOOST_AUTO_TEST_CASE(halves_and_every_second_row_are_views) {
  Graph g;
  const Weight both = stored("gate_up", {3, 8, 6});
  const ValueId w = g.add_weight("gate_up", both);
  const auto slice = [&](int64_t axis, int64_t begin, int64_t end, int64_t step) {
    return g.add_node({"",
                       "Slice",
                       "m",
                       {w},
                       {},
                       {{"axes", Ints{axis}}, {"starts", Ints{begin}}, {"ends", Ints{end}}, {"steps", Ints{step}}},
                       ""})[0];
  };
  const auto turned = [&](ValueId x) {
    return g.add_node({"", "Transpose", "m", {x}, {}, {{"perm", Ints{0, 2, 1}}}, ""})[0];
  };
  g.add_output("half", slice(1, 4, 8, 1));
  g.add_output("turned_half", turned(slice(1, 0, 4, 1)));
  g.add_output("second", turned(slice(2, 1, 6, 2)));
  const Graph lowered = lower(g, {.opset = 18, .patches = {}});
  BOOST_REQUIRE_EQUAL(lowered.nodes.size(), 3u);  // an Identity for each output
  const auto at = [](size_t i, size_t j, size_t k) { return number((i * 8 + j) * 6 + k); };
  const auto weight = [&](size_t output) { return *lowered[lowered.nodes[output].inputs[0]].weight; };
  check(weight(0), {3, 4, 6}, [&](size_t i, size_t j, size_t k) { return at(i, 4 + j, k); });
  check(weight(1), {3, 6, 4}, [&](size_t i, size_t j, size_t k) { return at(i, k, j); });
  check(weight(2), {3, 3, 8}, [&](size_t i, size_t j, size_t k) { return at(i, k, 1 + 2 * j); });
}

BOOST_AUTO_TEST_CASE(a_stack_is_not_linked) {
  const Weight a = stored("a", {40, 30}), b = stored("b", {40, 30});
  Graph g;
  const ValueId whole = g.add_weight("stack", stacked({a, b})), plain = g.add_weight("a", a);
  g.add_output("y", g.add_node({"", "Add", "", {whole, plain}, {}, {}, ""})[0]);
  const std::vector<ModelToWrite> models{
      {to_model(lower(g, {.opset = 18, .patches = {}, .weights_as_stored = true}), {.opset = 18, .metadata = {}}),
       "model.onnx"}};
  const ModelFileOptions options{
      .folder = folder,
      .linked = {{a.stored->file.get(), "a.safetensors"}, {b.stored->file.get(), "b.safetensors"}},
      .progress = {}};
  const std::vector<ExportedFile> files = write_models(models, options);
  BOOST_TEST(weights_not_linked(models, options) == std::vector<std::string>{"stack"});
  BOOST_TEST(files.at(1).bytes == 2 * 40 * 30 * 4u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace stacked_weight_test
