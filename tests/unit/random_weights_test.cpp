// SPDX-License-Identifier: Apache-2.0
// What was recorded with drawn weights holds only where the same are drawn again: these numbers never change.
#include "core/checkpoint/random_weights.hpp"

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <vector>

namespace random_weights_test {

namespace {

using namespace onnxport;

std::vector<float> drawn(uint64_t seed, const TensorPlan& tensor, size_t pieces = 1) {
  std::vector<float> values(tensor.bytes() / sizeof(float));
  RandomWeights weights(seed, tensor);
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

}  // namespace

BOOST_AUTO_TEST_SUITE(random_weights)

BOOST_AUTO_TEST_CASE(a_seed_always_draws_the_same) {
  const TensorPlan matrix{"layer.0.dense.weight", ir::DType::f32, {8, 12}},
      norm{"layer.0.LayerNorm.weight", ir::DType::f32, {64}};
  BOOST_TEST(drawn(3, matrix)[0] == -0x1.1d867p-2f);
  BOOST_TEST(hash_of(drawn(3, matrix)) == 3073614532095569890u);
  BOOST_TEST(hash_of(drawn(3, norm)) == 18378979692130553256u);
  BOOST_TEST(drawn(3, matrix, 4) == drawn(3, matrix), boost::test_tools::per_element());
  BOOST_TEST(hash_of(drawn(4, matrix)) != hash_of(drawn(3, matrix)));
}

BOOST_AUTO_TEST_CASE(norms_are_near_one) {
  for (const float value : drawn(1, {"a.norm.weight", ir::DType::f32, {100}})) BOOST_TEST(std::abs(value - 1) < 0.2);
  for (const float value : drawn(1, {"a.norm.running_var", ir::DType::f32, {100}}))
    BOOST_TEST(std::abs(value - 1) < 0.2);
  for (const float value : drawn(1, {"a.norm.bias", ir::DType::f32, {100}})) BOOST_TEST(std::abs(value) < 0.2);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace random_weights_test
