// SPDX-License-Identifier: Apache-2.0
// Every pass of every lowering is followed by the verifier, in test programs that include this once.
#pragma once

#include <boost/test/unit_test.hpp>

#include "core/passes/pipeline.hpp"

namespace onnxport::test {

struct VerifiedPasses {
  VerifiedPasses() { observe_passes(verify_pass); }
};

}  // namespace onnxport::test

using onnxport::test::VerifiedPasses;
BOOST_TEST_GLOBAL_FIXTURE(VerifiedPasses);
