// SPDX-License-Identifier: Apache-2.0
// An export runs each pass once: weights are compared, and folded, no more than that.
#include <boost/test/unit_test.hpp>
#include <map>
#include <string>

#include "core/export/export.hpp"
#include "tests/plugin/fixture.hpp"
#include "tests/support/temporary_folder.hpp"

namespace passes_test {

using namespace onnxport;
using namespace onnxport::test;

BOOST_AUTO_TEST_SUITE(passes)

BOOST_AUTO_TEST_CASE(an_export_runs_each_pass_once) {
  const Checkpoint checkpoint = Checkpoint::open(recorded("bert", "bert/BertForMaskedLM"));
  const OnnxConfig config = config_of({checkpoint.config(), checkpoint.folder()}, "bert", "masked-lm");
  WeightSource weights(checkpoint);
  const Definition definition = config.define(weights);
  for (const ir::DType dtype : {ir::DType::f32, ir::DType::f16}) {
    const TemporaryFolder scratch;
    std::map<std::string, int> runs;
    const PassObserver before =
        observe_passes([&](std::string_view pass, const ir::Graph&) { ++runs[std::string(pass)]; });
    export_onnx(config, definition, scratch.path, {.opset = 18, .dtype = dtype});
    observe_passes(before);
    for (const char* pass : {"tie equal weights", "fold weights", "apply rules", "merge equal nodes"})
      BOOST_TEST(runs[pass] == 1, pass << " ran " << runs[pass] << " times");
    BOOST_TEST(runs["narrow"] == (dtype == ir::DType::f32 ? 0 : 1));
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace passes_test
