// SPDX-License-Identifier: Apache-2.0
// --dry-run tells what the export writes: files, inputs and outputs with their types and axes, in every form.
#include "tests/cli/command.hpp"

namespace plan_test {
using namespace cli;

Words with(Words words, const Words& more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

/// "input_ids i64[batch, sequence]" a line, in order.
std::string planned(const nlohmann::json& ports) {
  std::string lines;
  for (const nlohmann::json& port : ports) {
    std::string axes;
    for (const nlohmann::json& axis : port.at("shape")) axes += (axes.empty() ? "" : ", ") + axis.get<std::string>();
    lines += port.at("name").get<std::string>() + " " + port.at("element").get<std::string>() + "[" + axes + "]\n";
  }
  return lines;
}
std::string written(const nlohmann::json& ports) {
  std::string lines;
  for (const nlohmann::json& port : ports)
    lines += port.at("name").get<std::string>() + " " + port.at("type").get<std::string>() + "\n";
  return lines;
}

BOOST_AUTO_TEST_CASE(what_is_planned_is_what_is_written) {
  const fs::path plugins(ONNXPORT_PLUGIN_SOURCES);
  const fs::path bert = plugins / "bert/cases/bert/BertForMaskedLM", gpt2 = plugins / "gpt2/cases/gpt2/GPT2Model",
                 t5 = plugins / "t5/cases/t5/T5ForConditionalGeneration";
  const Words past{"--feature", "causal-lm-with-past"}, cached{"--feature", "seq2seq-lm-with-past"};
  const struct {
    fs::path model;
    Words options;
  } cases[] = {
      {bert, {}},
      {bert, {"--fix", "batch=2", "--fix", "sequence=7"}},
      {bert, {"--ids", "int32"}},
      {bert, {"--fix", "sequence=5", "--ids", "int32", "--dtype", "fp16", "--outputs", "hidden_states"}},
      {bert, {"--layout", "optimum"}},
      {bert, {"--layout", "triton", "--fix", "sequence=5"}},
      {gpt2, past},
      {gpt2, with(past, {"--fix", "batch=1", "--fix", "past_sequence=9"})},
      {gpt2, with(past, {"--max-sequence", "32", "--ids", "int32"})},
      {gpt2, with(past, {"--max-sequence", "32", "--fix", "sequence=1"})},
      {gpt2, with(past, {"--num-logits-to-keep"})},
      {gpt2, with(past, {"--layout", "transformers.js", "--fix", "batch=1"})},
      {gpt2, {"--feature", "causal-lm", "--fix", "sequence=6", "--position-ids", "input"}},
      {t5, with(cached, {"--layout", "split", "--fix", "batch=2"})},
      {t5, with(cached, {"--layout", "merged", "--ids", "int32"})},
      {t5, with(cached, {"--layout", "optimum"})},
  };
  for (const auto& one : cases) {
    const Sandbox sandbox;
    std::string asked;
    for (const std::string& word : one.options) asked += " " + word;
    const Words call = with({"export", "-m", one.model.string(), "--no-validate", "--json", "out"}, one.options);
    const Outcome told = sandbox.run(with(call, {"--dry-run"})), done = sandbox.run(call);
    BOOST_TEST_REQUIRE(told.status == 0, one.model.filename().string() << asked << ": " << told.out);
    BOOST_TEST_REQUIRE(done.status == 0, one.model.filename().string() << asked << ": " << done.out);
    for (const nlohmann::json& graph : parsed(told).at("graphs")) {
      const Outcome seen = sandbox.run({"inspect", graph.at("path"), "--json"});
      BOOST_TEST_REQUIRE(seen.status == 0, seen.out);
      BOOST_TEST_CONTEXT(graph.at("path") << asked) {
        BOOST_TEST(planned(graph.at("inputs")) == written(parsed(seen).at("inputs")));
        BOOST_TEST(planned(graph.at("outputs")) == written(parsed(seen).at("outputs")));
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(what_cannot_be_written_cannot_be_planned) {
  const Sandbox sandbox;
  sandbox.checkpoint();
  for (const Words& more : {Words{"--dry-run"}, Words{"--no-validate"}, Words{}}) {
    const auto asked = [&](const Words& words) { return with(with({"export", "-m", "bert", "out"}, words), more); };
    check_failure(sandbox, asked({"--fix", "sequenc=4"}), 2, {"no axis 'sequenc'", "batch, sequence"});
    check_failure(sandbox, asked({"--fix", "sequence=5000"}), 2,
                  {"--fix sequence=5000: this model cannot have such inputs", "max_position_embeddings"});
    check_failure(sandbox, asked({"--feature", "default", "--num-logits-to-keep"}), 2,
                  {"yields no logits for each token"});
    check_failure(sandbox, asked({"--max-sequence", "64"}), 2, {"has no cache that grows"});
  }
}

}  // namespace plan_test
