// SPDX-License-Identifier: Apache-2.0
// Plugins that are refused or fail: status 4, naming the plugin.
#include <boost/test/unit_test.hpp>

#include "command.hpp"

namespace plugin_test {

using namespace cli;

namespace {

Words with_plugin(const fs::path& plugins) {
  return {"export", "-m", "model", "--no-validate", "--plugin-dir", plugins.string(), "out"};
}

void model_of(const Sandbox& sandbox, const std::string& type, const std::string& weights = "{}") {
  sandbox.write("model/config.json", R"({"model_type": ")" + type + R"(", "architectures": ["TheModel"], "size": 4})");
  sandbox.write_safetensors("model/model.safetensors", weights, weights == "{}" ? 0 : 64);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(plugins)

BOOST_AUTO_TEST_CASE(another_abi_is_refused_with_both_values) {
  const Sandbox sandbox;
  model_of(sandbox, "misfit");
  check_failure(sandbox, with_plugin(fixture_plugins("major")), 4, {"fixture_major", "found 2", "expected 1"});
  check_failure(sandbox, with_plugin(fixture_plugins("minor")), 4, {"fixture_minor", "found 99"});
  check_failure(sandbox, with_plugin(fixture_plugins("vendor")), 4, {"fixture_vendor", "elsewhere"});
  check_failure(sandbox, with_plugin(fixture_plugins("no_symbol")), 4, {"onnxport_plugin_entry"});
  check_failure(sandbox, with_plugin(fixture_plugins("lies")), 4, {"9.9.9"});
}

BOOST_AUTO_TEST_CASE(what_is_no_plugin_is_told_by_its_own_name) {
  const Sandbox sandbox;
  const fs::path back_ends = fs::path(ONNXPORT_BUILD_DIR) / "lib/onnxport/backends";
  const fs::path runtime = back_ends / "libonnxport_onnxruntime.so";
  const auto check = [](const fs::path& what) { return Words{"plugins", "check", what.string()}; };
  check_failure(sandbox, check(runtime), 2, {runtime.string() + " is a back end, and no plugin"});
  check_failure(sandbox, check(back_ends), 2, {back_ends.string() + " holds back ends, and no plugins"});
  sandbox.write("alone/notes.txt", "none");
  check_failure(sandbox, check("alone/notes.txt"), 4, {"alone/notes.txt is no library of a plugin"});
  // Of two libraries that lie about, the one that was named.
  for (const char* name : {"a", "b"}) fs::copy_file(runtime, sandbox / ("alone/lib" + std::string(name) + ".so"));
  check_failure(sandbox, check("alone/libb.so"), 4, {"libb.so: found a library outside a plugin's folder"});
}

BOOST_AUTO_TEST_CASE(a_changed_or_broken_library_is_refused) {
  const Sandbox sandbox;
  model_of(sandbox, "c-linear");
  check_failure(sandbox, with_plugin(fixture_plugins("wrong_sha256")), 4, {"sha256"});
  check_failure(sandbox, with_plugin(fixture_plugins("corrupt")), 4, {"libonnxport_fixture_c_linear.so"});
}

BOOST_AUTO_TEST_CASE(a_missing_library_is_told) {
  const Sandbox sandbox;
  model_of(sandbox, "lost");
  sandbox.write("plugins/lost/plugin.yaml",
                "id: org.test.lost\nname: Lost\nversion: 1.0.0\nlicense: Apache-2.0\nvendor: test\nmodels:\n  - types: "
                "[lost]\n    features: [default]\n"
                "manifest: 1\nabi: \"1.0\"\nplatform: linux-x86_64\nlibrary: libonnxport_lost.so\n");
  check_failure(sandbox, with_plugin("plugins"), 4, {"libonnxport_lost.so"});
}

BOOST_AUTO_TEST_CASE(a_plugin_that_fails_names_the_place) {
  const Sandbox sandbox;
  model_of(sandbox, "misfit");
  // A config that a plugin refuses, or an option of it that it does not implement, is the checkpoint's matter.
  check_failure(sandbox, with_plugin(fixture_plugins("error_in_create")), 3,
                {"org.onnxport.test.misfit", "refuses every config"});
  check_failure(sandbox, with_plugin(fixture_plugins("error_in_forward")), 3,
                {"org.onnxport.test.misfit", "layer.3.attention"});
}

BOOST_AUTO_TEST_CASE(a_feature_that_is_listed_and_not_defined_is_told) {
  const Sandbox sandbox;
  model_of(sandbox, "headless");
  Words asked = with_plugin(fixture_plugins("headless"));
  asked.insert(asked.end(), {"--feature", "masked-lm"});
  const Words told{"org.onnxport.test.headless", "has no head for the feature 'masked-lm'"};
  check_failure(sandbox, asked, 4, told);
  check_failure(sandbox, {"plugins", "check", fixture_plugins("headless").string()}, 4, told);
  // And of none of ours.
  for (const auto& plugin : fs::directory_iterator(fs::path(ONNXPORT_BUILD_DIR) / "lib/onnxport/plugins"))
    BOOST_TEST(sandbox.run({"plugins", "check", plugin.path().string()}).status == 0, plugin.path());
}

BOOST_AUTO_TEST_CASE(a_definition_that_asks_for_what_is_not_there_is_told_what) {
  const Sandbox sandbox;
  model_of(sandbox, "asks-for-input");
  check_failure(sandbox, with_plugin(fixture_plugins("mistaken")), 4,
                {"org.onnxport.test.mistaken", "the graph has no input 'inputs_ids'; inputs() lists: input_ids"});
  model_of(sandbox, "asks-for-entry");
  check_failure(sandbox, with_plugin(fixture_plugins("mistaken")), 4,
                {"org.onnxport.test.mistaken", "a list or map was asked for an entry that it does not have"});
  model_of(sandbox, "adds-nothing");
  check_failure(sandbox, with_plugin(fixture_plugins("mistaken")), 4, {"an absent value is used", "(at mistaken.cpp:"});
  model_of(sandbox, "returns-another");
  check_failure(sandbox, with_plugin(fixture_plugins("mistaken")), 4,
                {"the output 'last_hidden_state' and defines none of that name; it defines hidden_state"});
  model_of(sandbox, "asks-for-no-name");
  check_failure(sandbox, with_plugin(fixture_plugins("mistaken")), 4,
                {"the tensor 'words.' is asked for without a name of its own (at mistaken.cpp:"});
  model_of(sandbox, "asks-for-two-shapes");
  check_failure(sandbox, with_plugin(fixture_plugins("mistaken")), 4,
                {"'words.weight' is asked for as [50, 4] and was as [50, 8] before", "(at mistaken.cpp:"});
}

BOOST_AUTO_TEST_CASE(what_does_not_fit_is_told_with_the_line_of_the_source) {
  const Sandbox sandbox;
  const std::string words = R"({"words.weight": {"dtype": "F32", "shape": [4, 4], "data_offsets": [0, 64]}})";
  model_of(sandbox, "adds-a-wider-one", words);
  check_failure(sandbox, with_plugin(fixture_plugins("mistaken")), 4,
                {"org.onnxport.test.mistaken", "Add", "4, 4", "3", "(at mistaken.cpp:2"});
}

BOOST_AUTO_TEST_CASE(a_plugin_that_throws_is_caught) {
  const Sandbox sandbox;
  for (const char* type : {"throws-in-create", "throws-in-describe", "throws-in-forward"}) {
    model_of(sandbox, type);
    check_failure(sandbox, with_plugin(fixture_plugins("throws")), 4, {"org.onnxport.test.throws"});
  }
  model_of(sandbox, "throws-in-create");
  check_failure(sandbox, with_plugin(fixture_plugins("throws_in_entry")), 4, {"fixture_throws_in_entry"});
  check_failure(sandbox, with_plugin(fixture_plugins("throws_in_interface")), 4, {"throws"});
}

BOOST_AUTO_TEST_CASE(a_broken_plugin_stops_no_other) {
  const Sandbox sandbox;
  sandbox.checkpoint();
  sandbox.write("plugins/broken/plugin.yaml", "id: [");
  const Outcome exported = sandbox.run({"export", "-m", "bert", "--no-validate", "--plugin-dir", "plugins", "out"});
  BOOST_TEST(exported.status == 0, exported.err);
  const Outcome list = sandbox.run({"plugins", "list", "--plugin-dir", "plugins"});
  BOOST_TEST(list.status == 0);
  for (const char* part : {"broken", "org.onnxport.bert", "usable", "--plugin-dir", "install"})
    BOOST_TEST(contains(list.out, part), part << " in " << list.out);
}

BOOST_AUTO_TEST_CASE(a_plugin_of_another_author_works_as_well) {
  const Sandbox sandbox;
  model_of(sandbox, "c-linear", R"({"linear.weight":{"dtype":"F32","shape":[4,4],"data_offsets":[0,64]}})");
  const Outcome exported = sandbox.run(with_plugin(fixture_plugins("c_linear")));
  BOOST_TEST(exported.status == 0, exported.err);
  BOOST_TEST(fs::exists(sandbox / "out/model.onnx"));
}

BOOST_AUTO_TEST_CASE(a_type_of_one_feature_needs_no_architectures) {
  const Sandbox sandbox;
  model_of(sandbox, "c-linear", R"({"linear.weight":{"dtype":"F32","shape":[4,4],"data_offsets":[0,64]}})");
  sandbox.write("model/config.json", R"({"model_type": "c-linear", "size": 4})");
  const Outcome exported = sandbox.run(with_plugin(fixture_plugins("c_linear")));
  BOOST_TEST(exported.status == 0, exported.err);
  BOOST_TEST(contains(exported.out, "feature: default (from the only one of 'c-linear')"), exported.out);
}

BOOST_AUTO_TEST_CASE(plugins_of_earlier_abis_export_and_validate, *boost::unit_test::precondition(reference_built)) {
  struct Row {
    const char *kind, *type, *weights;
  };
  const Row rows[] = {
      {"frozen_1_0", "frozen-1-0", R"({"linear.weight":{"dtype":"F32","shape":[4,4],"data_offsets":[0,64]}})"},
      {"frozen_1_1", "frozen-1-1", R"({"table.weight":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}})"},
      {"frozen_1_2", "frozen-1-2", R"({"table.weight":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}})"},
      {"frozen_1_3", "frozen-1-3", R"({"table.weight":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}})"}};
  for (const auto& [kind, type, weights] : rows) {
    const Sandbox sandbox;
    model_of(sandbox, type);
    sandbox.write_safetensors("model/model.safetensors", weights, std::string(kind) == "frozen_1_0" ? 64 : 16);
    const Outcome exported =
        sandbox.run({"export", "-m", "model", "--plugin-dir", fixture_plugins(kind).string(), "out"});
    BOOST_TEST(exported.status == 0, exported.err);
    // Since 1.2 they say how long their texts are.
    const bool says = std::string(kind) >= "frozen_1_2";
    BOOST_TEST(contains(exported.out, says ? "places 6" : "batch 3, sequence 11, padded"), exported.out);
  }
  const Sandbox sandbox;
  model_of(sandbox, "frozen-1-1");
  sandbox.write_safetensors("model/model.safetensors", rows[1].weights, 16);
  const Outcome split = sandbox.run(
      {"export", "-m", "model", "--layout", "split", "--plugin-dir", fixture_plugins("frozen_1_1").string(), "out"});
  BOOST_TEST(split.status == 0, split.err);
  BOOST_TEST(fs::exists(sandbox / "out/whole_model.onnx"));
}

BOOST_AUTO_TEST_CASE(an_encoder_may_see_or_hear, *boost::unit_test::precondition(reference_built)) {
  const std::string plugins = fixture_plugins("encoders").string();
  for (const char* type : {"sees", "hears"}) {
    const Sandbox sandbox;
    sandbox.write("config.json", R"({"model_type": ")" + std::string(type) +
                                     R"(", "architectures": ["TheForConditionalGeneration"], "image_size": 16, )" +
                                     R"("num_channels": 3})");
    // The cached step has no encoder, and the checkpoint holds the encoder's weights even so.
    const Outcome made =
        sandbox.run({"synth", "config.json", "model", "--plugin-dir", plugins, "--feature", "seq2seq-lm-with-past"});
    BOOST_TEST(made.status == 0, made.err);
    for (const char* layout : {"single", "split", "merged"}) {
      const Outcome exported = sandbox.run({"export", "-m", "model", "--plugin-dir", plugins, "--feature",
                                            "seq2seq-lm-with-past", "--layout", layout, layout});
      BOOST_TEST(exported.status == 0, type << ", " << layout << ": " << exported.err);
      BOOST_TEST(contains(exported.out, "3 tokens after 4, cached"), exported.out);
    }
  }
}

// What is heard may become fewer places, in the encoder or where a step reads its mask.
BOOST_AUTO_TEST_CASE(a_cached_step_is_compared_where_a_result_is_shorter,
                     *boost::unit_test::precondition(reference_built)) {
  const std::pair<const char*, const char*> models[] = {{"speech_to_text", "Speech2TextForConditionalGeneration"},
                                                        {"speecht5", "SpeechT5ForSpeechToText"}};
  const std::string feature = "speech2seq-lm-with-past";
  for (const auto& [type, name] : models) {
    const Sandbox sandbox;
    const fs::path config = fs::path(ONNXPORT_PLUGIN_SOURCES) / type / "cases" / type / name / "config.json";
    const Outcome made = sandbox.run({"synth", config.string(), "model", "--feature", feature});
    BOOST_TEST(made.status == 0, made.err);
    const Outcome exported = sandbox.run({"export", "-m", "model", "--feature", feature, "out"});
    BOOST_TEST(exported.status == 0, type << ": " << exported.out << exported.err);
    BOOST_TEST(contains(exported.out, "3 tokens after 4, cached"), exported.out);
  }
}

BOOST_AUTO_TEST_CASE(check_loads_and_reports) {
  const Sandbox sandbox;
  const Outcome good = sandbox.run({"plugins", "check", (fixture_plugins("c_linear") / "fixture_c_linear").string()});
  BOOST_TEST(good.status == 0, good.err);
  for (const char* part : {"c-linear", "sha256", "ABI"}) BOOST_TEST(contains(good.out, part));
  check_failure(sandbox, {"plugins", "check", (fixture_plugins("major") / "fixture_major").string()}, 4, {"2"});
  fs::create_directory(sandbox / "empty");
  check_failure(sandbox, {"plugins", "check", "empty"}, 4, {"no plugin"});
  check_failure(sandbox, {"plugins", "check", "nowhere"}, 2, {"nowhere"});
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace plugin_test
