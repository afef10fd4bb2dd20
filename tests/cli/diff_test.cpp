// SPDX-License-Identifier: Apache-2.0
// onnxport diff and onnxport explain.
#include <boost/test/unit_test.hpp>
#include <nlohmann/json.hpp>

#include "command.hpp"

namespace diff_test {

using namespace cli;
using Json = nlohmann::json;

namespace {

struct Exports {
  Sandbox sandbox;
  Exports() {
    sandbox.checkpoint();
    make("a", {});
  }
  void make(const std::string& name, const Words& options, const std::string& model = "bert") const {
    Words words{"export", "-m", model, "--no-validate", name};
    words.insert(words.end(), options.begin(), options.end());
    BOOST_REQUIRE(sandbox.run(words).status == 0);
  }
  Json diff(const std::string& other, int status) const {
    const Outcome outcome = sandbox.run({"diff", "a", other, "--json"});
    BOOST_TEST(outcome.status == status, outcome.out);
    return Json::parse(outcome.out);
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(diff)

BOOST_AUTO_TEST_CASE(where_weights_lie_makes_no_difference) {
  const Exports exports;
  exports.make("b", {"--external-data"});
  const Json json = exports.diff("b", 0);
  BOOST_TEST(json.at("same") == true);
  BOOST_TEST(json.at("weights").empty());
}

BOOST_AUTO_TEST_CASE(another_opset_computes_the_same) {
  const Exports exports;
  exports.make("b", {"--opset", "17"});
  const Json json = exports.diff("b", 0);
  BOOST_TEST(json.at("same") == false);
  BOOST_TEST(json.at("same_function") == true);
}

/// One weight is changed in one byte: the layer that uses it is where the two part.
BOOST_AUTO_TEST_CASE(a_changed_weight_is_named_with_its_module) {
  const Exports exports;
  exports.make("b", {"--external-data"});
  const std::string data = exports.sandbox.read("b/model.onnx_data");
  const Json whole = Json::parse(exports.sandbox.run({"inspect", "b", "--json"}).out);
  BOOST_REQUIRE(whole.at("findings").empty());
  std::string changed = data;
  changed[changed.size() - 1] = static_cast<char>(changed.back() ^ 1);
  exports.sandbox.write("b/model.onnx_data", changed);
  const Json json = exports.diff("b", 1);
  BOOST_REQUIRE(json.at("weights").size() == 1u);
  const Json& weight = json.at("weights").at(0);
  BOOST_TEST(weight.at("kind") == "other values");
  BOOST_REQUIRE(!json.at("partings").empty());
  const auto module = json.at("partings").at(0).at("module").get<std::string>();
  BOOST_TEST(weight.at("a").get<std::string>().starts_with(module), module << " and " << weight);
}

BOOST_AUTO_TEST_CASE(another_model_is_told) {
  const Exports exports;
  exports.sandbox.write("c.json", tiny_config(R"({"hidden_act": "relu"})"));
  BOOST_REQUIRE(exports.sandbox.run({"synth", "c.json", "relu"}).status == 0);
  exports.make("b", {}, "relu");
  const Json json = exports.diff("b", 1);
  BOOST_TEST(json.at("changed_outputs") == Json({"logits"}));
  bool has_relu = false;
  for (const Json& change : json.at("operators")) has_relu = has_relu || change.at("name") == "Relu";
  BOOST_TEST(has_relu);
}

BOOST_AUTO_TEST_CASE(fields_of_a_config_are_explained) {
  const Sandbox sandbox;
  sandbox.write("c.json", tiny_config(R"({"hidden_act": "relu", "made_up": 3, "transformers_version": "4.30.2"})"));
  const Outcome outcome = sandbox.run({"explain", "c.json", "--json"});
  BOOST_REQUIRE(outcome.status == 0);
  const Json json = Json::parse(outcome.out);
  const auto field = [&](const std::string& name) -> const Json& {
    for (const Json& row : json.at("fields")) {
      if (row.at("name") == name) return row;
    }
    throw std::runtime_error("no field " + name);
  };
  BOOST_TEST(contains(field("hidden_size").at("effects").at(0).get<std::string>(), "another shape"));
  BOOST_TEST(contains(field("num_hidden_layers").at("effects").at(0).get<std::string>(), "more weights"));
  BOOST_TEST(contains(field("hidden_act").at("effects").at(0).get<std::string>(), "Relu"));
  BOOST_TEST(field("transformers_version").at("tried") == "5.0.0");
  BOOST_TEST(field("transformers_version").at("refusal") == "");
  BOOST_TEST(field("made_up").at("use") == "not asked for");
  BOOST_TEST(field("architectures").at("use") == "not of the graph");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace diff_test
