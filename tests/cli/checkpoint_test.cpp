// SPDX-License-Identifier: Apache-2.0
// Checkpoints that cannot be read, or are not what their config says: status 3, or 2 for a type nobody knows.
#include <boost/test/unit_test.hpp>

#include "command.hpp"

namespace checkpoint_test {

using namespace cli;

namespace {

const Words to_out{"export", "--no-validate", "out", "-m"};

Words exported(const std::string& model, Words more = {}) {
  Words words = to_out;
  words.push_back(model);
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

/// A folder with a config and a safetensors file of this header.
void broken_weights(const Sandbox& sandbox, const std::string& header, size_t data) {
  sandbox.write("broken/config.json", tiny_config());
  sandbox.write_safetensors("broken/model.safetensors", header, data);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(checkpoints)

BOOST_AUTO_TEST_CASE(folders_and_configs) {
  const Sandbox sandbox;
  check_failure(sandbox, exported("./org/model"), 3,
                {"no model folder './org/model'", (sandbox / "org/model").string(), "exists"});
  sandbox.write("file", "x");
  check_failure(sandbox, exported("file"), 3, {"is a file; expected the folder of a checkpoint", "config.json"});
  fs::create_directory(sandbox / "empty");
  check_failure(sandbox, exported("empty"), 3, {"config.json"});
  sandbox.write("broken/config.json", "{\"model_type\": \"bert\",\n  oops}");
  check_failure(sandbox, exported("broken"), 3, {"config.json", "line 2"});
  sandbox.write("broken/config.json", "[1, 2]");
  check_failure(sandbox, exported("broken"), 3, {"config.json"});
  sandbox.write("broken/config.json", "{\"hidden_size\": 16}");
  check_failure(sandbox, exported("broken"), 3, {"model_type"});
  sandbox.write("broken/config.json", "{\"model_type\": 7}");
  check_failure(sandbox, exported("broken"), 3, {"model_type", "7"});
  sandbox.write("broken/config.json", tiny_config());
  check_failure(sandbox, exported("broken"), 3, {"safetensors"});
}

BOOST_AUTO_TEST_CASE(types_and_features) {
  const Sandbox sandbox;
  sandbox.write("model/config.json", tiny_config(R"({"model_type": "bret"})"));
  check_failure(sandbox, exported("model"), 2, {"'bret'", "bert"});
  sandbox.checkpoint();
  check_failure(sandbox, exported("bert", {"--feature", "seq2seq-lm"}), 2, {"seq2seq-lm", "masked-lm", "causal-lm"});
  sandbox.write("model/config.json", tiny_config(R"({"architectures": ["BertForWeather"]})"));
  check_failure(sandbox, exported("model"), 2, {"BertForWeather", "--feature", "masked-lm"});
}

BOOST_AUTO_TEST_CASE(without_a_class_it_is_the_base_model) {
  const Sandbox sandbox;
  const auto forget_class = [&] { sandbox.write("bert/config.json", tiny_config(R"({"architectures": null})")); };
  const auto drawn_for = [&](const char* architecture) {
    fs::remove_all(sandbox / "bert");
    sandbox.checkpoint("bert", R"({"architectures": [")" + std::string(architecture) + R"("]})");
    forget_class();
  };
  drawn_for("BertModel");
  const Outcome base = sandbox.run(exported("bert"));
  BOOST_TEST(base.status == 0, base.err);
  BOOST_TEST(contains(base.out + base.err, "feature: default (from no architectures)"), base.err);
  BOOST_TEST(contains(base.out + base.err, "no 'architectures', so that it is taken for the base model"), base.err);
  // What the file holds beside it is not left out in silence.
  drawn_for("BertForTokenClassification");
  check_failure(sandbox, exported("bert"), 2,
                {"no 'architectures'", "classifier.", "token-classification", "--feature default"});
  drawn_for("BertForMaskedLM");
  check_failure(sandbox, exported("bert"), 2, {"cls.predictions", "masked-lm"});
  BOOST_TEST(sandbox.run(exported("bert", {"--feature", "masked-lm"})).status == 0);
}

BOOST_AUTO_TEST_CASE(config_fields_that_a_model_refuses) {
  const Sandbox sandbox;
  sandbox.checkpoint();
  const auto refuse = [&](const char* fields, const Words& parts) {
    sandbox.write("bert/config.json", tiny_config(fields));
    check_failure(sandbox, exported("bert"), 3, parts);
  };
  refuse(R"({"hidden_act": "wobble"})", {"wobble"});
  refuse(R"({"position_embedding_type": "spiral"})", {"position_embedding_type", "spiral"});
  refuse(R"({"hidden_size": 15})", {"hidden_size", "15"});
  refuse(R"({"hidden_size": "large"})", {"config field 'hidden_size' is \"large\"; expected an integer"});
  // What would be taken for absent, and with it the class's default.
  refuse(R"({"hidden_act": null})", {"config field 'hidden_act' is null; expected"});
  refuse(R"({"tie_word_embeddings": null})", {"config field 'tie_word_embeddings' is null; expected"});
  refuse(R"({"id2label": "none"})", {"config field 'id2label' is \"none\"; expected a map"});
  // A number of which no operator can be made is no defect of the plugin.
  refuse(R"({"layer_norm_eps": -1e-5})", {"config field 'layer_norm_eps' is -1e-05, of which no model can be made: "
                                          "'bert.embeddings.LayerNorm': LayerNorm: its "
                                          "attribute 'epsilon' is -1e-05; expected a number from 0 to 1000000\n",
                                          "correct config.json"});
  refuse(R"({"layer_norm_eps": 1e30})",
         {"config field 'layer_norm_eps' is 1e+30", "expected a number from 0 to 1000000"});
  refuse(R"({"architectures": "BertModel"})", {"config field 'architectures' is \"BertModel\"; expected a list"});
}

BOOST_AUTO_TEST_CASE(a_model_of_which_a_part_is_known) {
  const Sandbox sandbox;
  sandbox.checkpoint();
  sandbox.write("bert/config.json", R"({"model_type": "whole", "vision_config": {"model_type": "pixels"},
                                        "text_config": {"model_type": "bert"}})");
  check_failure(sandbox, exported("bert"), 2,
                {"unknown model type 'whole'; of its parts, text_config is of type 'bert'", "save_pretrained"});
}

BOOST_AUTO_TEST_CASE(all_that_does_not_match_is_listed_together) {
  const Sandbox sandbox;
  sandbox.checkpoint();
  const std::string weights = sandbox.read("bert/model.safetensors");
  // One layer more than the weights have, and another width of one matrix.
  sandbox.write("bert/config.json", tiny_config(R"({"num_hidden_layers": 3, "intermediate_size": 25})"));
  check_failure(sandbox, exported("bert"), 3,
                {"missing", "encoder.layer.2.attention.self.query.weight", "of another shape", "intermediate.dense",
                 "[25, 16]", "[24, 16]"});
  sandbox.write("bert/config.json", tiny_config(R"({"num_hidden_layers": 1})"));
  check_failure(sandbox, exported("bert"), 3, {"unexpected", "encoder.layer.1.", "--allow-unused"});
  BOOST_TEST(sandbox.run(exported("bert", {"--allow-unused"})).status == 0);
  BOOST_TEST(sandbox.read("bert/model.safetensors") == weights);
}

BOOST_AUTO_TEST_CASE(a_factor_that_is_no_number) {
  const Sandbox sandbox;
  const auto granite = [](const std::string& divisor) {
    return R"({"architectures": ["GraniteForCausalLM"], "model_type": "granite", "hidden_size": 16,
               "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 2,
               "vocab_size": 60, "max_position_embeddings": 32, "logits_scaling": )" +
           divisor + "}";
  };
  sandbox.write("granite.json", granite("4"));
  BOOST_REQUIRE(sandbox.run({"synth", "granite.json", "granite", "--quiet"}).status == 0);
  BOOST_TEST(sandbox.run(exported("granite")).status == 0);
  fs::remove_all(sandbox / "out");
  sandbox.write("granite/config.json", granite("0"));
  check_failure(sandbox, exported("granite"), 3,
                {"config field 'logits_scaling' is 0, of which no model can be made",
                 "scales by inf; expected a finite number", "correct config.json"});
}

// As transformers 4.57 writes it for models around a decoder.
BOOST_AUTO_TEST_CASE(the_class_may_stand_in_the_config_of_the_decoder) {
  const Sandbox sandbox;
  sandbox.checkpoint();
  sandbox.write("bert/config.json",
                tiny_config(R"({"architectures": null, "text_config": {"architectures": ["BertForMaskedLM"]}})"));
  const Outcome outcome = sandbox.run(exported("bert"));
  BOOST_TEST_CONTEXT(outcome.out << outcome.err) {
    BOOST_TEST(outcome.status == 0);
    BOOST_TEST(contains(outcome.out + outcome.err, "feature: masked-lm (from architectures: BertForMaskedLM)"));
  }
}

BOOST_AUTO_TEST_CASE(a_head_that_is_not_there_is_not_made_up) {
  const Sandbox sandbox;
  sandbox.checkpoint();
  check_failure(sandbox, exported("bert", {"--feature", "sequence-classification"}), 3,
                {"the checkpoint (BertForMaskedLM by config.json) does not have what sequence-classification takes: ",
                 "classifier.weight [2, 16] and 1 more are missing",
                 "choose with --feature what it has: default, masked-lm, causal-lm;", "trained for"});
  // The class is told where that chose the feature, too; of many tensors the first are.
  sandbox.write("bert/config.json", tiny_config(R"({"architectures": ["BertForPreTraining"]})"));
  check_failure(sandbox, exported("bert", {"--feature", "pretraining"}), 3,
                {"(BertForPreTraining by config.json)", "bert.pooler.dense.weight [16, 16]", "and 1 more are missing"});
  // What has no feature's tensors whole is no matter of heads.
  sandbox.write("bert/config.json", tiny_config(R"({"num_hidden_layers": 3})"));
  check_failure(sandbox, exported("bert", {"--feature", "token-classification"}), 3,
                {"  missing (", "classifier.weight", "encoder.layer.2."});
}

BOOST_AUTO_TEST_CASE(damaged_safetensors) {
  const Sandbox sandbox;
  sandbox.checkpoint();
  const std::string whole = sandbox.read("bert/model.safetensors");
  for (const size_t size : {whole.size() - 1, whole.size() / 2, size_t{100}, size_t{8}, size_t{7}}) {
    sandbox.write("bert/model.safetensors", whole.substr(0, size));
    check_failure(sandbox, exported("bert"), 3, {"model.safetensors"});
  }
  sandbox.write("bert/model.safetensors", "");
  check_failure(sandbox, exported("bert"), 3, {"model.safetensors"});
  sandbox.write("bert/model.safetensors", std::string("\xff\xff\xff\xff\xff\xff\xff\x7f", 8) + "{}");
  check_failure(sandbox, exported("bert"), 3, {"model.safetensors", "header"});

  broken_weights(sandbox, R"({"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}})", 12);
  check_failure(sandbox, exported("broken"), 3, {"model.safetensors"});
  broken_weights(
      sandbox,
      R"({"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]},"b":{"dtype":"F32","shape":[4],"data_offsets":[8,24]}})",
      24);
  check_failure(sandbox, exported("broken"), 3, {"model.safetensors", "overlap"});
  broken_weights(sandbox, R"({"a":{"dtype":"F32","shape":[5],"data_offsets":[0,16]}})", 16);
  check_failure(sandbox, exported("broken"), 3, {"'a'"});
  broken_weights(sandbox, R"({"a":{"dtype":"Q7","shape":[4],"data_offsets":[0,16]}})", 16);
  check_failure(sandbox, exported("broken"), 3, {"'a'", "Q7"});
  broken_weights(sandbox, R"({"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16])", 16);
  check_failure(sandbox, exported("broken"), 3, {"model.safetensors"});
}

BOOST_AUTO_TEST_CASE(weights_in_a_type_that_is_no_weight) {
  const Sandbox sandbox;
  broken_weights(
      sandbox, R"({"bert.embeddings.word_embeddings.weight":{"dtype":"I64","shape":[60,16],"data_offsets":[0,7680]}})",
      7680);
  check_failure(sandbox, exported("broken"), 3, {"word_embeddings.weight", "i64"});
}

BOOST_AUTO_TEST_CASE(other_formats_are_named) {
  const Sandbox sandbox;
  sandbox.write("model/config.json", tiny_config());
  sandbox.write("model/tf_model.h5", "x");
  check_failure(sandbox, exported("model"), 3, {"tf_model.h5", "safetensors"});
  sandbox.write("model/pytorch_model.bin", "x");
  check_failure(sandbox, exported("model"), 3, {"pytorch_model.bin", "no file of torch.save"});
}

BOOST_AUTO_TEST_CASE(a_broken_tokenizer_is_told_before_the_work, *boost::unit_test::precondition(reference_built)) {
  const Sandbox sandbox;
  sandbox.checkpoint();
  sandbox.write("bert/tokenizer.json", "{");
  check_failure(sandbox, {"export", "-m", "bert", "out"}, 3, {"tokenizer.json"});
  fs::remove(sandbox / "bert/tokenizer.json");
  check_failure(sandbox, {"export", "-m", "bert", "--preprocessor", "tokenizer", "out"}, 3,
                {"--preprocessor tokenizer"});
}

BOOST_AUTO_TEST_CASE(inspect_and_validate_of_something_else) {
  const Sandbox sandbox;
  sandbox.checkpoint();
  check_failure(sandbox, {"inspect", "bert/config.json"}, 3, {"is no ONNX model"});
  check_failure(sandbox, {"inspect", "nowhere.onnx"}, 3, {"nowhere.onnx"});
  check_failure(sandbox, {"validate", "nowhere", "-m", "bert"}, 3, {"nowhere"});
  check_failure(sandbox, {"synth", "nowhere.json", "out"}, 3, {"nowhere.json"});
  BOOST_TEST(sandbox.run(exported("bert")).status == 0);
  check_failure(sandbox, {"validate", "out", "--case", "bert/model.safetensors"}, 3, {"is no case file"});
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace checkpoint_test
