// SPDX-License-Identifier: Apache-2.0
// Case files that do not belong to the model: everything that does not fit is listed, with status 3.
#include <boost/test/unit_test.hpp>
#include <nlohmann/json.hpp>

#include "command.hpp"

namespace case_test {

using namespace cli;
using Json = nlohmann::ordered_json;

namespace {

struct Recorded {
  std::string name, dtype;
  std::vector<int64_t> shape;
};

/// What the tiny BERT takes and puts out, for two texts of eight tokens.
std::vector<Recorded> whole() {
  return {{"in/input_ids", "I64", {2, 8}},
          {"in/attention_mask", "I64", {2, 8}},
          {"in/token_type_ids", "I64", {2, 8}},
          {"out/logits", "F32", {2, 8, 60}}};
}

void write_case(const Sandbox& sandbox, const std::vector<Recorded>& tensors) {
  Json header = Json::object();
  size_t end = 0;
  for (const Recorded& tensor : tensors) {
    size_t bytes = tensor.dtype == "I64" ? 8 : 4;
    for (const int64_t size : tensor.shape) bytes *= static_cast<size_t>(size);
    header[tensor.name] = {{"dtype", tensor.dtype}, {"shape", tensor.shape}, {"data_offsets", {end, end + bytes}}};
    end += bytes;
  }
  sandbox.write_safetensors("case.safetensors", header.dump(), end);
}

struct Model : Sandbox {
  Model() {
    checkpoint();
    BOOST_REQUIRE(run({"export", "-m", "bert", "--no-validate", "out"}).status == 0);
  }
  void check_refused(const std::vector<Recorded>& tensors, const Words& parts) const {
    write_case(*this, tensors);
    Words told{"case.safetensors is no recording of this model", "input_ids, attention_mask, token_type_ids", "logits"};
    told.insert(told.end(), parts.begin(), parts.end());
    check_failure(*this, {"validate", "out", "--case", "case.safetensors"}, 3, told);
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(case_files)

BOOST_AUTO_TEST_CASE(inputs_that_are_missing_or_too_many) {
  const Model model;
  std::vector<Recorded> tensors = whole();
  tensors.erase(tensors.begin() + 1);
  model.check_refused(tensors, {"in/attention_mask is missing, i64[batch, sequence]"});
  tensors = whole();
  tensors[2].name = "in/token_types";
  model.check_refused(tensors, {"in/token_type_ids is missing", "in/token_types: the model has no such input"});
}

BOOST_AUTO_TEST_CASE(inputs_of_another_type_or_shape) {
  const Model model;
  std::vector<Recorded> tensors = whole();
  tensors[0].dtype = "F32";
  tensors[1].shape = {2, 7};
  tensors[2].shape = {16};
  model.check_refused(
      tensors, {"in/input_ids is f32[2, 8], expected i64[batch, sequence]",
                "in/attention_mask is i64[2, 7], expected i64[batch, sequence] where batch is 2 and sequence is 8",
                "in/token_type_ids is i64[16], expected i64[batch, sequence]"});
}

BOOST_AUTO_TEST_CASE(outputs_that_the_model_does_not_have) {
  const Model model;
  std::vector<Recorded> tensors = whole();
  tensors[3].name = "out/pooler_output";
  model.check_refused(tensors, {"out/pooler_output: the model has no such output"});
}

BOOST_AUTO_TEST_CASE(outputs_of_another_rank) {
  const Model model;
  std::vector<Recorded> tensors = whole();
  tensors[3].shape = {2, 8};
  model.check_refused(tensors, {"out/logits is f32[2, 8], expected f32[batch, sequence, 60]"});
}

BOOST_AUTO_TEST_CASE(outputs_without_numbers) {
  const Model model;
  std::vector<Recorded> tensors = whole();
  for (Recorded& tensor : tensors) tensor.shape[0] = 0;
  model.check_refused(tensors, {"its outputs hold no numbers"});
}

/// What fits is run, and outputs that nobody recorded are told.
BOOST_AUTO_TEST_CASE(what_is_not_recorded_is_told) {
  const Sandbox sandbox;
  sandbox.checkpoint();
  BOOST_REQUIRE(sandbox.run({"export", "-m", "bert", "--no-validate", "--outputs", "hidden_states", "out"}).status ==
                0);
  write_case(sandbox, whole());
  const Outcome outcome = sandbox.run({"validate", "out", "--case", "case.safetensors"});
  BOOST_TEST(outcome.status == 1);  // zeros are not what the model computes
  BOOST_TEST(contains(outcome.out, "does not record these outputs"), outcome.out);
  BOOST_TEST(contains(outcome.out, "hidden_states"));
  BOOST_TEST(contains(outcome.err, "tells in which layer it begins"), outcome.err);
}

/// Where no number tells how far apart two outputs are, none is told, and no tolerance is offered.
BOOST_AUTO_TEST_CASE(outputs_of_another_shape) {
  const Model model;
  std::vector<Recorded> tensors = whole();
  tensors[3].shape = {2, 8, 59};
  write_case(model, tensors);
  const Outcome outcome = model.run({"validate", "out", "--case", "case.safetensors"});
  BOOST_TEST(outcome.status == 1);
  BOOST_TEST(contains(outcome.err, "the output 'logits' has the shape [2, 8, 60], expected [2, 8, 59]"), outcome.err);
  BOOST_TEST(contains(outcome.err, "record the case again"), outcome.err);
  BOOST_TEST(!contains(outcome.err, "atol"), outcome.err);
}

/// Of recorded steps the first that differs is named, with the one before it.
BOOST_AUTO_TEST_CASE(where_a_difference_begins_is_told) {
  const Sandbox sandbox;
  sandbox.checkpoint();
  BOOST_REQUIRE(sandbox.run({"export", "-m", "bert", "--no-validate", "--outputs", "hidden_states", "out"}).status ==
                0);
  std::vector<Recorded> tensors = whole();
  tensors.push_back({"out/hidden_states.1", "F32", {2, 8, 16}});
  write_case(sandbox, tensors);
  const Outcome outcome = sandbox.run({"validate", "out", "--case", "case.safetensors"});
  BOOST_TEST(outcome.status == 1);
  BOOST_TEST(contains(outcome.err, "it begins at or before hidden_states.1, the first recorded step"), outcome.err);
}

/// An export of several graphs has each case compared with the graph that it is of, and refuses one that is of none.
BOOST_AUTO_TEST_CASE(each_graph_of_a_layout_has_its_own_cases, *boost::unit_test::precondition(reference_built)) {
  const Sandbox sandbox;
  sandbox.write("t5.json", R"({"model_type": "t5", "architectures": ["T5ForConditionalGeneration"], "d_model": 16,
                               "d_kv": 8, "d_ff": 24, "num_layers": 1, "num_heads": 2, "vocab_size": 60})");
  BOOST_REQUIRE(sandbox.run({"synth", "t5.json", "t5", "--quiet"}).status == 0);
  write_case(sandbox, {{"in/encoder_attention_mask", "I64", {2, 5}},
                       {"in/input_ids", "I64", {2, 3}},
                       {"in/encoder_hidden_states", "F32", {2, 5, 16}},
                       {"out/logits", "F32", {2, 3, 60}}});
  for (const char* layout : {"split", "merged"}) {
    const Outcome outcome = sandbox.run({"export", "-m", "t5", "--layout", layout, "--feature", "seq2seq-lm-with-past",
                                         "--case", "case.safetensors", "--json", layout});
    BOOST_TEST(outcome.status == 1, outcome.out);  // zeros are not what it computes
    const Json told = parsed(outcome);
    size_t judged = 0;
    for (const Json& run : told.at("validation").at("runs")) {
      judged += run.contains("original") ? 1 : 0;
      BOOST_TEST(run.at("passes").get<bool>() == !run.contains("original"), run.at("label"));
    }
    BOOST_TEST(judged == 1u);
    BOOST_TEST(contains(told.at("validation").at("not_compared").dump(), "does not record present.0.decoder.key"));
  }
  write_case(sandbox, whole());
  check_failure(sandbox,
                {"export", "-m", "t5", "--layout", "split", "--feature", "seq2seq-lm-with-past", "--case",
                 "case.safetensors", "out"},
                3,
                {"is no recording of any of this layout's graphs", "encoder_model.onnx, encoder: ",
                 "in/token_type_ids: the model has no such input", "record a case of one of the graphs"});
}

/// A case that the export cannot be compared with is told before anything is written.
BOOST_AUTO_TEST_CASE(an_export_refuses_what_does_not_fit, *boost::unit_test::precondition(reference_built)) {
  const Sandbox sandbox;
  sandbox.checkpoint();
  std::vector<Recorded> tensors = whole();
  tensors.erase(tensors.begin() + 1);
  write_case(sandbox, tensors);
  const Words words{"export", "-m", "bert", "--case", "case.safetensors", "out"};
  check_failure(sandbox, words, 3, {"is no recording of this model", "in/attention_mask is missing"});
  write_case(sandbox, whole());
  Words fixed = words;
  fixed.insert(fixed.end(), {"--fix", "sequence=4"});
  check_failure(sandbox, fixed, 3, {"in/input_ids is i64[2, 8], expected i64[batch, 4]"});
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace case_test
