// SPDX-License-Identifier: Apache-2.0
// What a checkpoint of sentence-transformers may say of the steps behind its model, and what is refused. That the steps
// compute the right numbers is settled by recordings (tests/plugin).
#include "core/definition/sentence_modules.hpp"

#include <stdlib.h>

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>

#include "core/checkpoint/checkpoint.hpp"
#include "core/error.hpp"
#include "tests/support/temporary_folder.hpp"

namespace sentence_modules_test {

namespace fs = std::filesystem;
using namespace onnxport;

namespace {

constexpr const char* transformer = R"({"path": "", "type": "sentence_transformers.models.Transformer"})";
constexpr const char* pooling = R"({"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"})";
constexpr const char* dense = R"({"path": "2_Dense", "type": "sentence_transformers.models.Dense"})";

struct Fixture {
  Fixture() { write("1_Pooling/config.json", "{}"); }
  void write(const fs::path& name, const std::string& text) const { root.write(name, text); }
  void modules(const std::vector<std::string>& entries) const {
    std::string text;
    for (const std::string& entry : entries) text += (text.empty() ? "[" : ", ") + entry;
    write("modules.json", text + "]");
  }
  /// Cause and hint of the refusal.
  std::string refusal(const fs::path& below = {}) const {
    try {
      SentenceModules::read(root / below);
    } catch (const Error& error) {
      return std::string(error.what()) + "\n" + error.hint();
    }
    return "accepted";
  }
  void expect_refusal(const std::string& part) const {
    const std::string text = refusal();
    BOOST_TEST(text.find(part) != std::string::npos, "expected '" << part << "' in: " << text);
  }

  test::TemporaryFolder root;
};

/// A model with tokens and mask.
Description described() {
  const ir::Dim batch = ir::Dim::symbol("batch"), sequence = ir::Dim::symbol("sequence");
  Description description;
  description.inputs = {{"mask", {ir::DType::i64, {batch, sequence}}, 0, {}, ONNXPORT_ROLE_MASK}};
  description.outputs = {{"last_hidden_state", {batch, sequence}}};
  return description;
}

/// A graph with tokens and mask, and what the modules leave as outputs.
ir::Graph appended(const fs::path& root) {
  ir::Graph graph;
  const ir::Dim batch = ir::Dim::symbol("batch"), sequence = ir::Dim::symbol("sequence");
  const Description description = described();
  graph.add_input("mask", description.inputs[0].type);
  const ir::ValueId tokens = graph.add_input("tokens", {ir::DType::f32, {batch, sequence, ir::Dim(4)}});
  graph.add_output("last_hidden_state", tokens);
  SentenceModules::read(root).append(graph, description);
  return graph;
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(sentence_modules, Fixture)

BOOST_AUTO_TEST_CASE(a_model_without_modules_is_refused) {
  expect_refusal("has no modules.json");
  modules({transformer});
  expect_refusal("has no Pooling");
  modules({pooling, pooling});
  expect_refusal("begins with a module of the type 'sentence_transformers.models.Pooling'");
  write("modules.json", "{}");
  expect_refusal("is no list of modules");
  modules({R"({"type": "sentence_transformers.models.Transformer"})"});
  expect_refusal("without 'path'");
}

BOOST_AUTO_TEST_CASE(the_file_may_lie_above_the_transformer) {
  modules({R"({"path": "0_Transformer", "type": "sentence_transformers.models.Transformer"})", pooling});
  fs::create_directory(root / "0_Transformer");
  BOOST_TEST(refusal("0_Transformer") == "accepted");
  BOOST_TEST(refusal("0_Transformer/") == "accepted");
  expect_refusal("pass -m " + (root / "0_Transformer").string());
}

BOOST_AUTO_TEST_CASE(unknown_modules_are_named) {
  modules({transformer, pooling, R"({"path": "2_CNN", "type": "sentence_transformers.models.CNN"})"});
  expect_refusal("'sentence_transformers.models.CNN'; known behind the transformer are Pooling, SpladePooling, Dense");
  modules({transformer, pooling, R"({"path": "2_Dense", "type": "company.Dense"})"});
  expect_refusal("'company.Dense'");
  modules({transformer, R"({"path": "../1_Pooling", "type": "sentence_transformers.models.Pooling"})"});
  expect_refusal("outside its folder");
}

BOOST_AUTO_TEST_CASE(pooling_is_chosen_by_its_flags_or_its_mode) {
  modules({transformer, pooling});
  const auto width = [&] { return appended(root).outputs.at(1).value; };
  const auto columns = [&] {
    const ir::Graph graph = appended(root);
    return graph[graph.outputs.at(1).value].type.shape.at(1).size();
  };
  BOOST_TEST(width() != ir::absent);
  BOOST_TEST(columns() == 4);  // the mean, where no flag is given
  write("1_Pooling/config.json", R"({"pooling_mode_cls_token": true, "pooling_mode_lasttoken": true})");
  BOOST_TEST(columns() == 8);
  write("1_Pooling/config.json", R"({"pooling_mode_mean_tokens": false})");
  BOOST_TEST(columns() == 4);  // the mean all the same, where nothing is left
  write("1_Pooling/config.json", R"({"pooling_mode": "max"})");
  BOOST_TEST(columns() == 4);
  write("1_Pooling/config.json", R"({"pooling_mode": "median"})");
  expect_refusal("unknown pooling \"median\"; known are cls, max, mean, mean_sqrt_len_tokens, weightedmean, lasttoken");
  write("1_Pooling/config.json", R"({"pooling_mode": "CLS"})");  // as sentence-transformers 2 to 5 read it
  BOOST_TEST(columns() == 4);
  write("1_Pooling/config.json", R"({"pooling_mode": ["max", "cls", "mean"]})");
  BOOST_TEST(columns() == 12);
  write("1_Pooling/config.json", R"({"pooling_mode": ["max", 3]})");
  expect_refusal("unknown pooling 3");
  write("1_Pooling/config.json", R"({"pooling_mode": []})");
  expect_refusal("names no pooling");
  write("1_Pooling/config.json", R"({"pooling_mode_median_tokens": true})");
  expect_refusal("unknown pooling 'pooling_mode_median_tokens'");
}

BOOST_AUTO_TEST_CASE(a_transformer_that_hands_on_something_else_is_refused) {
  modules({transformer, pooling});
  write("sentence_bert_config.json",
        R"({"module_output_name": "token_embeddings",
            "modality_config": {"text": {"method": "forward", "method_output_name": "last_hidden_state"}}})");
  BOOST_TEST(refusal("") == "accepted");
  write("sentence_bert_config.json",
        R"({"modality_config": {"text": {"method": "forward", "method_output_name": "pooler_output"}}})");
  expect_refusal("'modality_config.text.method_output_name' is \"pooler_output\", expected 'last_hidden_state'");
  write("sentence_bert_config.json", R"({"module_output_name": "sentence_embedding"})");
  expect_refusal("'module_output_name' is \"sentence_embedding\", expected 'token_embeddings'");
}

BOOST_AUTO_TEST_CASE(a_prompt_that_does_not_count_is_an_input) {
  modules({transformer, pooling});
  const auto inputs = [&] {
    Description description = described();
    SentenceModules::read(root).declare(description);
    return description.inputs.size();
  };
  BOOST_TEST(inputs() == 1u);
  write("1_Pooling/config.json", R"({"include_prompt": false})");
  BOOST_TEST(inputs() == 2u);
  write("config_sentence_transformers.json", R"({"prompts": {"query": "query: ", "document": ""}})");
  const std::map<std::string, std::string> prompts{{"query", "query: "}};
  BOOST_TEST((SentenceModules::read(root).prompts() == prompts));
}

BOOST_AUTO_TEST_CASE(a_sentence_may_be_cut) {
  modules({transformer, pooling, R"({"path": "2_Normalize", "type": "sentence_transformers.models.Normalize"})"});
  const auto cut = [&](const std::string& settings) {
    write("config_sentence_transformers.json", settings);
    const ir::Graph graph = appended(root);
    BOOST_TEST(to_string(graph[graph.outputs.at(0).value].type) == "f32[batch, sequence, 4]");
    return graph.nodes.back().op + " " + to_string(graph[graph.outputs.at(1).value].type);
  };
  BOOST_TEST(cut(R"({"truncate_dim": 3})") == "Slice f32[batch, 3]");  // of what is normalised, and not once more
  BOOST_TEST(cut(R"({"truncate_dim": 3, "model_type": "SentenceTransformer"})") == "Slice f32[batch, 3]");
  for (const char* all : {"4", "5", "null"})
    BOOST_TEST(cut(std::string(R"({"truncate_dim": )") + all + "}") == "Div f32[batch, 4]");
  BOOST_TEST(cut(R"({"truncate_dim": 3, "model_type": "SparseEncoder"})") == "Div f32[batch, 4]");
  for (const char* wrong : {"0", "-2", "\"3\"", "2.5", "true"}) {
    write("config_sentence_transformers.json", std::string(R"({"truncate_dim": )") + wrong + "}");
    expect_refusal(std::string("config_sentence_transformers.json: the field 'truncate_dim' is ") + wrong +
                   ", expected a whole number above 0, or null");
  }
}

BOOST_AUTO_TEST_CASE(words_are_pooled_from_a_masked_lm) {
  modules({R"({"path": "", "type": "sentence_transformers.sparse_encoder.models.MLMTransformer"})",
           R"({"path": "1_SpladePooling", "type": "sentence_transformers.sparse_encoder.models.SpladePooling"})"});
  write("1_SpladePooling/config.json", R"({"pooling_strategy": "max"})");
  BOOST_TEST(SentenceModules::read(root).base_feature() == "masked-lm");
  write("1_SpladePooling/config.json", R"({"pooling_strategy": "median"})");
  expect_refusal("unknown pooling_strategy 'median'");
  write("1_SpladePooling/config.json", R"({"activation_function": "gelu"})");
  expect_refusal("unknown activation_function 'gelu'");
  write("sentence_bert_config.json", R"({"transformer_task": "sequence-classification"})");
  expect_refusal("loads its transformer for 'sequence-classification'");
}

BOOST_AUTO_TEST_CASE(a_model_without_a_pooling_yields_its_tokens) {
  modules({transformer, R"({"path": "1_Dense", "type": "pylate.models.Dense.Dense"})"});
  write(
      "1_Dense/config.json",
      R"({"in_features": 4, "out_features": 2, "bias": false, "activation_function": "torch.nn.modules.linear.Identity"})");
  write_safetensors(root / "1_Dense/model.safetensors",
                    {{"linear.weight", ir::Tensor::of<float>(ir::DType::f32, {2, 4}, std::vector<float>(8, 1.0F))}});
  const auto only = [&] {
    const ir::Graph graph = appended(root);
    BOOST_REQUIRE(graph.outputs.size() == 1u);
    BOOST_TEST(graph.outputs[0].name == "token_embeddings");
    BOOST_TEST(to_string(graph[graph.outputs[0].value].type) == "f32[batch, sequence, 2]");
    return graph.nodes.back().op;
  };
  BOOST_TEST(only() == "Linear");
  write("config_sentence_transformers.json", R"({"model_type": "ColBERT"})");
  BOOST_TEST(only() == "Div");  // normalised
  modules({transformer, R"({"path": "1_Norm", "type": "sentence_transformers.models.LayerNorm"})"});
  write("1_Norm/config.json", R"({"dimension": 4})");
  write_safetensors(root / "1_Norm/model.safetensors",
                    {{"norm.weight", ir::Tensor::of<float>(ir::DType::f32, {4}, std::vector<float>(4, 1.0F))},
                     {"norm.bias", ir::Tensor::of<float>(ir::DType::f32, {4}, std::vector<float>(4, 1.0F))}});
  expect_refusal("reads 'sentence_embedding', which none before it makes");
}

BOOST_AUTO_TEST_CASE(outputs_are_tokens_and_sentences) {
  modules({transformer, pooling, R"({"path": "2_Normalize", "type": "sentence_transformers.models.Normalize"})"});
  const ir::Graph graph = appended(root);
  BOOST_REQUIRE(graph.outputs.size() == 2u);
  BOOST_TEST(graph.outputs[0].name == "token_embeddings");
  BOOST_TEST(graph.outputs[1].name == "sentence_embedding");
  BOOST_TEST(to_string(graph[graph.outputs[1].value].type) == "f32[batch, 4]");
  BOOST_TEST(graph.nodes.back().scope == "2_Normalize");
}

BOOST_AUTO_TEST_CASE(dense_layers_say_what_they_are) {
  modules({transformer, pooling, dense});
  write("2_Dense/config.json", R"({"in_features": 4, "out_features": 2, "activation_function": "company.Swirl"})");
  expect_refusal("the activation 'company.Swirl'");
  write("2_Dense/config.json", R"({"in_features": 4})");
  expect_refusal("'out_features'");
  write("2_Dense/config.json", R"({"in_features": 4, "out_features": 2, "module_output_name": "scores"})");
  expect_refusal("'module_output_name' is 'scores'");

  write("2_Dense/config.json", R"({"in_features": 4, "out_features": 2, "bias": false})");
  write_safetensors(root / "2_Dense/model.safetensors",
                    {{"linear.weight", ir::Tensor::of<float>(ir::DType::f32, {2, 3}, std::vector<float>(6, 1.0F))}});
  expect_refusal("expected [2, 4]");
  write_safetensors(root / "2_Dense/model.safetensors",
                    {{"linear.weight", ir::Tensor::of<float>(ir::DType::f32, {2, 4}, std::vector<float>(8, 1.0F))}});
  const ir::Graph graph = appended(root);
  BOOST_TEST(to_string(graph[graph.outputs[1].value].type) == "f32[batch, 2]");

  const auto last = [&](const std::string& activation) {
    write("2_Dense/config.json",
          R"({"in_features": 4, "out_features": 2, "bias": false, "activation_function": )" + activation + "}");
    return appended(root).nodes.back().op;
  };
  BOOST_TEST(last(R"("torch.nn.modules.linear.Identity")") == "Linear");
  BOOST_TEST(last(R"("torch.nn.modules.activation.LeakyReLU")") == "LeakyRelu");
  BOOST_TEST(last(R"("torch.nn.modules.activation.ELU")") == "Elu");
  BOOST_TEST(last(R"("torch.nn.modules.activation.Mish")") == "Mish");
  write("2_Dense/config.json", R"({"in_features": 4, "out_features": 2, "bias": false, "activation_function": null})");
  expect_refusal("'activation_function' is null");
}

BOOST_AUTO_TEST_CASE(a_module_of_another_width_is_told_by_its_own_field) {
  modules({transformer, pooling, dense});
  write("1_Pooling/config.json", R"({"pooling_mode": ["cls", "mean"]})");
  write("2_Dense/config.json", R"({"in_features": 4, "out_features": 2, "bias": false})");
  write_safetensors(root / "2_Dense/model.safetensors",
                    {{"linear.weight", ir::Tensor::of<float>(ir::DType::f32, {2, 4}, std::vector<float>(8, 1.0F))}});
  BOOST_CHECK_EXCEPTION(appended(root), Error, [](const Error& error) {
    return std::string(error.what())
        .ends_with("2_Dense/config.json: the field 'in_features' is 4, and what comes before yields 8 numbers");
  });
}

BOOST_AUTO_TEST_CASE(only_models_with_a_mask_and_tokens) {
  modules({transformer, pooling});
  const SentenceModules found = SentenceModules::read(root);
  Description description;
  description.outputs = {{"last_hidden_state", {ir::Dim::symbol("batch"), ir::Dim::symbol("sequence")}}};
  BOOST_CHECK_THROW(found.declare(description), Error);
  description.inputs = {
      {"mask", {ir::DType::i64, {ir::Dim::symbol("batch"), ir::Dim::symbol("sequence")}}, 0, {}, ONNXPORT_ROLE_MASK}};
  description.outputs[0].axes[1] = ir::Dim::symbol("decoder_sequence");
  BOOST_CHECK_THROW(found.declare(description), Error);  // another text than the mask's
  description.outputs[0].axes[1] = ir::Dim::symbol("sequence");
  found.declare(description);
  BOOST_REQUIRE(description.outputs.size() == 2u);
  BOOST_TEST(description.outputs[0].name == "token_embeddings");
  BOOST_TEST(description.outputs[1].name == "sentence_embedding");
  BOOST_TEST(description.outputs[1].axes.size() == 1u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace sentence_modules_test
