// SPDX-License-Identifier: Apache-2.0
// What was recorded with drawn weights holds only where the same are drawn again: these numbers never change.
#include "core/checkpoint/random_weights.hpp"

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <string>
#include <vector>

#include "core/error.hpp"

namespace random_weights_test {

namespace {

using namespace onnxport;

std::vector<float> drawn(const Draw& draw, const TensorPlan& tensor, size_t pieces = 1) {
  std::vector<float> values(tensor.bytes() / sizeof(float));
  RandomWeights weights(draw, tensor);
  const std::span<std::byte> bytes = std::as_writable_bytes(std::span(values));
  for (size_t i = 0; i < pieces; ++i) weights.fill(bytes.subspan(i * bytes.size() / pieces, bytes.size() / pieces));
  return values;
}

uint64_t hash_of(const std::vector<float>& values) {
  uint64_t hash = 14695981039346656037u;
  for (const std::byte byte : std::as_bytes(std::span(values)))
    hash = (hash ^ static_cast<uint8_t>(byte)) * 1099511628211u;
  return hash;
}

struct Moments {
  double mean = 0, deviation = 0;
};
/// Of what a form draws for a tensor of this name and shape.
Moments moments(int form, const std::string& name, const std::vector<int64_t>& shape) {
  Moments found;
  const std::vector<float> values = drawn({1, form}, {name, ir::DType::f32, shape});
  const auto count = static_cast<double>(values.size());
  for (const float value : values) found.mean += value / count;
  for (const float value : values) found.deviation += (value - found.mean) * (value - found.mean) / count;
  found.deviation = std::sqrt(found.deviation);
  return found;
}

void check_is_near(double value, double expected) {
  BOOST_TEST(std::abs(value - expected) < 0.05 * expected, value << " is not near " << expected);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(random_weights)

BOOST_AUTO_TEST_CASE(a_seed_always_draws_the_same) {
  const TensorPlan matrix{"layer.0.dense.weight", ir::DType::f32, {8, 12}},
      norm{"layer.0.LayerNorm.weight", ir::DType::f32, {64}};
  for (const int form : {1, 2, 3}) {
    BOOST_TEST(drawn({3, form}, matrix)[0] == -0x1.1d867p-2f);
    BOOST_TEST(hash_of(drawn({3, form}, matrix)) == 3073614532095569890u);
    BOOST_TEST(hash_of(drawn({3, form}, norm)) == 18378979692130553256u);
    BOOST_TEST(drawn({3, form}, matrix, 4) == drawn({3, form}, matrix), boost::test_tools::per_element());
    BOOST_TEST(hash_of(drawn({4, form}, matrix)) != hash_of(drawn({3, form}, matrix)));
  }
}

BOOST_AUTO_TEST_CASE(each_form_always_draws_the_same) {
  const TensorPlan kernel{"stem.convolution.weight", ir::DType::f32, {6, 4, 3, 3}};
  BOOST_TEST(hash_of(drawn({3, 1}, kernel)) == 11684160430007201808u);
  BOOST_TEST(hash_of(drawn({3, 2}, kernel)) == 5096652291309639594u);
  BOOST_TEST(hash_of(drawn({3, 3}, kernel)) == 5096652291309639594u);
  BOOST_CHECK_THROW(drawn({3, newest_form + 1}, kernel), Error);
  BOOST_CHECK_THROW(drawn({3, first_form - 1}, kernel), Error);
}

BOOST_AUTO_TEST_CASE(norms_are_near_one) {
  for (const int form : {1, 2, 3}) {
    for (const char* name : {"a.norm.weight", "a.norm.running_var"}) {
      for (const float value : drawn({1, form}, {name, ir::DType::f32, {100}})) BOOST_TEST(std::abs(value - 1) < 0.2);
    }
    for (const float value : drawn({1, form}, {"a.norm.bias", ir::DType::f32, {100}}))
      BOOST_TEST(std::abs(value) < 0.2);
  }
}

BOOST_AUTO_TEST_CASE(kernels_are_as_small_as_what_they_sum_over_is_large) {
  check_is_near(moments(1, "conv.weight", {64, 64, 3, 3}).deviation, 1 / std::sqrt(3));
  check_is_near(moments(2, "conv.weight", {64, 64, 3, 3}).deviation, std::sqrt(1.75 / (64 * 3 * 3)));
  check_is_near(moments(2, "conv.weight", {256, 2048, 1, 1}).deviation, std::sqrt(1.75 / 2048));
  check_is_near(moments(2, "depthwise.weight", {96, 1, 7, 7}).deviation, std::sqrt(1.75 / 49));
  check_is_near(moments(2, "mixer.conv1d.weight", {768, 1, 4}).deviation, std::sqrt(1.75 / 4));
  check_is_near(moments(2, "conv.weight_v", {64, 32, 16}).deviation, std::sqrt(1.75 / (32 * 16)));
  check_is_near(moments(2, "conv.parametrizations.weight.original1", {64, 32, 16}).deviation,
                std::sqrt(1.75 / (32 * 16)));
  check_is_near(moments(2, "patch.projection.weight", {64, 3, 2, 8, 8}).deviation, std::sqrt(1.75 / (3 * 2 * 64)));
}

BOOST_AUTO_TEST_CASE(stacks_and_tables_are_no_kernels) {
  const auto deviation = [](const char* name, const std::vector<int64_t>& shape) {
    return moments(2, name, shape).deviation;
  };
  // Whichever way round the matrices lie.
  check_is_near(deviation("mlp.experts.gate_up_proj", {4, 64, 128}), 1 / std::sqrt(128));
  check_is_near(deviation("block_sparse_moe.input_linear.weight", {4, 128, 64}), 1 / std::sqrt(128));
  check_is_near(deviation("rel_attn.q", {256, 4, 16}), 1 / std::sqrt(256));
  check_is_near(deviation("embeddings.position_embeddings", {1, 50, 192}), 1 / std::sqrt(192));
  check_is_near(deviation("embeddings.cls_token", {1, 1, 1024}), 1 / std::sqrt(1024));
}

BOOST_AUTO_TEST_CASE(queries_whose_scores_are_not_scaled_are_small) {
  const auto deviation = [](int form, const char* name) { return moments(form, name, {256, 400}).deviation; };
  for (const char* name : {"encoder.block.0.layer.0.SelfAttention.q.weight",
                           "decoder.block.1.layer.1.EncDecAttention.q.weight", "h.0.attn.attention.q_proj.weight"}) {
    check_is_near(deviation(2, name), 1.0 / 20);
    check_is_near(deviation(3, name), 1.0 / 160);
  }
  for (const char* name : {"block.0.layer.0.SelfAttention.k.weight", "layers.0.self_attn.q_proj.weight"})
    check_is_near(deviation(3, name), 1.0 / 20);
}

BOOST_AUTO_TEST_CASE(factors_of_channels_are_near_one) {
  const auto is_factor = [](const char* name, const std::vector<int64_t>& shape) {
    const Moments found = moments(2, name, shape);
    BOOST_TEST(std::abs(found.mean - 1) < 0.02, name);
    BOOST_TEST(found.deviation < 0.06, name);
  };
  is_factor("expansion.expand_bn.weight", {400});
  is_factor("layer.0.gamma", {400});
  is_factor("layer.0.lambda_1", {400});
  is_factor("layer.0.layer_scale_parameter", {400});
  is_factor("layer.0.layer_scale1.lambda1", {400});
  is_factor("self_attn_layer_scale.scale", {400});
  is_factor("snake1.alpha", {1, 400, 1});
  is_factor("conv.weight_g", {400, 1, 1});
  is_factor("conv.parametrizations.weight.original0", {1, 1, 400});
  is_factor("norm.running_var", {400});
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace random_weights_test
