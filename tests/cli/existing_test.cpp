// SPDX-License-Identifier: Apache-2.0
// What an earlier run left: whether --skip-existing takes it for what it would write, and whose name a file may have.
#include <boost/test/unit_test.hpp>
#include <fstream>
#include <functional>

#include "command.hpp"

namespace existing_test {

using namespace cli;
using Json = nlohmann::json;

namespace {

Words exported(const Words& more) {
  Words words{"export", "-m", "bert", "--no-validate", "out"};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

/// Why it was exported again; empty where it was skipped.
std::string reason(const Sandbox& sandbox, const Words& more) {
  Words words = exported(more);
  words.insert(words.end(), {"--skip-existing", "--json"});
  const Outcome outcome = sandbox.run(words);
  BOOST_REQUIRE_MESSAGE(outcome.status == 0, outcome.out << outcome.err);
  const Json report = Json::parse(outcome.out);
  BOOST_TEST(fs::path(report.at("model_file").get<std::string>()).is_absolute());
  return report.at("skipped") == true ? std::string() : report.at("exported_because").get<std::string>();
}

struct Damage {
  const char* file;
  const char* what;
  std::function<void(const fs::path&)> make;
  const char* told;
  Words options{};
};

void remove(const fs::path& file) {
  fs::remove(file);
}
void empty(const fs::path& file) {
  std::ofstream(file, std::ios::trunc);
}
void cut(const fs::path& file) {
  fs::resize_file(file, fs::file_size(file) / 2);
}
void change(const fs::path& file) {
  std::fstream(file, std::ios::in | std::ios::out) << "#";
}

}  // namespace

BOOST_AUTO_TEST_SUITE(existing)

BOOST_AUTO_TEST_CASE(what_is_damaged_is_exported_again) {
  const Words apart{"--external-data"}, triton{"--layout", "triton"}, js{"--layout", "transformers.js"};
  const Damage damages[] = {
      {"model.onnx", "gone", remove, "it is not there"},
      {"model.onnx", "cut off", cut, "ends too early"},
      {"model.onnx", "empty", empty, "model.onnx"},
      {"config.json", "gone", remove, "config.json: it is not there as the checkpoint has it"},
      {"config.json", "empty", empty, "config.json: it is not there as the checkpoint has it"},
      {"config.json", "another", change, "config.json: it is not there as the checkpoint has it"},
      {"model.onnx_data", "gone", remove, "its weights in model.onnx_data are not there", apart},
      {"model.onnx_data", "cut off", cut, "its weights in model.onnx_data end at byte", apart},
      {"config.pbtxt", "gone", remove, "config.pbtxt: it is not there", triton},
      {"config.json", "gone", remove, "config.json: it is not there", js},
  };
  for (const Damage& damage : damages) {
    BOOST_TEST_CONTEXT(damage.file << " is " << damage.what) {
      const Sandbox sandbox;
      sandbox.checkpoint();
      BOOST_TEST(contains(reason(sandbox, damage.options), "is not there"));
      BOOST_TEST(reason(sandbox, damage.options).empty());
      damage.make(sandbox / "out" / damage.file);
      const std::string told = reason(sandbox, damage.options);
      BOOST_TEST(contains(told, damage.told), told);
      BOOST_TEST(reason(sandbox, damage.options).empty());
    }
  }
}

/// One folder for all leaves out what is of no use with a model, which is not missing then.
BOOST_AUTO_TEST_CASE(what_was_left_out_is_not_missing) {
  const Sandbox sandbox;
  sandbox.checkpoint();
  const Words all{"--layout", "all", "--feature", "masked-lm"};
  BOOST_TEST(!reason(sandbox, all).empty());
  BOOST_TEST(!fs::exists(sandbox / "out/genai_config.json"));
  BOOST_TEST(reason(sandbox, all).empty());
}

BOOST_AUTO_TEST_CASE(weights_lie_where_they_are_asked_for) {
  const Sandbox sandbox;
  sandbox.checkpoint();
  const std::pair<Words, const char*> steps[] = {{{}, "is not there"},
                                                 {{"--external-data"}, "its weights lie in the model's file"},
                                                 {{"--data-name", "w.bin"}, "its weights do not lie in w.bin"},
                                                 {{"--weights", "embed"}, "its weights lie beside it, in w.bin"},
                                                 {{"--external-data"}, "its weights lie in the model's file"},
                                                 {{}, "its weights lie beside it, in model.onnx_data"}};
  for (const auto& [options, told] : steps) {
    const std::string found = reason(sandbox, options);
    BOOST_TEST(contains(found, told), found);
    BOOST_TEST(reason(sandbox, options).empty());
  }
}

/// Weights of a few bytes stay inside in any case, which is no reason to write them again and again.
BOOST_AUTO_TEST_CASE(weights_that_are_too_small_to_lie_apart) {
  const Sandbox sandbox;
  sandbox.checkpoint("bert", R"({"hidden_size": 4, "num_attention_heads": 1, "intermediate_size": 4, "vocab_size": 5,
    "max_position_embeddings": 8})");
  BOOST_TEST(!reason(sandbox, {"--external-data"}).empty());
  BOOST_TEST(!fs::exists(sandbox / "out/model.onnx_data"));
  BOOST_TEST(reason(sandbox, {"--external-data"}).empty());
}

BOOST_AUTO_TEST_CASE(a_name_that_another_file_has) {
  const Sandbox sandbox;
  sandbox.checkpoint();
  check_failure(sandbox, exported({"--data-name", "config.json"}), 2, {"--data-name config.json", "another file"});
  check_failure(sandbox, exported({"--data-name", "README.md", "--model-card"}), 2, {"--data-name README.md"});
  check_failure(sandbox, exported({"--data-name", "model.onnx"}), 2, {"cannot lie in model.onnx", "--data-name"});
  BOOST_REQUIRE(sandbox.run(exported({"--data-name", "README.md", "--quiet"})).status == 0);
  check_failure(sandbox, {"unpack", "out", "apart", "--data-name", "model.onnx"}, 2, {"cannot lie in model.onnx"});
  // A file of the user's above the output, or anywhere.
  const std::string mine = (sandbox / "mine.txt").string();
  std::ofstream(mine) << "mine";
  for (const std::string& name : {std::string("../mine.txt"), mine, std::string(".."), std::string("below/mine.txt")}) {
    check_failure(sandbox, {"unpack", "out", "apart", "--data-name", name}, 2, {"is not the name of a file"});
    check_failure(sandbox, exported({"--data-name", name}), 2, {"is not the name of a file"});
  }
  BOOST_TEST(sandbox.read("mine.txt") == "mine");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace existing_test
