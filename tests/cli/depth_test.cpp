// SPDX-License-Identifier: Apache-2.0
// How much is compared and what is told of it: --validate, --trace-values, axes that may not change, NaN.
#include <boost/test/unit_test.hpp>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "command.hpp"

namespace depth_test {

using namespace cli;
using Json = nlohmann::json;

namespace {

/// An exported tiny BERT, of which a test may change bytes.
struct Exported : Sandbox {
  Exported() {
    checkpoint();
    BOOST_REQUIRE(run({"export", "-m", "bert", "--no-validate", "out"}).status == 0);
    bytes = read("out/model.onnx");
  }
  void change(size_t at, const std::string& by) {
    bytes.replace(at, by.size(), by);
    write("out/model.onnx", bytes);
  }
  /// Where the elements of the tensor begin: behind its name, and tag and length of its raw data, which take so many
  /// bytes.
  size_t elements_of(const std::string& name, size_t head) const {
    constexpr char raw_data = 0x4a;
    size_t at = bytes.find(name);
    while (at != std::string::npos && bytes[at + name.size()] != raw_data) at = bytes.find(name, at + 1);
    BOOST_REQUIRE_MESSAGE(at != std::string::npos, "no tensor " << name);
    return at + name.size() + head;
  }
  Json validated(const Words& further = {}) const {
    Words words{"validate", "out", "-m", "bert", "--json"};
    words.insert(words.end(), further.begin(), further.end());
    const Outcome outcome = run(words);
    Json json = Json::parse(outcome.out);
    json["exit"] = outcome.status;
    return json;
  }
  std::string bytes;
};

std::set<std::string> labels(const Json& result) {
  std::set<std::string> all;
  for (const Json& run : result.at("validation").at("runs")) all.insert(run.at("label").get<std::string>());
  return all;
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(depth, Exported, *boost::unit_test::precondition(reference_built))

BOOST_AUTO_TEST_CASE(a_budget_has_more_sets_than_a_smaller_one) {
  const auto quick = labels(validated({"--validate", "quick"})), usual = labels(validated()),
             thorough = labels(validated({"--validate", "thorough"}));
  BOOST_TEST(quick.size() == 2u);
  BOOST_TEST(usual.size() == 3u);
  BOOST_TEST(thorough.size() > 9u);
  BOOST_TEST(quick.contains("batch 3, sequence 11, padded"));
  BOOST_TEST(usual.contains("batch 1, sequence 1"));
  for (const char* label : {"sequence 1", "sequence 7", "sequence 17", "batch 1", "batch 7"})
    BOOST_TEST(thorough.contains(label), label);
  const Outcome refused = run({"export", "-m", "bert", "--no-validate", "--validate", "quick", "other"});
  BOOST_TEST(refused.status == 2);
}

BOOST_AUTO_TEST_CASE(an_axis_that_may_not_change_is_named_with_its_node) {
  // The sequence in the shape that splits heads is that of the first set.
  change(elements_of("/constants/i64/[0, 0, 2, 8]", 2) + 8, "\x08");
  const Json result = validated();
  BOOST_TEST(result.at("exit") == 1);
  const Json& validation = result.at("validation");
  BOOST_TEST(validation.at("status") == "failed");
  BOOST_TEST(validation.at("runs")[0].at("passes") == true);
  BOOST_TEST(validation.at("runs")[1].at("passes") == false);
  const std::string frozen = validation.at("frozen_axis").get<std::string>();
  BOOST_TEST(contains(frozen, "'sequence': 8 is right, 11 is not"), frozen);
  BOOST_TEST(contains(frozen, "Reshape"), frozen);
  BOOST_TEST(contains(frozen, "encoder/layer.0/attention"), frozen);
}

BOOST_AUTO_TEST_CASE(the_step_that_brings_nan_is_named) {
  // All of a bias, in the file alone.
  const std::string nan("\0\0\xc0\x7f", 4);
  change(elements_of("encoder.layer.1.intermediate.dense.bias", 2), nan);
  const Json result = validated();
  BOOST_TEST(result.at("exit") == 1);
  const std::string departs = result.at("validation").at("first_departure").get<std::string>();
  BOOST_TEST(contains(departs, "encoder.layer.1.intermediate.dense (Linear) [2, 8, "), departs);
  BOOST_TEST(contains(departs, "is nan and not"), departs);
}

BOOST_AUTO_TEST_CASE(steps_are_listed_where_asked_for) {
  const Json all = validated({"--trace-values"});
  BOOST_TEST(all.at("exit") == 0);
  const Json& steps = all.at("validation").at("steps");
  BOOST_TEST(steps.size() > 20u);
  for (const Json& step : steps) BOOST_TEST(step.at("passes") == true, step.dump());
  BOOST_TEST(!validated().at("validation").contains("steps"));

  // A weight that is another one: where the difference begins, and how it goes on.
  change(elements_of("encoder.layer.1.output.dense.weight", 3), std::string("\0\0\xa0\x40", 4));
  const Json wrong = validated().at("validation");
  const std::string departs = wrong.at("first_departure").get<std::string>();
  BOOST_TEST(contains(departs, "encoder.layer.1.output.dense (Linear) [2, 8, "), departs);
  BOOST_TEST(contains(departs, " is "), departs);
  BOOST_REQUIRE(wrong.at("steps").size() >= 2u);
  BOOST_TEST(contains(wrong.at("steps")[0].at("module").get<std::string>(), "encoder.layer.1"));
  for (const Json& output : wrong.at("runs")[0].at("outputs")) {
    BOOST_TEST(output.at("cosine").get<double>() < 1.0);
    BOOST_TEST(output.at("mean_difference").get<double>() > 0.0);
    BOOST_TEST(output.contains("same_best_class"));
  }
}

/// Where a few numbers pass a gate and a norm makes them large, rounding grows: in the original as well.
BOOST_AUTO_TEST_CASE(what_rounding_makes_of_a_narrow_gate_is_no_difference) {
  const Sandbox sandbox;
  const fs::path config = fs::path(ONNXPORT_PLUGIN_SOURCES) / "gemma4/cases/gemma4_text/Gemma4TextModel/config.json";
  BOOST_REQUIRE(sandbox
                    .run({"synth", config.string(), "model", "--seed", "6", "--form", "1", "--feature",
                          "default-with-past", "--quiet"})
                    .status == 0);
  const Outcome outcome = sandbox.run(
      {"export", "-m", "model", "--feature", "default-with-past", "--validate", "thorough", "--json", "out"});
  BOOST_TEST(outcome.status == 0, outcome.out);
  BOOST_TEST(parsed(outcome).at("validation").at("atol") == 5e-3);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace depth_test
