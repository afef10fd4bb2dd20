// SPDX-License-Identifier: Apache-2.0
#define BOOST_TEST_MODULE plugin_cases
#define BOOST_TEST_NO_MAIN
#define BOOST_TEST_ALTERNATIVE_INIT_API
#include <boost/test/unit_test.hpp>

#include "tests/support/verified_passes.hpp"

bool register_golden_cases();

int main(int argc, char** argv) {
  return boost::unit_test::unit_test_main(&register_golden_cases, argc, argv);
}
