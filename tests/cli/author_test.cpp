// SPDX-License-Identifier: Apache-2.0
// What the command has for authors of plugins: a project to begin with, a trial of all that a plugin offers, a
// recorder.
#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "command.hpp"
#include "tests/support/skips.hpp"

namespace author_test {

using namespace cli;

namespace {

/// Tries a fixture on a model of its type.
Outcome tried(const Sandbox& sandbox, const std::string& fixture, const std::string& type, const Words& more = {}) {
  sandbox.write("config.json", R"({"model_type": ")" + type + R"(", "architectures": ["TheModel"], "size": 4})");
  Words words{"plugins", "check", fixture_plugins(fixture).string(), "--run", "--config", "config.json"};
  words.insert(words.end(), more.begin(), more.end());
  return sandbox.run(words);
}

/// How many processes have the word in their command line.
size_t processes_with(const std::string& word) {
  size_t count = 0;
  for (const fs::directory_entry& entry : fs::directory_iterator("/proc")) {
    std::ifstream in(entry.path() / "cmdline", std::ios::binary);
    const std::string line{std::istreambuf_iterator<char>(in), {}};
    count += contains(line, word) ? 1 : 0;
  }
  return count;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(authors)

BOOST_AUTO_TEST_CASE(a_plugin_is_tried_from_end_to_end, *boost::unit_test::precondition(reference_built)) {
  const Sandbox sandbox;
  const Outcome good = tried(sandbox, "c_linear", "c-linear");
  BOOST_TEST(good.status == 0, good.out << good.err);
  for (const char* part :
       {"c-linear default, opset 13: passed", "c-linear default, opset 24: passed", "batch 1/2/3",
        "axes: open: batch, sequence", "same bytes twice", "all weights used", "2 of 2 trials passed"})
    BOOST_TEST(contains(good.out, part), part << " in " << good.out);
  const Outcome json = tried(sandbox, "c_linear", "c-linear", {"--json"});
  for (const char* part : {R"("passes": true)", R"("what": "validated")", R"("opset": 24)", R"("without_sample": [])"})
    BOOST_TEST(contains(json.out, part), part << " in " << json.out);
}

BOOST_AUTO_TEST_CASE(what_is_wrong_with_a_plugin_is_a_finding, *boost::unit_test::precondition(reference_built)) {
  const Sandbox sandbox;
  const Outcome refused = tried(sandbox, "error_in_forward", "misfit");
  BOOST_TEST(refused.status == 4);
  BOOST_TEST(contains(refused.out, "FAILED synthesised"), refused.out);
  BOOST_TEST(contains(refused.out, "layer.3.attention"), refused.out);
  const Outcome careless = tried(sandbox, "careless", "idle", {"--time-limit", "60"});
  BOOST_TEST(careless.status == 4);
  for (const char* part : {"FAILED all weights used", "forgotten.bias, forgotten.weight",
                           "FAILED endless default: there is no config of this type"})
    BOOST_TEST(contains(careless.out, part), part << " in " << careless.out);
  const Outcome replaced = tried(sandbox, "careless", "replaced", {"--time-limit", "60"});
  BOOST_TEST(contains(replaced.out, "FAILED validated: validation found differences above the tolerance"),
             replaced.out);
  BOOST_TEST(!contains(replaced.out, "FAILED same bytes twice"), replaced.out);
  const Outcome misshapen = tried(sandbox, "careless", "misshapen", {"--time-limit", "60"});
  BOOST_TEST(contains(misshapen.out, "FAILED validated: ONNX Runtime cannot run the model at Reshape"), misshapen.out);
  BOOST_TEST(!contains(misshapen.out, "FAILED axes"), misshapen.out);
  const Outcome endless = tried(sandbox, "careless", "endless", {"--time-limit", "1"});
  BOOST_TEST(endless.status == 4);
  BOOST_TEST(contains(endless.out, "did not come to its end in 1 s"), endless.out);
  BOOST_TEST(processes_with(fixture_plugins("careless").string()) == 0);
  check_failure(sandbox, {"plugins", "check", fixture_plugins("c_linear").string(), "--run"}, 2,
                {"--cases", "--config"});
}

BOOST_AUTO_TEST_CASE(a_project_begins_with_what_is_known) {
  const Sandbox sandbox;
  const Outcome plain = sandbox.run({"plugins", "new", "my-encoder"});
  BOOST_TEST(plain.status == 0, plain.err);
  for (const char* file : {"CMakeLists.txt", "my-encoder.cpp", "config.json", "check", ".github/workflows/check.yml",
                           "cases/index.json", "cases/my-encoder/BagForSequenceClassification/config.json",
                           "cases/my-encoder/BagForSequenceClassification/case-sequence-classification-0.safetensors"})
    BOOST_TEST(fs::exists(sandbox / "my-encoder" / file), file);
  BOOST_TEST(contains(sandbox.read("my-encoder/my-encoder.cpp"), R"(.types = {"my-encoder"})"));

  const Outcome like = sandbox.run({"plugins", "new", "mine", "elsewhere/mine", "--like", "bert"});
  BOOST_TEST(like.status == 0, like.err);
  const std::string source = sandbox.read("elsewhere/mine/mine.cpp");
  for (const char* part : {R"(known.model_type = "bert")", R"(.id = "com.example.mine")", R"(.types = {"mine"})"})
    BOOST_TEST(contains(source, part), part);
  BOOST_TEST(!contains(source, "org.onnxport.bert"));
  // A maker of a template with several arguments is one all the same.
  BOOST_TEST(sandbox.run({"plugins", "new", "other", "--like", "electra"}).status == 0);
  BOOST_TEST(contains(sandbox.read("other/other.cpp"),
                      "return make_encoder_or_decoder<ElectraOnnxConfig, ElectraDecoder>(known);"));

  std::ifstream known(fs::path(ONNXPORT_PLUGIN_SOURCES) / "bert/cases/bert/BertModel/config.json");
  std::string config{std::istreambuf_iterator<char>(known), {}};
  config.replace(config.find("\"bert\""), 6, "\"own-bert\"");
  sandbox.write("config.json", config);
  const Outcome from = sandbox.run({"plugins", "new", "from", "--from", "config.json"});
  BOOST_TEST(from.status == 0, from.err);
  BOOST_TEST(contains(from.out, "the definition of bert, whose config has the most fields in common"), from.out);
  BOOST_TEST(contains(sandbox.read("from/from.cpp"), R"(.types = {"own-bert"})"));
}

BOOST_AUTO_TEST_CASE(a_project_that_cannot_be_made_is_refused) {
  const Sandbox sandbox;
  check_failure(sandbox, {"plugins", "new", "My Encoder"}, 2, {"'My Encoder' cannot be a plugin's name", "my-encoder"});
  check_failure(sandbox, {"plugins", "new", "mine", "--like", "bertt"}, 2, {"unknown model type 'bertt'", "bert"});
  check_failure(sandbox, {"plugins", "new", "mine", "--from", "nowhere.json"}, 3, {"nowhere.json"});
  sandbox.write("mine/note", "");
  check_failure(sandbox, {"plugins", "new", "mine"}, 2, {"mine is there already"});
}

BOOST_AUTO_TEST_CASE(the_recorder_is_one_file) {
  const Sandbox sandbox;
  const Outcome printed = sandbox.run({"record"});
  BOOST_TEST(printed.status == 0, printed.err);
  BOOST_TEST(printed.out.starts_with("#!/usr/bin/env python3\n"));
  for (const char* part : {"sys.modules[\"models\"]", "--model-class", "def main():"})
    BOOST_TEST(contains(printed.out, part));
  if (std::system("python3 -c pass >/dev/null 2>&1") != 0)
    return onnxport::test::not_run("there is no python3");  // NOLINT: no other threads
  sandbox.write("record.py", printed.out);
  const std::string compile = "python3 -m py_compile '" + (sandbox / "record.py").string() + "'";
  BOOST_TEST(std::system(compile.c_str()) == 0);  // NOLINT
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace author_test
