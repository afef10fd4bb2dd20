// SPDX-License-Identifier: Apache-2.0
// onnxport transform --layout: finished files, ours and those of others, as folders that other programs load.
#include <boost/test/unit_test.hpp>
#include <map>
#include <nlohmann/json.hpp>

#include "command.hpp"
#include "core/inspect/onnx_file.hpp"

namespace transform_layout_test {

using namespace cli;
using Json = nlohmann::json;
namespace pb = onnxport::inspect::pb;

namespace {

constexpr const char* tiny_llama = R"({
  "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 16, "intermediate_size": 24,
  "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 50, "rms_norm_eps": 1e-06,
  "max_position_embeddings": 32, "bos_token_id": 1, "eos_token_id": [2, 3], "hidden_act": "silu"})";

constexpr const char* tiny_t5 = R"({
  "model_type": "t5", "architectures": ["T5ForConditionalGeneration"], "d_model": 16, "d_kv": 4, "d_ff": 24,
  "num_layers": 1, "num_heads": 4, "vocab_size": 50, "decoder_start_token_id": 0, "pad_token_id": 0,
  "eos_token_id": 1})";

void run(const Sandbox& sandbox, const Words& words) {
  const Outcome outcome = sandbox.run(words);
  BOOST_REQUIRE_MESSAGE(outcome.status == 0, outcome.err);
}

/// A random checkpoint "model" of that config.
void checkpoint_of(const Sandbox& sandbox, const char* config) {
  sandbox.write("config.json", config);
  run(sandbox, {"synth", "config.json", "model"});
}

/// An export of it to "out".
void exported(const Sandbox& sandbox, const Words& more) {
  Words words{"export", "-m", "model", "--no-validate", "out"};
  words.insert(words.end(), more.begin(), more.end());
  run(sandbox, words);
}

/// Types of inputs and outputs by name.
std::map<std::string, std::string> types_in(const Sandbox& sandbox, const std::string& file) {
  const Json model = parsed(sandbox.run({"inspect", file, "--json"}));
  std::map<std::string, std::string> types;
  for (const char* list : {"inputs", "outputs"}) {
    for (const Json& value : model.at(list)) types[value.at("name")] = value.at("type");
  }
  return types;
}

/// The same folder, made by an export and of a finished file.
void check_alike(const Sandbox& sandbox, const std::string& layout, const Words& graphs, const Words& others) {
  run(sandbox, {"export", "-m", "model", "--no-validate", "--layout", layout, "wanted"});
  for (const std::string& graph : graphs) {
    BOOST_TEST(types_in(sandbox, "made/" + graph) == types_in(sandbox, "wanted/" + graph));
    const Outcome diff = sandbox.run({"diff", "made/" + graph, "wanted/" + graph});
    BOOST_TEST(diff.status == 0, diff.out);
  }
  for (const std::string& file : others) BOOST_TEST(sandbox.read("made/" + file) == sandbox.read("wanted/" + file));
  fs::remove_all(sandbox / "wanted");
  fs::remove_all(sandbox / "made");
}

/// A file as somebody else would have written it: nobody says what it is, axes have names of their own or none, and
/// what is known to be a number is none.
void make_foreign(const Sandbox& sandbox, const std::string& file) {
  pb::ModelProto model;
  BOOST_REQUIRE(model.ParseFromString(sandbox.read(file)));
  model.clear_metadata_props();
  model.set_producer_name("another");
  for (auto* list : {model.mutable_graph()->mutable_input(), model.mutable_graph()->mutable_output()}) {
    for (auto& value : *list) {
      auto& shape = *value.mutable_type()->mutable_tensor_type()->mutable_shape();
      for (int i = 0; i < shape.dim_size(); ++i) {
        auto& dim = *shape.mutable_dim(i);
        if (dim.dim_param() == "batch")
          dim.set_dim_param("s43");
        else if (dim.dim_param() == "sequence")
          dim.set_dim_param("s77");
        else if (dim.dim_param() == "past_sequence")
          dim.clear_dim_param();
        else if (!dim.dim_param().empty())
          dim.set_dim_param("s91");
        else if (value.name().starts_with("past_") && i == 1)
          dim.set_dim_param("heads");
      }
    }
  }
  std::string bytes;
  BOOST_REQUIRE(model.SerializeToString(&bytes));
  sandbox.write(file, bytes);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(transform_layout)

BOOST_AUTO_TEST_CASE(a_finished_decoder_becomes_what_an_export_is) {
  const Sandbox sandbox;
  checkpoint_of(sandbox, tiny_llama);
  exported(sandbox, {"--feature", "causal-lm-with-past", "--position-ids", "input"});
  run(sandbox, {"transform", "out", "made", "--layout", "all"});
  check_alike(sandbox, "all", {"onnx/model.onnx"}, {"genai_config.json", "config.json"});
  run(sandbox, {"transform", "out/model.onnx", "made", "--layout", "genai"});
  check_alike(sandbox, "genai", {"model.onnx"}, {"genai_config.json"});
  run(sandbox, {"transform", "out", "made", "--layout", "triton"});
  BOOST_TEST(contains(sandbox.read("made/config.pbtxt"), "name: \"input_ids\""));
  // And back again, from where that has its files.
  fs::rename(sandbox / "made", sandbox / "served");
  run(sandbox, {"transform", "served/1/model.onnx", "made", "--layout", "all"});
  check_alike(sandbox, "all", {"onnx/model.onnx"}, {"genai_config.json"});
  fs::rename(sandbox / "served", sandbox / "made");
  if (has_reference()) BOOST_TEST(sandbox.run({"validate", "made", "-m", "model"}).status == 0);
}

BOOST_AUTO_TEST_CASE(a_file_of_others_is_named_as_the_definition_says) {
  const Sandbox sandbox;
  checkpoint_of(sandbox, tiny_llama);
  exported(sandbox, {"--feature", "causal-lm-with-past", "--position-ids", "input"});
  make_foreign(sandbox, "out/model.onnx");
  run(sandbox, {"transform", "out", "made", "--layout", "all"});
  check_alike(sandbox, "all", {"onnx/model.onnx"}, {"genai_config.json", "config.json"});
  // Without a config beside it, the checkpoint is named.
  fs::create_directories(sandbox / "alone");
  fs::rename(sandbox / "out/model.onnx", sandbox / "alone/decoder.onnx");
  check_failure(sandbox, {"transform", "alone/decoder.onnx", "made", "--layout", "genai"}, 2,
                {"there is no config.json beside alone/decoder.onnx", "-m MODEL"});
  run(sandbox, {"transform", "alone/decoder.onnx", "made", "--layout", "genai", "-m", "model"});
  check_alike(sandbox, "genai", {"model.onnx"}, {"genai_config.json"});
}

BOOST_AUTO_TEST_CASE(weights_beside_a_file_stay_beside_it) {
  const Sandbox sandbox;
  checkpoint_of(sandbox, tiny_llama);
  exported(sandbox, {"--feature", "causal-lm-with-past", "--external-data"});
  run(sandbox, {"transform", "out", "made", "--layout", "transformers.js"});
  BOOST_TEST(fs::file_size(sandbox / "made/onnx/model.onnx_data") > 1000);
  const Json config = Json::parse(sandbox.read("made/config.json")).at("transformers.js_config");
  BOOST_TEST(config.at("use_external_data_format") == Json({{"model.onnx", 1}}));
}

BOOST_AUTO_TEST_CASE(an_encoder_and_a_decoder) {
  const Sandbox sandbox;
  checkpoint_of(sandbox, tiny_t5);
  exported(sandbox, {"--feature", "seq2seq-lm-with-past", "--layout", "merged"});
  const Words graphs{"onnx/encoder_model.onnx", "onnx/decoder_model_merged.onnx"};
  run(sandbox, {"transform", "out", "made", "--layout", "transformers.js"});
  check_alike(sandbox, "transformers.js", graphs, {"config.json"});
  // As optimum writes them: by their names alone.
  for (const char* name : {"out/encoder_model.onnx", "out/decoder_model_merged.onnx"}) make_foreign(sandbox, name);
  sandbox.write("out/decoder_model_quantized.onnx", sandbox.read("out/encoder_model.onnx"));
  const Outcome outcome = sandbox.run({"transform", "out", "made", "--layout", "transformers.js"});
  BOOST_TEST(outcome.status == 0, outcome.err);
  BOOST_TEST(contains(outcome.err + outcome.out, "decoder_model_quantized.onnx is left out"));
  BOOST_TEST(types_in(sandbox, "made/onnx/encoder_model.onnx").at("input_ids") ==
             "i64[batch_size, encoder_sequence_length]");
  check_failure(sandbox, {"transform", "out", "x", "--layout", "triton"}, 2,
                {"--layout triton has a file decoder_model/1/model.onnx", "neither cut nor joined"});
}

BOOST_AUTO_TEST_CASE(sixteen_bits_by_what_the_weights_are) {
  const Sandbox sandbox;
  sandbox.checkpoint("model");
  exported(sandbox, {"--feature", "masked-lm", "--dtype", "fp16"});
  make_foreign(sandbox, "out/model.onnx");
  run(sandbox, {"transform", "out", "made", "--layout", "transformers.js"});
  BOOST_TEST(fs::exists(sandbox / "made/onnx/model_fp16.onnx"));
  BOOST_TEST(Json::parse(sandbox.read("made/config.json")).at("transformers.js_config").at("dtype") == "fp16");
  check_failure(sandbox, {"transform", "out", "x", "--layout", "all"}, 2,
                {"the weights of out/model.onnx are fp16", "graphs in fp32"});
}

BOOST_AUTO_TEST_CASE(what_cannot_be_made_of_a_file) {
  const Sandbox sandbox;
  checkpoint_of(sandbox, tiny_llama);
  exported(sandbox, {"--feature", "causal-lm"});
  check_failure(sandbox, {"transform", "out", "x", "--layout", "genai"}, 2, {"generates text with a cache"});
  check_failure(sandbox, {"transform", "out", "x", "--layout", "split"}, 2, {"--layout split is no package"});
  check_failure(sandbox, {"transform", "out", "x", "--layout", "nothing"}, 2, {"no layout or package 'nothing'"});
  check_failure(sandbox, {"transform", "out", "x", "--layout", "all", "--fp16"}, 2, {"--layout goes by itself"});
  check_failure(sandbox, {"transform", "out", "x.onnx", "--layout", "all"}, 2, {"makes a folder"});
  check_failure(sandbox, {"transform", "out", "out", "--layout", "all"}, 2, {"the folder that is read"});
  // Of another model.
  sandbox.checkpoint("bert");
  exported(sandbox, {"--feature", "causal-lm-with-past"});
  make_foreign(sandbox, "out/model.onnx");
  check_failure(sandbox, {"transform", "out", "x", "--layout", "all", "-m", "bert"}, 2,
                {"is no graph of a bert", "by its names"});
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace transform_layout_test
