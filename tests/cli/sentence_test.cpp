// SPDX-License-Identifier: Apache-2.0
// sentence-embedding from the command line: where modules.json is there, where it is not, and further outputs beside
// it.
#include <boost/test/unit_test.hpp>

#include "command.hpp"

namespace sentence_test {

using namespace cli;

namespace {

const Words sentences{"export", "-m", "bert", "--feature", "sentence-embedding", "--no-validate", "out"};

void add_modules(const Sandbox& sandbox) {
  sandbox.write("bert/modules.json",
                R"([{"path": "", "type": "sentence_transformers.models.Transformer"},
                    {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
                    {"path": "2_Normalize", "type": "sentence_transformers.models.Normalize"}])");
  sandbox.write("bert/1_Pooling/config.json", R"({"pooling_mode_mean_tokens": true})");
}

}  // namespace

BOOST_AUTO_TEST_SUITE(sentence_embedding)

BOOST_AUTO_TEST_CASE(a_checkpoint_without_modules) {
  const Sandbox sandbox;
  sandbox.checkpoint();
  check_failure(sandbox, sentences, 2, {"sentence-embedding", "has no modules.json"});
}

BOOST_AUTO_TEST_CASE(the_graph_ends_in_one_vector_a_text) {
  const Sandbox sandbox;
  sandbox.checkpoint();
  add_modules(sandbox);
  BOOST_TEST(sandbox.run(sentences).status == 0);
  BOOST_TEST(fs::exists(sandbox / "out/1_Pooling/config.json"));
  const std::string text = sandbox.run({"inspect", "out/model.onnx"}).out;
  BOOST_TEST(contains(text, "token_embeddings"), text);
  BOOST_TEST(contains(text, "sentence_embedding"), text);
  BOOST_TEST(!contains(text, "last_hidden_state"), text);
  if (has_reference()) {
    const Outcome valid = sandbox.run({"validate", "out", "-m", "bert"});
    BOOST_TEST(valid.status == 0, valid.err);
  }
  // Without being asked for, the modules change nothing.
  BOOST_TEST(sandbox.run({"export", "-m", "bert", "--feature", "default", "--no-validate", "plain"}).status == 0);
  BOOST_TEST(contains(sandbox.run({"inspect", "plain/model.onnx"}).out, "last_hidden_state"));
}

BOOST_AUTO_TEST_CASE(prompts_are_listed) {
  const Sandbox sandbox;
  sandbox.checkpoint();
  add_modules(sandbox);
  const Outcome without = sandbox.run(sentences);
  BOOST_TEST(!contains(without.out, "prompts"), without.out);
  sandbox.write("bert/config_sentence_transformers.json",
                R"({"prompts": {"query": "query: ", "document": ""}, "default_prompt_name": null})");
  const std::string text = sandbox.run(sentences).out;
  BOOST_TEST(contains(text, "prompts, which clients put before a text:\n  query      \"query: \"\n"), text);
  BOOST_TEST(!contains(text, "document"), text);
  Words json = sentences;
  json.push_back("--json");
  BOOST_TEST(contains(sandbox.run(json).out, R"("prompts": {)"));
}

BOOST_AUTO_TEST_CASE(steps_of_the_model_beside_it) {
  const Sandbox sandbox;
  sandbox.checkpoint();
  add_modules(sandbox);
  Words words = sentences;
  words.insert(words.end(), {"--outputs", "hidden_states,attentions.1"});
  BOOST_TEST(sandbox.run(words).status == 0);
  const std::string text = sandbox.run({"inspect", "out/model.onnx"}).out;
  for (const char* name : {"sentence_embedding", "hidden_states.0", "hidden_states.2", "attentions.1"})
    BOOST_TEST(contains(text, name), text);
  words.back() = "logits";
  fs::remove_all(sandbox / "out");
  check_failure(sandbox, words, 2, {"no further output 'logits'", "hidden_states.0"});
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace sentence_test
