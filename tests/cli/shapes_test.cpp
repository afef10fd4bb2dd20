// SPDX-License-Identifier: Apache-2.0
// The form of a file's inputs (--fix, --ids), what is to run it (--runtime), and transform, pack and unpack.
#include <boost/test/unit_test.hpp>
#include <nlohmann/json.hpp>

#include "command.hpp"

namespace shapes_test {

using namespace cli;
using Json = nlohmann::json;

namespace {

Json json_of(const Outcome& outcome) {
  BOOST_TEST(outcome.status == 0, outcome.out << outcome.err);
  BOOST_REQUIRE_MESSAGE(Json::accept(outcome.out), "no JSON: " << outcome.out);
  return Json::parse(outcome.out);
}

Json exported(const Sandbox& sandbox, const Words& options, const std::string& output = "out") {
  Words words{"export", "-m", "bert", "--json"};
  if (!has_reference()) words.push_back("--no-validate");
  words.insert(words.end(), options.begin(), options.end());
  words.push_back(output);
  return json_of(sandbox.run(words));
}

Json inspected(const Sandbox& sandbox, const std::string& file) {
  return json_of(sandbox.run({"inspect", file, "--json"}));
}

std::string type_of(const Json& model, const std::string& list, size_t index) {
  return model.at(list).at(index).at("type");
}

}  // namespace

BOOST_AUTO_TEST_SUITE(shapes)

BOOST_AUTO_TEST_CASE(fixed_axes_and_narrow_ids) {
  const Sandbox sandbox;
  sandbox.checkpoint();
  exported(sandbox, {"--fix", "batch=1", "--fix", "sequence=12", "--ids", "int32"});
  const Json model = inspected(sandbox, "out/model.onnx");
  BOOST_TEST(type_of(model, "inputs", 0) == "i32[1, 12]");
  BOOST_TEST(!model.at("operators").contains("Shape"));
  BOOST_TEST(model.at("metadata").at("onnxport.fixed") == "batch=1,sequence=12");
  if (has_reference()) BOOST_TEST(sandbox.run({"validate", "out", "-m", "bert"}).status == 0);
}

BOOST_AUTO_TEST_CASE(a_cache_of_a_fixed_length) {
  const Sandbox sandbox;
  const auto model = [&](const std::string& config) {
    sandbox.write("config.json", config);
    fs::remove_all(sandbox.path() / "model");
    BOOST_REQUIRE(sandbox.run({"synth", "config.json", "model", "--quiet"}).status == 0);
  };
  model(R"({"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 16, "intermediate_size": 24,
            "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 50,
            "rms_norm_eps": 1e-06, "max_position_embeddings": 64, "hidden_act": "silu"})");
  // As few places as there may be: validation fills them all.
  Words words{"export", "-m", "model", "--layout", "genai", "--max-sequence", "16", "--dtype", "fp16", "out"};
  if (!has_reference()) words.push_back("--no-validate");
  const Outcome made = sandbox.run(words);
  BOOST_TEST(made.status == 0, made.out << made.err);
  const Json file = inspected(sandbox, "out/model.onnx");
  std::map<std::string, std::string> types;
  for (const char* list : {"inputs", "outputs"}) {
    for (const Json& value : file.at(list)) types[value.at("name")] = value.at("type");
  }
  BOOST_TEST(types["past_key_values.0.key"] == "f32[batch, 2, 16, 4]");
  BOOST_TEST(types["present.1.value"] == "f32[batch, 2, 16, 4]");
  BOOST_TEST(types["attention_mask"] == "i64[batch, total_sequence]");
  const Json config = Json::parse(sandbox.read("out/genai_config.json"));
  BOOST_TEST(config.at("search").at("past_present_share_buffer") == true);
  BOOST_TEST(config.at("search").at("max_length") == 16);
  if (has_reference()) {
    const Outcome again = sandbox.run({"validate", "out", "-m", "model", "--validate", "thorough"});
    BOOST_TEST(again.status == 0, again.out << again.err);
  }

  const auto refused = [&](const Words& options, const Words& parts) {
    Words all{"export", "-m", "model", "--no-validate", "--max-sequence", "32"};
    all.insert(all.end(), options.begin(), options.end());
    all.push_back("none");
    check_failure(sandbox, all, 2, parts);
  };
  refused({"--feature", "causal-lm"}, {"--max-sequence", "'llama' with feature 'causal-lm'", "no cache that grows"});
  model(R"({"model_type": "bart", "architectures": ["BartForConditionalGeneration"], "d_model": 16,
            "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 4, "decoder_attention_heads": 4,
            "encoder_ffn_dim": 24, "decoder_ffn_dim": 24, "vocab_size": 50, "max_position_embeddings": 32})");
  refused({"--feature", "seq2seq-lm-with-past", "--layout", "merged"}, {"between several graphs"});
  // Keys and values that are folded otherwise, as releases of that time had them.
  model(R"({"model_type": "bloom", "architectures": ["BloomForCausalLM"], "hidden_size": 16, "n_layer": 1,
            "n_head": 4, "vocab_size": 50, "transformers_version": "4.30.2"})");
  Words folded{"export", "-m", "model", "--feature", "causal-lm-with-past", "--max-sequence", "20", "folded"};
  if (!has_reference()) folded.push_back("--no-validate");
  const Outcome outcome = sandbox.run(folded);
  BOOST_TEST(outcome.status == 0, outcome.out << outcome.err);
  for (const Json& value : inspected(sandbox, "folded/model.onnx").at("outputs")) {
    if (value.at("name") == "present.0.key") BOOST_TEST(value.at("type") == "f32[4*batch, 4, 20]");
    if (value.at("name") == "present.0.value") BOOST_TEST(value.at("type") == "f32[4*batch, 20, 4]");
  }
}

BOOST_AUTO_TEST_CASE(what_cannot_be_fixed) {
  const Sandbox sandbox;
  sandbox.checkpoint();
  const auto refused = [&](const Words& options, const Words& parts) {
    Words words{"export", "-m", "bert", "--no-validate"};
    words.insert(words.end(), options.begin(), options.end());
    words.push_back("out");
    check_failure(sandbox, words, 2, parts);
  };
  refused({"--fix", "height=3"}, {"have no axis 'height'", "their axes are: batch, sequence"});
  for (const char* word : {"batch", "batch=", "batch=0", "batch=-1", "=3", "batch=2x"})
    refused({"--fix", word}, {"gives no axis a size", "--fix batch=1"});
  refused({"--fix", "batch=1", "--fix", "batch=2"}, {"two sizes, 1 and 2"});
  refused({"--num-logits-to-keep", "--feature", "default"}, {"--num-logits-to-keep"});
}

BOOST_AUTO_TEST_CASE(files_for_older_runtimes) {
  const Sandbox sandbox;
  sandbox.checkpoint();
  const Json older = exported(sandbox, {"--runtime", "onnxruntime=1.10"});
  BOOST_TEST(older.at("runtime").at("opset") == 15);
  BOOST_TEST(older.at("runtime").at("avoided") == Json::array({"LayerNormalization"}));
  const Json newer = exported(sandbox, {"--runtime", "onnxruntime=1.17.3"});
  BOOST_TEST(newer.at("runtime").at("avoided").empty());
  check_failure(sandbox, {"export", "-m", "bert", "--runtime", "tensorrt=8", "x"}, 2, {"--runtime tensorrt=8"});
  check_failure(sandbox, {"export", "-m", "bert", "--runtime", "onnxruntime=1.2", "x"}, 2, {"is not known"});
  check_failure(sandbox, {"export", "-m", "bert", "--runtime", "onnxruntime=1.10", "--opset", "18", "x"}, 2,
                {"reads opsets up to 15"});
}

BOOST_AUTO_TEST_CASE(a_finished_file_is_changed) {
  const Sandbox sandbox;
  sandbox.checkpoint();
  exported(sandbox, {});
  const Json fixed = json_of(sandbox.run(
      {"transform", "out/model.onnx", "fixed", "--fix", "batch=2", "--fix", "sequence=6", "--fp16", "--json"}));
  BOOST_TEST(fixed.at("open").at("shapes") == 0);
  BOOST_TEST(fixed.at("open").at("axes") == 0);
  BOOST_TEST(fixed.at("validation").at("status") == "passed");
  BOOST_TEST(type_of(inspected(sandbox, "fixed/model.onnx"), "inputs", 0) == "i64[2, 6]");
  if (has_reference()) BOOST_TEST(sandbox.run({"validate", "fixed", "-m", "bert"}).status == 0);
  check_failure(sandbox, {"validate", "out", "-m", "bert", "--feature", "token-classification"}, 2,
                {"--feature token-classification", "was exported with masked-lm", "leave --feature out"});
  check_failure(sandbox, {"transform", "out/model.onnx", "x", "--fix", "rows=1"}, 2, {"have no axis 'rows'"});
  // More than the table of positions has, which not even onnx's checker would say of the file.
  check_failure(sandbox, {"transform", "out/model.onnx", "x", "--fix", "sequence=1000", "--no-validate"}, 2,
                {"--fix sequence=1000", "cannot take these sizes", "choose sizes that it takes"});
  BOOST_TEST(!fs::exists(sandbox / "x"));
  check_failure(sandbox, {"transform", "out/model.onnx", "out", "--ids", "int32"}, 2, {"is the file that is read"});
  check_failure(sandbox, {"transform", "bert/config.json", "x", "--ids", "int32"}, 3, {"is no ONNX model"});
}

BOOST_AUTO_TEST_CASE(weights_move_out_of_a_file_and_back) {
  const Sandbox sandbox;
  sandbox.checkpoint();
  exported(sandbox, {});
  json_of(sandbox.run({"unpack", "out/model.onnx", "apart", "--json"}));
  BOOST_TEST(inspected(sandbox, "apart").at("external_files") == Json::array({"model.onnx_data"}));
  json_of(sandbox.run({"pack", "apart", "whole/one.onnx", "--json"}));
  const Json before = inspected(sandbox, "out"), after = inspected(sandbox, "whole/one.onnx");
  BOOST_TEST(after.at("external_files").empty());
  BOOST_TEST(after.at("initializers") == before.at("initializers"));
  if (has_reference()) BOOST_TEST(sandbox.run({"validate", "whole/one.onnx", "-m", "bert"}).status == 0);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace shapes_test
