// SPDX-License-Identifier: Apache-2.0
// --scores: a reranker's logits as probabilities, beside them.
#include <boost/test/unit_test.hpp>

#include "command.hpp"
#include "tests/support/skips.hpp"

namespace scores_test {

using namespace cli;

namespace {

constexpr const char* reranker =
    R"({"architectures": ["BertForSequenceClassification"], "id2label": {"0": "LABEL_0"}})";

Words export_with(const Words& more, const std::string& output = "out") {
  Words words{"export", "-m", "bert", "--no-validate", output};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

/// What `inspect` tells of the file.
nlohmann::json described(const Sandbox& sandbox) {
  return parsed(sandbox.run({"inspect", "out/model.onnx", "--json"}));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(scores)

BOOST_AUTO_TEST_CASE(a_reranker_has_scores_before_its_logits) {
  const Sandbox sandbox;
  sandbox.checkpoint("bert", reranker);
  const Outcome made = sandbox.run(export_with({"--feature", "text-ranking", "--scores", "sigmoid"}));
  BOOST_REQUIRE_MESSAGE(made.status == 0, made.err);
  const nlohmann::json file = described(sandbox);
  BOOST_REQUIRE(file["outputs"].size() == 2u);
  BOOST_TEST(file["outputs"][0]["name"] == "scores");
  BOOST_TEST(file["outputs"][1]["name"] == "logits");
  BOOST_TEST(file["outputs"][0]["type"] == "f32[batch, 1]");
  if (!has_reference()) return onnxport::test::not_run("the reference back end is not built");
  const Outcome valid = sandbox.run({"validate", "out", "-m", "bert"});
  BOOST_TEST(valid.status == 0, valid.err);
  BOOST_TEST(contains(valid.out, "scores"), valid.out);
}

BOOST_AUTO_TEST_CASE(without_being_asked_for_there_are_none) {
  const Sandbox sandbox;
  sandbox.checkpoint("bert", reranker);
  BOOST_TEST(sandbox.run(export_with({"--feature", "reranking"})).status == 0);
  BOOST_TEST(described(sandbox)["outputs"].size() == 1u);
}

BOOST_AUTO_TEST_CASE(they_are_told_before_they_are_written) {
  const Sandbox sandbox;
  sandbox.checkpoint("bert", reranker);
  const Outcome dry = sandbox.run(export_with({"--scores", "auto", "--dry-run"}));
  BOOST_TEST(dry.status == 0, dry.err);
  BOOST_TEST(contains(dry.out, "scores"), dry.out);
}

BOOST_AUTO_TEST_CASE(another_choice_is_another_file) {
  const Sandbox sandbox;
  sandbox.checkpoint("bert", reranker);
  BOOST_TEST(sandbox.run(export_with({})).status == 0);
  const Outcome same = sandbox.run(export_with({"--skip-existing"}));
  BOOST_TEST(same.status == 0, same.err);
  BOOST_TEST(described(sandbox)["outputs"].size() == 1u);
  const Outcome scored = sandbox.run(export_with({"--skip-existing", "--scores", "sigmoid"}));
  BOOST_TEST(scored.status == 0, scored.err);
  BOOST_TEST(described(sandbox)["outputs"].size() == 2u);
}

BOOST_AUTO_TEST_CASE(what_has_no_row_of_labels_is_refused) {
  const Sandbox sandbox;
  sandbox.checkpoint();
  check_failure(
      sandbox, export_with({"--scores", "sigmoid"}), 2,
      {"--scores needs 'logits' with one row of labels for each input", "masked-lm", "sequence-classification"});
  check_failure(sandbox, export_with({"--feature", "default", "--scores", "auto"}), 2,
                {"the feature default has none"});
  check_failure(sandbox, export_with({"--scores", "relu"}), 2, {"--scores", "relu"});
}

BOOST_AUTO_TEST_CASE(an_activation_that_is_not_known_is_named) {
  const Sandbox sandbox;
  sandbox.checkpoint("bert", reranker);
  sandbox.write("bert/config_sentence_transformers.json", R"({"activation_fn": "torch.nn.modules.activation.GELU"})");
  check_failure(sandbox, export_with({"--scores", "auto"}), 2,
                {"config_sentence_transformers.json", "torch.nn.modules.activation.GELU", "--scores sigmoid"});
  BOOST_TEST(sandbox.run(export_with({"--scores", "sigmoid"})).status == 0);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace scores_test
