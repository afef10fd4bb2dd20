// SPDX-License-Identifier: Apache-2.0
// Operators of a plugin's own domain: functions of the model, or calls of kernels.
#include <boost/test/unit_test.hpp>

#include "command.hpp"

namespace custom_operator_test {

using namespace cli;

namespace {

const fs::path kernels = fs::path(ONNXPORT_TEST_BINARY_DIR) / "abi/libonnxport_test_kernels.so";

struct Gated : Sandbox {
  Gated() {
    write("config.json", R"({"model_type": "gated", "architectures": ["GatedModel"], "size": 6})");
    const Outcome made = run({"synth", "config.json", "model", "--plugin-dir", plugins});
    BOOST_REQUIRE_MESSAGE(made.status == 0, made.err);
  }
  Words exporting(const Words& more) const {
    Words words{"export", "-m", "model", "--plugin-dir", plugins, "out"};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  const std::string plugins = fixture_plugins("own_operator").string();
};

size_t times(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(custom_operators)

BOOST_AUTO_TEST_CASE(are_functions_of_the_model, *boost::unit_test::precondition(reference_built)) {
  const Gated model;
  for (const char* opset : {"13", "18", "24"}) {
    const Outcome exported = model.run(model.exporting({"--opset", opset}));
    BOOST_TEST(exported.status == 0, opset << exported.out << exported.err);
  }
  // Two layers share one, the third has another.
  const std::string file = model.read("out/model.onnx");
  BOOST_TEST(times(file, "Gate__1") == 2u);
  BOOST_TEST(times(file, "Gate__2") == 0u);
  BOOST_TEST(contains(file, "Sigmoid"));
  const Outcome narrow = model.run(model.exporting({"--dtype", "fp16"}));
  BOOST_TEST(narrow.status == 0, narrow.out << narrow.err);
}

BOOST_AUTO_TEST_CASE(are_kept_for_a_runtime_that_has_kernels, *boost::unit_test::precondition(reference_built)) {
  const Gated model;
  const Outcome validated = model.run(model.exporting({"--keep-custom-ops", "--custom-ops", kernels.string()}));
  BOOST_TEST(validated.status == 0, validated.out << validated.err);
  BOOST_TEST(!contains(model.read("out/model.onnx"), "Sigmoid"));
  const Outcome again =
      model.run({"validate", "out", "-m", "model", "--plugin-dir", model.plugins, "--custom-ops", kernels.string()});
  BOOST_TEST(again.status == 0, again.out << again.err);
  const Outcome inspected = model.run({"inspect", "out/model.onnx"});
  BOOST_TEST(contains(inspected.out, "com.example"), inspected.out);
}

BOOST_AUTO_TEST_CASE(mistakes_are_told) {
  const Gated model;
  check_failure(model, model.exporting({"--keep-custom-ops"}), 2,
                {"no kernel for com.example.Gate", "--custom-ops LIB"});
  check_failure(model, model.exporting({"--custom-ops", "nowhere.so"}), 2, {"nowhere.so", "no such file"});
  check_failure(model, model.exporting({"--no-validate", "--custom-ops", "config.json"}), 2,
                {"--custom-ops", "--no-validate"});
  const Outcome kept = model.run(model.exporting({"--keep-custom-ops", "--no-validate"}));
  BOOST_TEST(kept.status == 0, kept.err);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace custom_operator_test
