// SPDX-License-Identifier: Apache-2.0
#define BOOST_TEST_MODULE unit
#include <boost/test/unit_test.hpp>

#include "tests/support/verified_passes.hpp"
