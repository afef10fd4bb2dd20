// SPDX-License-Identifier: Apache-2.0
// Files whose words are meant for a terminal: whatever they say, nothing that a terminal obeys is printed.
#include <boost/test/unit_test.hpp>
#include <nlohmann/json.hpp>

#include "command.hpp"
#include "core/printable.hpp"
#include "tests/support/torch_writer.hpp"

namespace hostile_test {

using namespace cli;
using namespace onnxport;
using Json = nlohmann::json;

namespace {

/// Retitles, colours, goes back to the line's begin, forges a line, turns the direction.
const std::string hostile = "x\x1b]0;title\x07\x1b[31m\rdone:\nonnxport: error: forged\u202e\u009b2J";
/// The same as JSON and YAML write it in quotes.
const std::string hostile_json = R"(x\u001b]0;title\u0007\u001b[31m\rdone:\nonnxport: error: forged\u202e\u009b2J)";
/// Bytes that are no UTF-8, one of them a control character of 8 bits.
const std::string broken = "y\xff\x9bm";

void check_harmless(const std::string& text) {
  BOOST_TEST(text == printable_lines(text), "a terminal would obey: " << printable(text));
  BOOST_TEST(!contains(text, "\nonnxport: error: forged"));
}

/// Runs the command in both forms, on a terminal as well; yields what it said in words.
std::string said(const Sandbox& sandbox, const Words& arguments) {
  const Outcome text = sandbox.run(arguments);
  BOOST_TEST(text.status != 70);
  check_harmless(text.out);
  check_harmless(text.err);
  Words as_json = arguments;
  as_json.emplace_back("--json");
  const Outcome object = sandbox.run(as_json);
  BOOST_TEST(Json::accept(object.out), object.out);
  BOOST_TEST(object.out == printable_lines(object.out));
  BOOST_TEST(object.err.empty());
  BOOST_TEST(object.status == text.status);
  return text.out + text.err;
}

/// Checks that the words are there, spelt out.
void check_spelt(const std::string& text, const std::string& spelt = R"(x\x1b]0;title\x07\x1b[31m\rdone:)") {
  BOOST_TEST(contains(text, spelt), "not spelt out: " << text);
}

Words exported(const std::string& model) {
  return {"export", "-m", model, "--no-validate", "out"};
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  BOOST_REQUIRE(from.size() == to.size());
  const size_t at = text.find(from);
  BOOST_REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(hostile_words)

BOOST_AUTO_TEST_CASE(names_of_tensors_in_safetensors) {
  const Sandbox sandbox;
  sandbox.write("model/config.json", tiny_config());
  const auto header = [&](const std::string& name) {
    sandbox.write_safetensors("model/model.safetensors",
                              "{\"" + name + R"(":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}})", 16);
  };
  header(hostile_json);
  const std::string text = said(sandbox, exported("model"));
  check_spelt(text);
  BOOST_TEST(contains(text, R"(done:\nonnxport: error: forged\u202e\u009b2J)"));
  header(broken);
  said(sandbox, exported("model"));
  sandbox.write_safetensors("model/model.safetensors",
                            R"({"a":{"shape":[4],"data_offsets":[0,16],"dtype":")" + hostile_json + R"("}})", 16);
  check_spelt(said(sandbox, exported("model")));
}

BOOST_AUTO_TEST_CASE(names_of_tensors_in_torch_files) {
  const Sandbox sandbox;
  sandbox.write("model/config.json", tiny_config());
  using namespace torch_writer;
  for (const std::string& name : {hostile, broken}) {
    sandbox.write("model/pytorch_model.bin", archive(dict(torch_writer::text(name) + tensor({}))));
    const std::string told = said(sandbox, exported("model"));
    check_spelt(told, name == broken ? "pytorch_model.bin" : R"(\x1b]0;title)");
  }
  sandbox.write("model/pytorch_model.bin", archive(global(hostile, "evil")));
  said(sandbox, exported("model"));
  sandbox.write("model/pytorch_model.bin", hostile);
  said(sandbox, exported("model"));
}

BOOST_AUTO_TEST_CASE(fields_of_a_config) {
  const Sandbox sandbox;
  sandbox.checkpoint();
  for (const char* field : {"model_type", "hidden_act", "position_embedding_type"}) {
    sandbox.write("bert/config.json", tiny_config("{\"" + std::string(field) + "\": \"" + hostile_json + "\"}"));
    check_spelt(said(sandbox, exported("bert")), "title");
  }
  sandbox.write("bert/config.json", tiny_config(R"({"architectures": [")" + hostile_json + R"("]})"));
  check_spelt(said(sandbox, exported("bert")));
  sandbox.write("bert/config.json", "{\"model_type\": \"" + broken + "\"}");
  said(sandbox, exported("bert"));
  sandbox.write("bert/config.json", "{" + hostile);
  said(sandbox, exported("bert"));
}

BOOST_AUTO_TEST_CASE(the_index_of_shards) {
  const Sandbox sandbox;
  sandbox.write("model/config.json", tiny_config());
  for (const std::string& shard : {hostile_json, R"(../)" + hostile_json, broken}) {
    sandbox.write("model/model.safetensors.index.json",
                  R"({"weight_map": {")" + hostile_json + R"(": ")" + shard + "\"}}");
    said(sandbox, exported("model"));
  }
}

BOOST_AUTO_TEST_CASE(a_model_that_is_inspected) {
  const Sandbox sandbox;
  sandbox.checkpoint();
  BOOST_REQUIRE(sandbox.run(exported("bert")).status == 0);
  const std::string whole = sandbox.read("out/model.onnx");
  sandbox.write("a.onnx", replaced(whole, "onnxport.model_type", "onnxport.\x1b[31m\r\u202e."));
  check_spelt(said(sandbox, {"inspect", "a.onnx"}), R"(onnxport.\x1b[31m\r\u202e.)");
  // Every name of the graph's inputs, so that those of nodes stay the same as those of the graph.
  std::string graph = whole;
  for (size_t at = graph.find("input_ids"); at != std::string::npos; at = graph.find("input_ids", at))
    graph.replace(at, 9, "in\x1b[31m\x9bs");
  sandbox.write("b.onnx", graph);
  check_spelt(said(sandbox, {"inspect", "b.onnx"}), R"(in\x1b[31m\x9bs)");
}

BOOST_AUTO_TEST_CASE(manifests_of_plugins) {
  const Sandbox sandbox;
  sandbox.checkpoint();
  const auto manifest = [](const std::string& name, const std::string& feature) {
    return "id: org.test.lost\nname: \"" + name + "\"\nversion: 1.0.0\nlicense: Apache-2.0\nvendor: \"" + name +
           "\"\nmodels:\n  - types: [lost]\n    features: [\"" + feature +
           "\"]\nmanifest: 1\nabi: \"1.0\"\nplatform: linux-x86_64\nlibrary: libonnxport_lost.so\n";
  };
  for (const std::string& name : {hostile_json, std::string("\\u202e\\u009b2J"), broken}) {
    for (const std::string& text : {manifest(name, "default"), manifest("Lost", name), "\"" + name + "\": 1\n"}) {
      sandbox.write("plugins/lost/plugin.yaml", text);
      said(sandbox, {"plugins", "list", "--plugin-dir", "plugins"});
      said(sandbox, {"features", "--plugin-dir", "plugins"});
      said(sandbox, {"features", "lost", "--plugin-dir", "plugins"});
      said(sandbox, {"plugins", "check", "plugins/lost"});
    }
  }
}

BOOST_AUTO_TEST_CASE(words_of_the_command_line) {
  const Sandbox sandbox;
  sandbox.checkpoint();
  check_spelt(said(sandbox, exported(hostile)));
  check_spelt(said(sandbox, {"export", "-m", "bert", "--feature", hostile, "out"}));
  check_spelt(said(sandbox, {hostile}));
  check_spelt(said(sandbox, {"inspect", broken}), R"(y\xff\x9bm)");
  check_spelt(said(sandbox, {"export", "-m", "bert", "--no-validate", "folder" + broken}), R"(foldery\xff\x9bm)");
}

/// The bar is drawn with control characters of the program's own; no file's are among them.
BOOST_AUTO_TEST_CASE(a_bar_on_a_terminal) {
  const Sandbox sandbox;
  sandbox.checkpoint("bert\x1b[31m");
  Sandbox::Options options;
  options.terminal = true;
  const Outcome outcome = sandbox.run(exported("bert\x1b[31m"), options);
  BOOST_TEST(outcome.status == 0);
  BOOST_TEST(!contains(outcome.out + outcome.err, "\x1b[31m"));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace hostile_test
