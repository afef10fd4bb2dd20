// SPDX-License-Identifier: Apache-2.0
// What is asked for in a way that has no meaning: status 2.
#include <boost/test/unit_test.hpp>

#include "command.hpp"

namespace usage_test {

using namespace cli;

BOOST_AUTO_TEST_SUITE(usage)

BOOST_AUTO_TEST_CASE(options_that_do_not_exist_or_do_not_fit) {
  const Sandbox sandbox;
  sandbox.checkpoint();
  const struct {
    Words arguments;
    Words parts;
  } cases[] = {
      {{"export", "-m", "bert", "--opst", "17", "out"}, {"--opst", "did you mean --opset"}},
      {{"export", "-m", "bert", "--nonsense", "out"}, {"no option --nonsense", "--help"}},
      {{"plugins"}, {"subcommand"}},
      {{"export", "-m", "bert"}, {"OUTPUT is required"}},
      {{"export", "out"}, {"--model is required"}},
      {{"export", "-m", "bert", "out", "more"}, {"'more'"}},
      {{"export", "-m", "bert", "--no-validate", ""}, {"output's name is empty"}},
      {{"export", "-m", "bert", "--opset", "many", "out"}, {"--opset", "many"}},
      {{"export", "-m", "bert", "--opset", "12", "out"}, {"opset 12", "13 to 24"}},
      {{"export", "-m", "bert", "--opset", "25", "out"}, {"opset 25", "13 to 24"}},
      {{"export", "-m", "bert", "--atol", "0", "out"}, {"--atol 0"}},
      {{"export", "-m", "bert", "--atol", "nan", "out"}, {"--atol"}},
      {{"export", "-m", "bert", "--no-validate", "--atol", "1e-4", "out"}, {"--atol", "--no-validate"}},
      {{"export", "-m", "bert", "--no-validate", "--preprocessor", "auto", "out"}, {"--preprocessor", "--no-validate"}},
      {{"export", "-m", "bert", "--external-data", "--weights", "embed", "out"}, {"--external-data", "embed"}},
      {{"export", "-m", "bert", "--target", "ort", "out"}, {"--target ort", "--target onnx"}},
      {{"export", "-m", "bert", "--target", "tpu", "out"}, {"tpu"}},
      {{"export", "-m", "bert", "--no-validate", "--layout", "split", "out"}, {"--layout split", "single"}},
      {{"export", "-m", "bert", "--dtype", "int4", "out"}, {"int4"}},
      {{"export", "-m", "bert", "--no-validate", "--outputs", "nose", "out"}, {"'nose'", "hidden_states"}},
      {{"export", "-m", "bert", "--plugin", "org.nobody", "out"}, {"org.nobody", "plugins list"}},
      {{"export", "-m", "bert", "--plugin-dir", "nowhere", "out"}, {"nowhere"}},
      {{"export", "-m", "bert", "--feature", "masked-ml", "out"}, {"masked-ml", "masked-lm", "question-answering"}},
      {{"features", "brt"}, {"'brt'", "bert"}},
      {{"validate", "bert"}, {"-m DIR", "--case"}},
      {{"validate", "bert", "--case", "x", "--validate", "quick"}, {"--case alone has none"}},
      {{"export", "-m", "bert", "--case", "x", "--no-validate", "out"}, {"--case has no meaning with --no-validate"}},
  };
  for (const auto& [arguments, parts] : cases) check_failure(sandbox, arguments, 2, parts);
}

/// The wrong word is named, and the command that it may have been meant to be.
BOOST_AUTO_TEST_CASE(sizes_of_memory) {
  const Sandbox sandbox;
  sandbox.checkpoint();
  for (const char* size : {"-5MB", "0", "99999999999999999999GB", "MB", "5 apples", "5i", "1e3MB"})
    check_failure(sandbox, {"export", "-m", "bert", "--dry-run", "--max-memory", size, "out"}, 2,
                  {std::string("'") + size + "' is no size", "500MB"});
  for (const char* size : {"900MB", "1.5GB", "2 GiB", "4g", "1000000000"}) {
    const Outcome outcome = sandbox.run({"export", "-m", "bert", "--dry-run", "--max-memory", size, "out"});
    BOOST_TEST(outcome.status == 0, size << outcome.err);
  }
}

BOOST_AUTO_TEST_CASE(a_folder_of_several_exports_is_none) {
  const Sandbox sandbox;
  sandbox.checkpoint();
  for (const char* output : {"out/a", "out/b"})
    BOOST_REQUIRE(sandbox.run({"export", "-m", "bert", "--no-validate", output}).status == 0);
  check_failure(sandbox, {"validate", "out", "-m", "bert"}, 2, {"out holds no model", "a, b"});
}

BOOST_AUTO_TEST_CASE(commands_that_are_misspelt_or_misplaced) {
  const Sandbox sandbox;
  sandbox.checkpoint();
  const struct {
    Words arguments;
    Words parts;
  } cases[] = {
      {{"exprot"}, {"'onnxport exprot'", "did you mean `onnxport export`"}},
      {{"exprot", "-m"}, {"'onnxport exprot'", "did you mean `onnxport export`"}},
      {{"exprot", "-m", "bert", "out"}, {"'onnxport exprot'", "did you mean `onnxport export`"}},
      {{"Export", "-m", "bert", "out"}, {"'onnxport Export'", "did you mean `onnxport export`"}},
      {{"-m", "bert", "exprot", "out"}, {"'onnxport exprot'", "did you mean `onnxport export`"}},
      {{"validat", "out", "-m", "bert"}, {"did you mean `onnxport validate`"}},
      {{"validat", "-m", "bert"}, {"'onnxport validat'", "did you mean `onnxport validate`", "write ./validat"}},
      {{"exp", "-m", "bert", "out"}, {"'onnxport exp'", "`onnxport export`", "`onnxport explain`"}},
      {{"help", "exprot"}, {"did you mean `onnxport export`"}},
      {{"exprot", "--help"}, {"did you mean `onnxport export`"}},
      {{"plugins", "lst"}, {"'onnxport plugins lst'", "did you mean `onnxport plugins list`"}},
      {{"plugins", "lst", "--help"}, {"did you mean `onnxport plugins list`"}},
      {{"plugin", "list"}, {"'onnxport plugin'", "did you mean `onnxport plugins`"}},
      {{"list"}, {"did you mean `onnxport plugins list`"}},
      {{"wobble"}, {"there is no command 'onnxport wobble'", "--help"}},
      {{"-m", "bert", "export", "out"}, {"'export' stands behind '-m'", "`onnxport export -m bert out`"}},
      {{"--quiet", "features", "bert"}, {"'features' stands behind '--quiet'", "`onnxport features --quiet bert`"}},
      {{"--model=bert", "one", "two"}, {"takes one output", "'one' and 'two'"}},
      {{"--feature", "default", "bert", "out"}, {"takes one output", "'bert' and 'out'"}},
      {{"export", "bert", "out"}, {"'out'", "did you mean `onnxport export -m bert out`"}},
  };
  for (const auto& [arguments, parts] : cases) check_failure(sandbox, arguments, 2, parts);
}

/// As of transformers.onnx, a word is the output's folder, also one that looks like a command where it is there or is
/// written as a path.
BOOST_AUTO_TEST_CASE(a_folder_may_be_named_like_a_command) {
  const Sandbox sandbox;
  sandbox.checkpoint();
  BOOST_TEST(sandbox.run({"./exports", "-m", "bert", "--no-validate"}).status == 0);
  BOOST_TEST(fs::exists(sandbox / "exports/model.onnx"));
  BOOST_TEST(sandbox.run({"exports", "-m", "bert", "--no-validate"}).status == 0);
}

BOOST_AUTO_TEST_CASE(flags_of_transformers_onnx) {
  const Sandbox sandbox;
  sandbox.checkpoint();
  check_failure(sandbox, {"--model=bert", "--feature=masked-lm", "--framework", "tf", "out"}, 2,
                {"--framework tf", "PyTorch"});
  check_failure(sandbox, {"--model=bert", "--framework", "jax", "out"}, 2, {"jax", "{pt,tf}"});
  check_failure(sandbox, {"--model=bert", "--featur=x", "out"}, 2, {"--featur", "did you mean --feature"});
  check_failure(sandbox, {"--model=bert"}, 2, {"OUTPUT is required"});
}

BOOST_AUTO_TEST_CASE(without_arguments_there_is_help) {
  const Sandbox sandbox;
  const Outcome none = sandbox.run({});
  BOOST_TEST(none.status == 2);
  BOOST_TEST(contains(none.out, "onnxport export -m"));
}

BOOST_AUTO_TEST_CASE(help_and_version) {
  const Sandbox sandbox;
  for (const Words& words : {Words{"--help"},
                             {"help"},
                             {"export", "--help"},
                             {"help", "export"},
                             {"validate", "--help"},
                             {"features", "--help"},
                             {"inspect", "--help"},
                             {"plugins", "list", "--help"},
                             {"synth", "--help"},
                             {"--model=x", "--help"}}) {
    const Outcome help = sandbox.run(words);
    BOOST_TEST(help.status == 0);
    BOOST_TEST(contains(help.out, "Usage: "));
    BOOST_TEST(help.err.empty());
  }
  BOOST_TEST(contains(sandbox.run({"export", "--help"}).out, "Examples:"));
  const Outcome version = sandbox.run({"--version"});
  BOOST_TEST(version.status == 0);
  BOOST_TEST(contains(version.out, "ABI 1."));
  BOOST_TEST(contains(version.out, "opsets 13 to 24"));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace usage_test
