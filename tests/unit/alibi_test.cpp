// SPDX-License-Identifier: Apache-2.0
// The SDK's slopes of linear biases, against the numbers of "Train Short, Test Long" and of BLOOM's odd head counts.
#include <onnxport/blocks/alibi.hpp>

#include <boost/test/unit_test.hpp>
#include <vector>

namespace alibi_test {

namespace sdk = onnxport::sdk;

BOOST_AUTO_TEST_SUITE(alibi_slopes)

BOOST_AUTO_TEST_CASE(a_power_of_two_gives_a_geometric_sequence) {
  BOOST_TEST(sdk::alibi_slopes(8) ==
                 (std::vector<float>{0.5f, 0.25f, 0.125f, 0.0625f, 0.03125f, 0.015625f, 0.0078125f, 0.00390625f}),
             boost::test_tools::per_element());
  BOOST_TEST(sdk::alibi_slopes(1) == std::vector<float>{0.00390625f}, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(further_heads_take_every_second_slope_of_twice_as_many) {
  BOOST_TEST(sdk::alibi_slopes(6) == (std::vector<float>{0.25f, 0.0625f, 0.015625f, 0.00390625f, 0.5f, 0.125f}),
             boost::test_tools::per_element());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace alibi_test
