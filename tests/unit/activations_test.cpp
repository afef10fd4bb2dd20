// SPDX-License-Identifier: Apache-2.0
// Lengths that follow from others, and what a run takes beside the weights.
#include <boost/test/unit_test.hpp>

#include <limits>

#include "core/ir/lengths.hpp"
#include "core/out_of_memory.hpp"
#include "core/validate/activations.hpp"

namespace activations_test {

using namespace onnxport;
using namespace onnxport::ir;

BOOST_AUTO_TEST_SUITE(activations)

BOOST_AUTO_TEST_CASE(lengths_follow_from_those_of_symbols) {
  const Lengths known{{"batch", 3}, {"height", 37}, {"width", 20}};
  const Dim height = Dim::symbol("height"), width = Dim::symbol("width");
  const auto length = [&](const Dim& dim) { return length_of(dim, known).value_or(-1); };
  BOOST_TEST(length(Dim(4)) == 4);
  BOOST_TEST(length(height * Dim(2) - Dim(1)) == 73);
  BOOST_TEST(length(floor_divide(height - Dim(16), 16) + Dim(1)) == 2);
  BOOST_TEST(length(floor_divide(floor_divide(height + Dim(1), 2) + Dim(1), 4)) == 5);
  BOOST_TEST(length(floor_divide(height, 4) * floor_divide(width, 4) + Dim(1)) == 46);
  BOOST_TEST(length(floor_divide(height * width + Dim(3), 8)) == 92);
  BOOST_TEST(length(Dim::symbol("floor(width*1.5)") + width) == 50);
  BOOST_TEST(!length_of(Dim::symbol("kept") + width, known).has_value());
  BOOST_TEST(!length_of(floor_divide(Dim::symbol("kept"), 2), known).has_value());
  BOOST_TEST(element_count({Dim::symbol("batch"), height, Dim(2)}, known).value_or(-1) == 222);
}

namespace {

constexpr uint64_t f32 = 4;

/// x f[batch, n, 8] as queries, keys and values of two heads.
struct Attending {
  Graph g;
  Tensors inputs;
  ValueId x;
  Attending(int64_t batch, int64_t n) {
    x = g.add_input("x", {DType::f32, {Dim::symbol("batch"), Dim::symbol("n"), Dim(8)}});
    inputs["x"] = Tensor::of<float>(DType::f32, {batch, n, 8}, std::vector<float>(static_cast<size_t>(batch * n * 8)));
  }
  ValueId add(const char* domain, const char* op, std::vector<ValueId> of, Attributes attributes = {}) {
    return g.add_node({domain, op, "test", std::move(of), {}, std::move(attributes), ""})[0];
  }
};

}  // namespace

BOOST_AUTO_TEST_CASE(results_count_while_they_are_used) {
  Attending chain(2, 5), kept(2, 5);
  const uint64_t one = 2 * 5 * 8 * f32;
  // Of a chain two are alive beside the input; a first one that is used last lives on.
  ValueId y = chain.x;
  for (int i = 0; i < 4; ++i) y = chain.add("", "Tanh", {y});
  chain.g.add_output("y", y);
  BOOST_TEST(activation_bytes(chain.g, chain.inputs) == 3 * one);
  const ValueId first = kept.add("", "Tanh", {kept.x});
  y = first;
  for (int i = 0; i < 4; ++i) y = kept.add("", "Tanh", {y});
  kept.g.add_output("y", kept.add("", "Add", {y, first}));
  BOOST_TEST(activation_bytes(kept.g, kept.inputs) == 4 * one);
  BOOST_TEST(result_bytes(kept.g, kept.inputs) == 6 * one);
}

BOOST_AUTO_TEST_CASE(tensors_may_be_beyond_all_numbers) {
  const TensorType image{DType::f32, {Dim::symbol("batch"), Dim(3), Dim::symbol("height"), Dim::symbol("height")}};
  BOOST_TEST(tensor_bytes(image, {{"batch", 2}, {"height", 10}}) == 2400u);
  BOOST_TEST(tensor_bytes(image, {{"batch", 2}}) == 24u);
  const int64_t vast = int64_t{1} << 40;
  BOOST_TEST(tensor_bytes(image, {{"batch", 2}, {"height", vast}}) == std::numeric_limits<uint64_t>::max());
}

BOOST_AUTO_TEST_CASE(words_of_libraries_that_get_no_memory) {
  for (const char* said :
       {"std::bad_alloc", "DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes",
        "Failed to allocate memory for requested buffer of size 99"})
    BOOST_TEST(tells_of_memory(said), said);
  BOOST_TEST(!tells_of_memory("expected 3 axes and found 4"));
}

BOOST_AUTO_TEST_CASE(scores_grow_with_the_square_of_the_length) {
  const auto bytes = [](int64_t n) {
    Attending model(3, n);
    model.g.add_output("y",
                       model.add(composite_domain, "Attention", {model.x, model.x, model.x}, {{"heads", int64_t{2}}}));
    return activation_bytes(model.g, model.inputs);
  };
  const auto expected = [](uint64_t n) { return 3 * (2 * n * 8 + 3 * 2 * n * n) * f32; };
  BOOST_TEST(bytes(10) == expected(10));
  BOOST_TEST(bytes(1000) == expected(1000));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace activations_test
