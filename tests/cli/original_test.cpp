// SPDX-License-Identifier: Apache-2.0
// --reference: the original as TorchScript, which libtorch runs, beside the definition.
#include <boost/test/unit_test.hpp>
#include <map>
#include <nlohmann/json.hpp>

#include "command.hpp"

namespace original_test {

using namespace cli;
using Json = nlohmann::json;

namespace {

const fs::path original = fs::path(ONNXPORT_TEST_SOURCE_DIR) / "fixtures/torchscript/BertForMaskedLM.pt";

/// The checkpoint that the module was made of, as "bert".
struct Traced : Sandbox {
  Traced() {
    fs::copy(fs::path(ONNXPORT_PLUGIN_SOURCES) / "bert/cases/bert/BertForMaskedLM", path() / "bert",
             fs::copy_options::recursive);
  }
  /// Another value of a field: the definition is then another model than the one that was traced.
  void change(const std::string& field, const Json& value) const {
    Json config = Json::parse(read("bert/config.json"));
    config[field] = value;
    write("bert/config.json", config.dump());
  }
  void check_departs(const std::string& module) const {
    const Outcome outcome = run({"export", "-m", "bert", "--reference", original.string(), "--json", "out"});
    BOOST_TEST(outcome.status == 1);
    const Json validation = parsed(outcome).at("validation");
    BOOST_TEST(contains(validation.at("first_departure").get<std::string>(), module + " ("));
    // The definition agrees with itself.
    for (const Json& run : validation.at("runs")) BOOST_TEST(run.at("passes").get<bool>() == !run.contains("original"));
  }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(original_model, Traced, *boost::unit_test::precondition(reference_built))

BOOST_AUTO_TEST_CASE(an_export_is_compared_with_the_definition_and_the_original) {
  const Outcome told = run({"export", "-m", "bert", "--reference", original.string(), "out"});
  BOOST_TEST(told.status == 0);
  BOOST_TEST(contains(told.out, "against the original, BertForMaskedLM.pt:"));
  const Json runs = parsed(run({"validate", "out", "-m", "bert", "--reference", original.string(), "--json"}))
                        .at("validation")
                        .at("runs");
  size_t judged = 0;
  for (const Json& one : runs) judged += one.contains("original") ? 1 : 0;
  BOOST_TEST(judged == 3u);
  BOOST_TEST(runs.size() == 6u);
}

BOOST_AUTO_TEST_CASE(the_module_is_named_where_a_definition_is_not_the_original) {
  change("hidden_act", "relu");
  check_departs("bert.encoder.layer.0.intermediate");
}

BOOST_AUTO_TEST_CASE(so_is_one_at_the_beginning) {
  change("layer_norm_eps", 0.25);
  check_departs("bert.embeddings.LayerNorm");
}

BOOST_AUTO_TEST_CASE(names_are_paired_by_a_file) {
  write("names.json", R"({"inputs": {"input_ids": "attention_mask", "attention_mask": "input_ids"}})");
  const Outcome swapped = run(
      {"export", "-m", "bert", "--reference", original.string(), "--reference-names", "names.json", "--json", "out"});
  BOOST_TEST(swapped.status == 1);
  write("names.json", R"({"inputs": {"pixels": "input_ids"}})");
  const Words words{"export", "-m", "bert", "--reference", original.string(), "--reference-names", "names.json", "out"};
  check_failure(*this, words, 2, {"the model has no 'pixels'", "input_ids, attention_mask, token_type_ids"});
  write("names.json", R"({"input": {}})");
  check_failure(*this, words, 2, {"unknown key 'input'", "inputs and outputs"});
  write("names.json", "[]");
  check_failure(*this, words, 2, {"names.json does not pair names"});
}

BOOST_AUTO_TEST_CASE(what_the_module_and_the_model_do_not_share_is_an_error_before_anything_is_written) {
  write("llama.json", R"({"model_type": "llama", "architectures": ["LlamaModel"], "hidden_size": 16, "vocab_size": 60,
                          "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 24})");
  BOOST_REQUIRE(run({"synth", "llama.json", "llama", "--quiet"}).status == 0);
  check_failure(
      *this, {"export", "-m", "llama", "--reference", original.string(), "out"}, 2,
      {"wants token_type_ids", "forward() takes input_ids, attention_mask, token_type_ids", "--reference-names"});
  write("t5.json", R"({"model_type": "t5", "architectures": ["T5ForConditionalGeneration"], "d_model": 16, "d_kv": 8,
                       "d_ff": 24, "num_layers": 1, "num_heads": 2, "vocab_size": 60})");
  BOOST_REQUIRE(run({"synth", "t5.json", "t5", "--quiet"}).status == 0);
  check_failure(*this, {"export", "-m", "t5", "--layout", "split", "--reference", original.string(), "out"}, 2,
                {"is the original of none of this layout's graphs",
                 "encoder_model.onnx, encoder: ", "wants token_type_ids", "--layout single"});
  BOOST_TEST(!fs::exists(path() / "out"));
}

BOOST_AUTO_TEST_CASE(each_graph_of_a_layout_is_judged_by_the_part_that_it_is) {
  const fs::path parts = original.parent_path() / "t5";
  fs::copy(parts, path() / "t5");
  const auto exported = [&](const char* layout, const Words& named) {
    Words words{"export", "-m", "t5", "--layout", layout, "--feature", "seq2seq-lm-with-past", "--json", layout};
    for (const std::string& name : named) words.insert(words.end(), {"--reference", (parts / name).string()});
    return run(words);
  };
  const Words all{"decoder_with_past.pt", "encoder.pt", "decoder.pt"};
  for (const char* layout : {"split", "merged"}) {
    const Outcome outcome = exported(layout, all);
    BOOST_REQUIRE_MESSAGE(outcome.status == 0, outcome.out << outcome.err);
    std::map<std::string, int> judged;
    const Json told = parsed(outcome);
    for (const Json& one : told.at("validation").at("runs")) {
      if (one.contains("original")) ++judged[one.at("original").get<std::string>()];
    }
    BOOST_TEST(judged.size() == 3u);
    for (const auto& [name, runs] : judged) BOOST_TEST(runs > 1, name);
  }
  const Json validation = parsed(exported("split", {"encoder.pt"})).at("validation");
  BOOST_TEST(contains(validation.at("not_compared").dump(), "none of those that are named takes its inputs"));
  Json config = Json::parse(read("t5/config.json"));
  config["layer_norm_epsilon"] = 0.25;
  write("t5/config.json", config.dump());
  const Outcome wrong = exported("split", all);
  BOOST_TEST(wrong.status == 1);
  BOOST_TEST(contains(parsed(wrong).at("validation").at("first_departure").get<std::string>(), "layer_norm ("));
}

BOOST_AUTO_TEST_CASE(an_original_is_not_run_in_segments) {
  check_failure(*this, {"export", "-m", "bert", "--reference", original.string(), "--segment-size", "10kB", "out"}, 2,
                {"the model is validated in segments", "leave one of the two out"});
  BOOST_TEST(!fs::exists(path() / "out"));
}

BOOST_AUTO_TEST_CASE(a_file_that_is_no_module_is_told) {
  check_failure(*this, {"export", "-m", "bert", "--reference", "bert/model.safetensors", "out"}, 2,
                {"model.safetensors is no TorchScript module", "torch.jit.trace"});
  check_failure(*this, {"export", "-m", "bert", "--reference", "nowhere.pt", "out"}, 2, {"there is no such file"});
  check_failure(*this, {"export", "-m", "bert", "--reference", original.string(), "--no-validate", "out"}, 2,
                {"--reference has no meaning with --no-validate"});
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace original_test
