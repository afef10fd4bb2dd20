// SPDX-License-Identifier: Apache-2.0
// What ONNX Runtime says, in the words of several versions.
#include "core/backend/runtime_refusal.hpp"

#include <boost/test/unit_test.hpp>

namespace runtime_refusal_test {

using onnxport::Error;
using onnxport::runtime_refusal;

BOOST_AUTO_TEST_SUITE(runtime_refusals)

BOOST_AUTO_TEST_CASE(a_node_that_fails_is_told_with_its_module) {
  const Error error = runtime_refusal(
      "ONNX Runtime cannot run the model",
      "Non-zero status code returned while running Add node. Name:'/encoder/layer.0/attention/Add' Status Message: "
      "/onnxruntime_src/onnxruntime/core/providers/cpu/math/element_wise_ops.h:540 void "
      "onnxruntime::BroadcastIterator::Init(ptrdiff_t, ptrdiff_t) axis == 1 || axis == largest was false. Attempting "
      "to "
      "broadcast an axis by a dimension other than 1. 8 by 11");
  const std::string text = error.what();
  BOOST_TEST(text.find("at Add /encoder/layer.0/attention/Add (module encoder.layer.0.attention)") != std::string::npos,
             text);
  BOOST_TEST(text.find("onnxruntime_src") == std::string::npos, text);
  BOOST_TEST(text.find("8 by 11") != std::string::npos, text);
  BOOST_TEST(error.hint().find("frozen") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_missing_kernel_is_told_with_what_helps) {
  const Error error =
      runtime_refusal("ONNX Runtime cannot load m.onnx",
                      "Could not find an implementation for DeformConv(19) node with name '/head/DeformConv'");
  BOOST_TEST(std::string(error.what()).find("at DeformConv /head/DeformConv (module head)") != std::string::npos);
  BOOST_TEST(error.hint().find("--opset") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(an_operator_of_a_makers_own_wants_its_kernel) {
  const auto hint = [](const std::string& said) {
    return runtime_refusal("ONNX Runtime cannot load m.onnx", said).hint();
  };
  BOOST_TEST(hint("Fatal error: com.acme:Scale(-1) is not a registered function/op").find("--custom-ops LIB") !=
             std::string::npos);
  BOOST_TEST(hint("Fatal error: ai.onnx:Swish(24) is not a registered function/op").find("--opset") !=
             std::string::npos);
  BOOST_TEST(hint("Fatal error: com.microsoft:New(1) is not a registered function/op").find("--opset") !=
             std::string::npos);
}

BOOST_AUTO_TEST_CASE(other_words_stay_as_they_are) {
  const Error error = runtime_refusal("ONNX Runtime cannot run the model", "something new");
  BOOST_TEST(std::string(error.what()) == "ONNX Runtime cannot run the model: something new");
  BOOST_TEST(error.hint().empty());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace runtime_refusal_test
