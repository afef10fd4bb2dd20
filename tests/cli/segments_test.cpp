// SPDX-License-Identifier: Apache-2.0
// Validation in segments: of models of several kinds, of a file that is wrong in one place, and what is reported.
#include <boost/test/unit_test.hpp>
#include <nlohmann/json.hpp>

#include "command.hpp"

namespace segments_test {

using namespace cli;
using Json = nlohmann::json;

namespace {

constexpr const char* llama =
    R"({"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 16, "intermediate_size": 24,
        "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 50,
        "rms_norm_eps": 1e-06, "max_position_embeddings": 32, "hidden_act": "silu"})";
constexpr const char* t5 =
    R"({"model_type": "t5", "architectures": ["T5ForConditionalGeneration"], "d_model": 16, "d_kv": 4, "d_ff": 24,
        "num_layers": 2, "num_heads": 4, "vocab_size": 50, "decoder_start_token_id": 0, "pad_token_id": 0,
        "eos_token_id": 1})";

struct Models : Sandbox {
  void model(const std::string& config) const {
    write("config.json", config);
    const Outcome made = run({"synth", "config.json", "model", "--quiet"});
    BOOST_REQUIRE_MESSAGE(made.status == 0, made.err);
  }
  /// The report of a command whose status is expected.
  Json reported(const Words& words, int status = 0) const {
    Words all = words;
    all.insert(all.end(), {"-m", "model", "--json"});
    const Outcome outcome = run(all);
    BOOST_REQUIRE_MESSAGE(outcome.status == status, outcome.out << outcome.err);
    return Json::parse(outcome.out);
  }
};

/// The labels of runs with whether they pass.
std::map<std::string, bool> verdicts(const Json& report) {
  std::map<std::string, bool> all;
  for (const Json& run : report.at("validation").at("runs")) all[run.at("label")] = run.at("passes");
  return all;
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(segmented, Models, *boost::unit_test::precondition(reference_built))

BOOST_AUTO_TEST_CASE(segments_say_what_the_whole_does) {
  struct Row {
    const char* config;
    Words options;
    size_t segments;  // at least
  };
  const Row rows[] = {
      {llama, {"--feature", "causal-lm-with-past"}, 7},
      {llama, {"--num-logits-to-keep", "--ids", "int32"}, 7},
      {llama, {"--dtype", "fp16", "--fix", "batch=2"}, 7},
      {llama, {"--weights", "link"}, 7},
      {t5, {}, 8},
      {t5, {"--layout", "split", "--feature", "seq2seq-lm-with-past"}, 12},
  };
  for (const Row& row : rows) {
    model(row.config);
    const bool is_linked = !row.options.empty() && row.options.back() == "link";
    Words words{"export", is_linked ? "model/out" : "out"};
    words.insert(words.end(), row.options.begin(), row.options.end());
    const Json whole = reported(words);
    words.insert(words.end(), {"--segment-size", "1kB"});
    const Json cut = reported(words);
    BOOST_TEST_CONTEXT((row.options.empty() ? std::string(row.config) : row.options[0])) {
      BOOST_TEST((verdicts(cut) == verdicts(whole)));
      BOOST_TEST(!whole.at("validation").contains("segments"));
      const Json& segments = cut.at("validation").at("segments");
      BOOST_TEST(segments.size() >= row.segments);
      for (const Json& segment : segments) BOOST_TEST(segment.at("own").at("passes") == true, segment.dump());
    }
    fs::remove_all(path() / "model");
    fs::remove_all(path() / "out");
  }
}

BOOST_AUTO_TEST_CASE(a_weight_that_is_wrong_is_in_its_segment) {
  checkpoint("model");
  BOOST_REQUIRE(run({"export", "-m", "model", "--no-validate", "out"}).status == 0);
  std::string bytes = read("out/model.onnx");
  const std::string weight = "encoder.layer.1.output.dense.weight";
  constexpr char raw_data = 0x4a;
  size_t at = bytes.find(weight);
  while (at != std::string::npos && bytes[at + weight.size()] != raw_data) at = bytes.find(weight, at + 1);
  BOOST_REQUIRE(at != std::string::npos);
  const std::string five("\0\0\xa0\x40", 4);
  bytes.replace(at + weight.size() + 3, 4, five);
  write("out/model.onnx", bytes);

  const Json found = reported({"validate", "out", "--segment-size", "1kB", "--report", "report.html"}, 1);
  const Json& validation = found.at("validation");
  std::vector<std::string> wrong;
  bool is_behind = false;
  for (const Json& segment : validation.at("segments")) {
    if (segment.at("own").at("passes") == false) wrong.push_back(segment.at("to"));
    is_behind = is_behind || !wrong.empty();
    BOOST_TEST((segment.at("carried").at("passes") == false) == is_behind, segment.dump());
  }
  BOOST_REQUIRE_EQUAL(wrong.size(), 1u);
  BOOST_TEST(contains(wrong[0], "encoder.layer.1"));
  const std::string departs = validation.at("first_departure").get<std::string>();
  BOOST_TEST(contains(departs, "encoder.layer.1.output.dense (Linear) [2, 8, "), departs);
  BOOST_TEST(contains(read("report.html"), "Validated in"));

  const Outcome text = run({"validate", "out", "-m", "model", "--segment-size", "1kB"});
  BOOST_TEST(contains(text.out, "validated in "), text.out);
  BOOST_TEST(contains(text.out, "by itself"), text.out);
}

BOOST_AUTO_TEST_CASE(steps_of_all_segments_are_listed_where_asked_for) {
  checkpoint("model");
  const Json whole = reported({"export", "out", "--trace-values"});
  const Json cut = reported({"validate", "out", "--trace-values", "--segment-size", "1kB"});
  const auto modules = [](const Json& report) {
    std::set<std::string> names;
    for (const Json& step : report.at("validation").at("steps")) {
      BOOST_TEST(step.at("passes") == true, step.dump());
      names.insert(step.at("module").get<std::string>());
    }
    return names;
  };
  BOOST_TEST((modules(cut) == modules(whole)));
}

BOOST_AUTO_TEST_CASE(what_cannot_be_cut_is_refused) {
  model(t5);
  const Outcome merged = run({"export", "-m", "model", "--layout", "merged", "--feature", "seq2seq-lm-with-past",
                              "--segment-size", "1kB", "out"});
  BOOST_TEST(merged.status == 2);
  BOOST_TEST(contains(merged.err, "--segment-size: this model cannot be cut"), merged.err);
  BOOST_TEST(run({"export", "-m", "model", "--no-validate", "--segment-size", "1kB", "out"}).status == 2);
  BOOST_TEST(run({"validate", "out", "--case", "case.safetensors", "--segment-size", "1kB"}).status == 2);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace segments_test
