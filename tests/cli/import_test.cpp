// SPDX-License-Identifier: Apache-2.0
// import-torchscript: modules that no plugin knows, against libtorch itself.
#include <boost/test/unit_test.hpp>
#include <nlohmann/json.hpp>

#include "command.hpp"

namespace import_test {

using namespace cli;
using Json = nlohmann::json;

namespace {

const fs::path modules = fs::path(ONNXPORT_TEST_SOURCE_DIR) / "fixtures/torchscript/import";

struct Imports : Sandbox {
  Words words(const std::string& module, const Words& options, const std::string& output = "out") const {
    Words words{"import-torchscript", (modules / (module + ".pt")).string(), output};
    words.insert(words.end(), options.begin(), options.end());
    return words;
  }
  /// Imports it, which has to succeed, and yields the object.
  Json imported(const std::string& module, Words options, const std::string& output = "out") const {
    options.push_back("--json");
    const Outcome outcome = run(words(module, options, output));
    BOOST_REQUIRE_MESSAGE(outcome.status == 0, module << ": " << outcome.out << outcome.err);
    Json told = parsed(outcome);
    BOOST_TEST(told.at("status") == "ok");
    return told;
  }
  static std::set<std::string> labels(const Json& told) {
    std::set<std::string> labels;
    for (const Json& one : told.at("validation").at("runs")) {
      BOOST_TEST(one.at("passes").get<bool>());
      labels.insert(one.at("label").get<std::string>());
    }
    return labels;
  }
};

const Words texts{"--input", "input_ids=i64[batch,sequence]", "--input", "attention_mask=int64[batch,sequence]"};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(importing, Imports, *boost::unit_test::precondition(reference_built))

BOOST_AUTO_TEST_CASE(an_encoder_with_a_mask) {
  const Json told = imported("encoder", texts);
  const std::set<std::string> shapes = labels(told);
  for (const char* label :
       {"batch 2, sequence 8", "batch 1, sequence 8", "batch 2, sequence 11", "batch 3, sequence 11"})
    BOOST_TEST(shapes.contains(label), label);
  BOOST_TEST(told.at("outputs").at(0).at("name") == "output_0");
  BOOST_TEST((told.at("outputs").at(0).at("axes") == Json{"batch", "sequence", "20"}));
  // Nodes have the names of their modules, and what two modules share is there once.
  const Json seen = parsed(run({"inspect", "out/model.onnx", "--json"}));
  BOOST_TEST(contains(seen.dump(), "layer"));
  BOOST_TEST(!contains(seen.dump(), "duplicate"));
  BOOST_TEST(!contains(seen.dump(), "head.weight"));
}

BOOST_AUTO_TEST_CASE(all_opsets_and_types) {
  for (const char* opset : {"13", "17", "20", "23", "24"}) {
    Words options = texts;
    options.insert(options.end(), {"--opset", opset});
    BOOST_TEST(imported("encoder", options).at("opset") == std::stoi(opset));
  }
  for (const char* dtype : {"fp16", "bf16"}) {
    Words options = texts;
    options.insert(options.end(), {"--dtype", dtype, "--data-name", "weights.bin"});
    imported("encoder", options, dtype);
    BOOST_TEST(fs::exists(path() / dtype / "model.onnx"));
  }
}

BOOST_AUTO_TEST_CASE(the_same_module_gives_the_same_bytes) {
  imported("encoder", texts, "a.onnx");
  imported("encoder", texts, "b.onnx");
  BOOST_TEST(read("a.onnx") == read("b.onnx"));
}

BOOST_AUTO_TEST_CASE(choices_and_loops_that_are_known) {
  imported("choices", {"--input", "x=f32[batch,4]"});
  const Json told =
      imported("choices", {"--input", "x=f32[batch,4]", "--input", "bias=f32[4]", "--output", "y"}, "biased");
  BOOST_TEST(told.at("inputs").size() == 2u);
  BOOST_TEST(told.at("outputs").at(0).at("name") == "y");
  // What the module itself says to such inputs.
  check_failure(*this, words("choices", {"--input", "x=f32[batch,3,4]"}, "refused"), 2,
                {"prim::RaiseException", "expected [batch, width]", "--input"});
}

BOOST_AUTO_TEST_CASE(images_of_any_size) {
  const std::set<std::string> shapes =
      labels(imported("convolutions", {"--input", "pixel_values=f32[batch,3,height,width]", "--size", "height=32",
                                       "--size", "width=48,21"}));
  BOOST_TEST(shapes.contains("batch 2, height 32, width 48"));
  BOOST_TEST(shapes.contains("batch 3, height 37, width 21"));
  const Json multiples = imported("convolutions", {"--input", "pixel_values=f32[batch,3,4*rows,16]"}, "multiples");
  BOOST_TEST((multiples.at("inputs").at(0).at("axes") == Json{"batch", "3", "4*rows", "16"}));
}

BOOST_AUTO_TEST_CASE(recurrent_layers) {
  imported("tagger", {"--input", "input_ids=i64[batch,sequence]", "--opset", "14"});
  // Values are below the rows of the table that is looked up, unless others are asked for.
  check_failure(
      *this, words("tagger", {"--input", "input_ids=i64[batch,sequence]", "--range", "input_ids=10:90"}, "beyond"), 2,
      {"tagger.pt refuses inputs of batch 2, sequence 8", "out of range", "'words'", "--range INPUT=LOW:HIGH"});
}

BOOST_AUTO_TEST_CASE(outputs_in_a_dictionary) {
  const auto names = [](const Json& told) {
    std::vector<std::string> names;
    for (const Json& output : told.at("outputs")) names.push_back(output.at("name"));
    return names;
  };
  const Words input{"--input", "x=f32[batch,4]"};
  BOOST_TEST((names(imported("named", input)) == Words{"logits", "shifted", "probabilities"}));
  const Json renamed = imported("named", {"--input", "x=f32[batch,4]", "--output", "scores"}, "renamed");
  BOOST_TEST((names(renamed) == Words{"scores", "shifted", "probabilities"}));
  // All three are compared, whatever they are called.
  for (const Json& one : renamed.at("validation").at("runs")) BOOST_TEST(one.at("outputs").size() == 3u);
  check_failure(*this, words("named", {"--input", "x=f32[batch,4]", "--output", "x"}, "twice"), 2,
                {"two inputs or outputs are called 'x'", "--output NAME"});
}

BOOST_AUTO_TEST_CASE(an_operator_that_is_missing_is_named_with_its_place) {
  check_failure(*this, words("missing", {"--input", "x=f32[batch,3,3]"}), 2,
                {"missing.pt: aten::linalg_matrix_exp in 'inner' has no counterpart", "make a plugin"});
}

BOOST_AUTO_TEST_CASE(a_size_that_was_written_down_is_no_file) {
  check_failure(*this, words("frozen", {"--input", "x=f32[batch,length,4]"}), 2,
                {"aten::add in the model's forward()", "length is not 5", "--input"});
  imported("frozen", {"--input", "x=f32[batch,5,4]"}, "fixed");
  check_failure(
      *this, words("frozen_late", {"--input", "x=f32[batch,length,4]", "--size", "length=5"}), 1,
      {"the axis 'length' cannot change: frozen_late.pt takes 5 and refuses 7", "Reshape", "--size length=5,N"});
}

BOOST_AUTO_TEST_CASE(inputs_that_are_not_those_of_forward) {
  check_failure(*this, words("encoder", {"--input", "ids=i64[batch,sequence]"}), 2,
                {"forward() wants input_ids: Tensor, attention_mask: Tensor",
                 "it takes input_ids: Tensor, attention_mask: Tensor", "--input NAME=TYPE[AXIS,…]"});
  Words more = texts;
  more.insert(more.end(), {"--input", "labels=i64[batch]"});
  check_failure(*this, words("encoder", more), 2, {"forward() does not take labels"});
  for (const auto& [word, problem] : {std::pair("input_ids", "has no name and type"),
                                      {"x=f33[2]", "no type 'f33'"},
                                      {"x=f32[2", "do not end with ]"},
                                      {"x=f32[0]", "no size"}})
    check_failure(*this, words("encoder", {"--input", word}), 2, {problem, "NAME=TYPE[AXIS,AXIS,…]"});
  check_failure(*this, words("named", {"--input", "x=f32[batch,4]", "--size", "rows=3"}), 2,
                {"no input has an axis of that name"});
  check_failure(*this, words("named", {"--input", "x=f32[batch,4]", "--range", "y=0:3"}), 2,
                {"there is no such input"});
  check_failure(*this, words("named", {"--input", "x=f32[batch,4]", "--opset", "12"}), 2, {"opset 12 is out of range"});
  write("no.pt", "text");
  check_failure(*this, {"import-torchscript", "no.pt", "out"}, 2,
                {"no.pt is no TorchScript module", "torch.jit.trace"});
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace import_test
