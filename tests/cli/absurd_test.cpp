// SPDX-License-Identifier: Apache-2.0
// Plugins that give what no plugin may give: each is to blame by name, whatever would come of it further on.
#include <boost/test/unit_test.hpp>
#include <nlohmann/json.hpp>

#include "command.hpp"

namespace absurd_test {

using namespace cli;
using Json = nlohmann::json;

namespace {

struct Gift {
  const char *type, *told;
};
constexpr Gift gifts[] = {
    {"status-null",
     "failed for model type 'status-null' at 'here': plugin org.onnxport.test.absurd failed and does not say why"},
    {"axis-length", "found 2305843009213693951 as the length of an axis, expected at most 67108864"},
    {"layers", "'num_layers' is -1, expected 0 or more"},
    {"positions", "'max_positions' is -9223372036854775808, expected 0 or more"},
    {"opset", "'min_opset' is 9223372036854775807, expected 1 to 1000"},
    {"tolerance", "'atol_for_validation' is 1e+30, expected at most 0.1"},
    {"part-path", "a part is called '../../etc', expected letters, digits, '_' and '-'"},
    {"many-parts", "found 32768 parts, expected at most 100"},
    {"text-null", "a null pointer was given where there are bytes in a text"},
    {"override", "the value of 'size' is told as {{{, expected JSON"},
    {"role-null", "a null pointer was given as an input's role"},
    {"lowers-to-nothing",
     "lowers Relu for model type 'lowers-to-nothing' to the value 4000000000, which does not exist"},
    {"name-null", "a null pointer was given where there are bytes in a name"},
    {"name-empty", "found an empty name"},
    {"name-binary", "holds control characters or is not UTF-8"},
    {"name-long", "found 65536 bytes in a name, expected at most 4096"},
    {"type-null", "a null pointer was given as a type"},
    {"type-axes", "found 4000000000 axes, expected at most 64"},
    {"type-vast", "there is no tensor of the shape [9223372036854775807, 9223372036854775807]"},
    {"type-nowhere", "a null pointer was given where there are axes"},
    {"type-small", "a type has struct_size 0, expected at least 24"},
    {"many-inputs", "found 10001 inputs of a part, expected at most 10000"},
    {"weight-null", "a null pointer was given where there are bytes in a name"},
    {"weight-binary", "holds control characters or is not UTF-8"},
    {"weight-long", "found 65536 bytes in a name"},
    {"weight-axes", "found 4000000000 axes"},
    {"weight-nowhere", "a null pointer was given where there are axes"},
    {"weight-negative", "there is no tensor of the shape [-1, 4]"},
    {"constant-null", "a null pointer was given where there are bytes in a constant"},
    {"constant-negative", "there is no tensor of the shape [-1, 4]"},
    {"constant-vast", "there is no tensor of the shape [4294967296, 4294967296]"},
    {"node-null", "a null pointer was given as a node"},
    {"node-outputs-null", "a null pointer was given where there are inputs or outputs of an operator"},
    {"node-small", "a node has struct_size 0, expected at least 96"},
    {"node-inputs-null", "a null pointer was given where there are inputs or outputs of an operator"},
    {"node-inputs", "found 18446744073709551615 inputs or outputs of an operator, expected at most 100000"},
    {"node-outputs", "found 18446744073709551615 inputs or outputs of an operator"},
    {"node-no-outputs", "Relu was asked for no value, expected one or more"},
    {"node-attributes-null", "a null pointer was given where there are attributes of an operator"},
    {"node-numbers-null", "a null pointer was given where there are numbers in an attribute"},
    {"node-op-null", "a null pointer was given where there are bytes in a name"},
    {"node-scope-binary", "holds control characters or is not UTF-8"},
    {"node-scope-long", "found 65536 bytes in a name"}};

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
