// SPDX-License-Identifier: Apache-2.0
// Normalisations of channels. The numbers are those of PyTorch 2.
#include "core/passes/precision.hpp"
#include "tests/support/operator_case.hpp"

namespace channel_norms_test {

using namespace onnxport;
using namespace onnxport::ir;
using test::check_case;
using test::check_refusal;
using test::numbers_of;
namespace utf = boost::unit_test;

namespace {

/// 1 + numbers, as biases.
Tensor shifted(int64_t count) {
  Tensor tensor = numbers_of({count});
  for (float& number : tensor.as<float>()) number += 1;
  return tensor;
}

test::OperatorCase groups(Tensor x, int64_t count, double epsilon = 1e-5) {
  const int64_t channels = x.shape[1];
  return {composite_domain,
          "GroupNorm",
          {std::move(x), numbers_of({channels}), shifted(channels)},
          {{"groups", count}, {"epsilon", epsilon}}};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(channel_norms, *utf::precondition(test::both_built))

BOOST_AUTO_TEST_CASE(norms_of_groups) {
  check_case(groups(numbers_of({1, 4, 2, 3}), 2, 1e-3), {1, 4, 2, 3},
             {1.100856F, 1.247160F, 1.063155F, 0.964267F,  1.173754F,  1.218660F, 0.973804F, 1.105450F,
              3.484751F, 2.739986F, 0.552603F, 1.861033F,  0.648519F,  0.883947F, 1.067281F, 0.784610F,
              0.674117F, 0.985261F, 1.082694F, -0.610736F, -0.335305F, 1.287150F, 0.593628F, -0.850113F});
  // As many groups as channels, over a signal.
  check_case(groups(numbers_of({1, 3, 4}), 3), {1, 3, 4},
             {1.106887F, 1.250891F, 1.069778F, 0.972445F, 2.916824F, 3.418670F, 0.948198F, 1.082967F, 0.655602F,
              0.761743F, 1.073481F, 0.887008F});
  test::checked(groups(numbers_of({3, 6, 5, 2}), 1));
  test::checked(groups(numbers_of({2, 6}), 3));
}

BOOST_AUTO_TEST_CASE(norms_of_channels) {
  check_case({composite_domain, "InstanceNorm", {numbers_of({1, 2, 2, 3})}, {{"epsilon", 1e-4}}}, {1, 2, 2, 3},
             {-0.280026F, 1.230661F, -0.669313F, -1.690397F, 0.472699F, 0.936377F, -0.783788F, -0.656789F, 1.638527F,
              0.920050F, -1.190122F, 0.072123F});
  check_case(
      {composite_domain, "InstanceNorm", {numbers_of({1, 2, 5}), numbers_of({2}), shifted(2)}}, {1, 2, 5},
      {1.090675F, 1.242558F, 1.051537F, 0.948878F, 1.166353F, 3.140598F, 0.727124F, 0.858784F, 3.238330F, 2.493488F});
}

BOOST_AUTO_TEST_CASE(they_stay_in_32_bits) {
  const Graph narrow = to_precision(test::graph_of(groups(numbers_of({1, 4, 2, 3}), 2), true), {});
  for (const Node& node : narrow.nodes) {
    if (node.op == "GroupNorm") BOOST_TEST((narrow[node.inputs[0]].type.dtype == DType::f32));
  }
}

BOOST_AUTO_TEST_CASE(refusals_of_channel_norms) {
  check_refusal(groups(numbers_of({1, 4, 3}), 3), "4 channels do not divide into 3 groups");
  check_refusal({composite_domain, "GroupNorm", {numbers_of({1, 4, 3}), numbers_of({3}), numbers_of({3})}},
                "the channels: 3 is not 4");
  check_refusal({composite_domain, "InstanceNorm", {numbers_of({1, 4})}}, "nothing behind its channels");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace channel_norms_test
