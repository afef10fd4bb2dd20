// SPDX-License-Identifier: Apache-2.0
#define BOOST_TEST_MODULE plugin_cases
#define BOOST_TEST_NO_MAIN
#define BOOST_TEST_ALTERNATIVE_INIT_API
#include "tests/support/skips.hpp"
#include "tests/support/verified_passes.hpp"

namespace onnxport::test {
bool add_golden_cases();
}

int main(int argc, char** argv) {
  return onnxport::test::run_tests(argc, argv, onnxport::test::add_golden_cases);
}
