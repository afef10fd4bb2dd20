// SPDX-License-Identifier: Apache-2.0
// Plugins that give what no plugin may give: each is to blame by name, whatever would come of it further on.
#include <boost/test/unit_test.hpp>
#include <nlohmann/json.hpp>

#include "command.hpp"

namespace absurd_test {

using namespace cli;
using Json = nlohmann::json;

namespace {

/// What the command makes of such a plugin; tests/abi has all that it may not give.
constexpr struct {
  const char *type, *told;
} gifts[] = {
    {"status-null",
     "failed for model type 'status-null' at 'here': plugin org.onnxport.test.absurd failed and does not say why"},
    {"many-inputs", "found 10001 inputs of a part, expected at most 10000"},
    {"weight-negative", "there is no tensor of the shape [-1, 4]"},
    {"node-inputs", "found 18446744073709551615 inputs or outputs of an operator, expected at most 100000"},
    {"lowers-to-nothing",
     "lowers Relu for model type 'lowers-to-nothing' to the value 4000000000, which does not exist"}};

Outcome exported(const Sandbox& sandbox, const std::string& type, const Words& more) {
  write_fixture_model(sandbox, type);
  Words words{"export", "-m", "model", "--json", "--plugin-dir", fixture_plugins("absurd").string(), "out"};
  words.insert(words.end(), more.begin(), more.end());
  return sandbox.run(words);
}

void check_blamed(const Sandbox& sandbox, const Outcome& outcome, const std::string& told) {
  BOOST_TEST(outcome.status == 4);
  BOOST_REQUIRE_MESSAGE(Json::accept(outcome.out), outcome.out);
  const Json error = Json::parse(outcome.out)["error"];
  BOOST_TEST(error["kind"] == "plugin");
  const std::string message = error["message"];
  BOOST_TEST(contains(message, "plugin org.onnxport.test.absurd"), message);
  BOOST_TEST(contains(message, told), message);
  BOOST_TEST(outcome.err.empty(), outcome.err);
  BOOST_TEST(!fs::exists(sandbox / "out"));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(absurd)

BOOST_AUTO_TEST_CASE(what_no_plugin_may_give_is_refused_by_name) {
  for (const auto& [type, told] : gifts) {
    BOOST_TEST_CONTEXT(type) {
      const Sandbox sandbox;
      check_blamed(sandbox, exported(sandbox, type, {"--no-validate"}), told);
    }
  }
}

/// Nothing of it is refused, and no memory holds its inputs.
BOOST_AUTO_TEST_CASE(what_nobody_foresaw_is_the_fault_of_the_plugin_as_well) {
  const Sandbox sandbox;
  check_blamed(sandbox, exported(sandbox, "unforeseen", {}), "in work on what plugin");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace absurd_test
