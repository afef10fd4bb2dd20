// SPDX-License-Identifier: Apache-2.0
// Which function makes scores of logits, by the user's choice, a cross-encoder's files and the number of labels.
#include "core/definition/scores.hpp"

#include <stdlib.h>

#include <boost/test/unit_test.hpp>
#include <fstream>

#include "core/error.hpp"
#include "tests/support/temporary_folder.hpp"

namespace scores_test {

namespace fs = std::filesystem;
using namespace onnxport;

namespace {

struct Fixture {
  /// The operator that makes the scores of so many labels; empty where they are the logits.
  std::string made(int64_t labels, const std::string& config = "{}", const std::string& choice = "auto") const {
    ir::Graph graph;
    const ir::ValueId logits = graph.add_input("x", {ir::DType::f32, {ir::Dim::symbol("batch"), ir::Dim(labels)}});
    graph.add_output("logits", logits);
    Scores::read(choice, Json::parse(config), root).append(graph, "sequence-classification");
    BOOST_REQUIRE(graph.outputs.size() == 2u);
    BOOST_TEST(graph.outputs[0].name == "scores");
    BOOST_TEST(graph.outputs[1].name == "logits");
    BOOST_TEST(graph.outputs[1].value == logits);
    if (graph.nodes.empty()) BOOST_TEST(graph.outputs[0].value == logits);
    return graph.nodes.empty() ? "" : graph.nodes[0].op;
  }

  test::TemporaryFolder root;
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(scores, Fixture)

BOOST_AUTO_TEST_CASE(the_users_choice) {
  BOOST_TEST(made(1, "{}", "sigmoid") == "Sigmoid");
  BOOST_TEST(made(3, "{}", "sigmoid") == "Sigmoid");
  BOOST_TEST(made(3, "{}", "softmax") == "Softmax");
  // Whatever the checkpoint says.
  BOOST_TEST(made(3, R"({"sentence_transformers": {"activation_fn": "torch.nn.Identity"}})", "softmax") == "Softmax");
}

BOOST_AUTO_TEST_CASE(what_suits_the_labels) {
  BOOST_TEST(made(1) == "Sigmoid");
  BOOST_TEST(made(3) == "Softmax");
  BOOST_TEST(made(3, R"({"problem_type": "single_label_classification"})") == "Softmax");
  BOOST_TEST(made(3, R"({"problem_type": "multi_label_classification"})") == "Sigmoid");
  BOOST_TEST(made(3, R"({"problem_type": "regression"})").empty());
  BOOST_TEST(made(3, R"({"problem_type": null})") == "Softmax");
}

BOOST_AUTO_TEST_CASE(what_a_cross_encoder_says) {
  const auto says = [&](const char* field, const char* activation) {
    return std::string("{\"") + field + "\": \"" + activation + "\"}";
  };
  const std::string identity = says("activation_fn", "torch.nn.modules.linear.Identity");
  const std::string sigmoid = says("activation_fn", "torch.nn.modules.activation.Sigmoid");
  BOOST_TEST(made(1, "{\"sentence_transformers\": " + identity + "}").empty());
  BOOST_TEST(made(3, "{\"sentence_transformers\": " + sigmoid + "}") == "Sigmoid");
  const std::string tanh = says("activation_fn", "torch.nn.modules.activation.Tanh");
  BOOST_TEST(made(1, "{\"sentence_transformers\": " + tanh + "}") == "Tanh");
  const char* before_4 = "sbert_ce_default_activation_function";
  BOOST_TEST(made(1, says(before_4, "torch.nn.modules.linear.Identity")).empty());
  BOOST_TEST(made(1, R"({"sbert_ce_default_activation_function": null})") == "Sigmoid");
  // Its own file counts before config.json.
  std::ofstream(root / "config_sentence_transformers.json") << sigmoid;
  BOOST_TEST(made(3, "{\"sentence_transformers\": " + identity + "}") == "Sigmoid");
}

BOOST_AUTO_TEST_CASE(what_makes_no_sense_is_refused) {
  BOOST_CHECK_THROW(made(1, "{}", "softmax"), Error);
  BOOST_CHECK_THROW(made(1, "{}", "relu"), Error);
  const char* other = R"({"sentence_transformers": {"activation_fn": "torch.nn.modules.activation.GELU"}})";
  BOOST_CHECK_EXCEPTION(made(1, other), Error, [](const Error& error) {
    return std::string(error.what()).find("scores come of 'torch.nn.modules.activation.GELU'; known are") !=
               std::string::npos &&
           error.hint().starts_with("leave the option out");  // any other choice would score otherwise
  });
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace scores_test
