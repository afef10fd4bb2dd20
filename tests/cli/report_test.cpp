// SPDX-License-Identifier: Apache-2.0
// What the command says when it works: the report, --json, --quiet, pipes and terminals, and that it does what it says.
#include <sys/resource.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <chrono>
#include <nlohmann/json.hpp>

#include "command.hpp"
#include "tests/support/skips.hpp"

namespace report_test {

using namespace cli;
using Json = nlohmann::json;

namespace {

fs::path golden(const std::string& name) {
  return fs::path(ONNXPORT_PLUGIN_SOURCES) / "bert/cases/bert" / name;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(report)

BOOST_AUTO_TEST_CASE(an_export_says_what_it_did) {
  const Sandbox sandbox;
  sandbox.checkpoint();
  sandbox.write("bert/tokenizer_config.json", "{}");
  sandbox.write("bert/vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n");
  sandbox.write("bert/1_Pooling/config.json", "{}");
  sandbox.write("bert/README.md", "text");
  const Outcome outcome = sandbox.run({"export", "-m", "bert", "--no-validate", "out"});
  BOOST_TEST(outcome.status == 0, outcome.err);
  BOOST_TEST(outcome.err.empty());
  for (const char* part : {"feature: masked-lm (from architectures: BertForMaskedLM)", "opset 18", "nodes",
                           "model.onnx", "vocab.txt", "1_Pooling/config.json", "org.onnxport.bert", "not validated"}) {
    BOOST_TEST(contains(outcome.out, part), part << " in " << outcome.out);
  }
  BOOST_TEST(!contains(outcome.out, "README.md"));
  for (const char* name :
       {"model.onnx", "config.json", "tokenizer_config.json", "vocab.txt", "1_Pooling/config.json"}) {
    BOOST_TEST(fs::exists(sandbox / "out" / name), name);
  }
  // No escape codes where nobody looks.
  BOOST_TEST(!contains(outcome.out + outcome.err, "\033"));
  BOOST_TEST(!contains(outcome.out + outcome.err, "\r"));
}

BOOST_AUTO_TEST_CASE(a_terminal_gets_a_bar_that_goes_away) {
  const Sandbox sandbox;
  sandbox.checkpoint();
  Sandbox::Options options;
  options.terminal = true;
  const Outcome outcome = sandbox.run({"export", "-m", "bert", "--no-validate", "out"}, options);
  BOOST_TEST(outcome.status == 0);
  BOOST_TEST(contains(outcome.err, "\r"));
  BOOST_TEST(outcome.err.ends_with("\r\033[K"));
  BOOST_TEST(!contains(outcome.out, "\033"));
}

BOOST_AUTO_TEST_CASE(quiet_says_nothing_and_errors_are_still_told) {
  const Sandbox sandbox;
  sandbox.checkpoint();
  Sandbox::Options options;
  options.terminal = true;
  for (const bool terminal : {false, true}) {
    options.terminal = terminal;
    const Outcome outcome = sandbox.run({"export", "-m", "bert", "--no-validate", "--quiet", "out"}, options);
    BOOST_TEST(outcome.status == 0);
    BOOST_TEST(outcome.out.empty());
    BOOST_TEST(outcome.err.empty());
  }
  check_failure(sandbox, {"export", "-m", "nowhere", "-q", "out"}, 3, {"nowhere"});
}

BOOST_AUTO_TEST_CASE(json_is_one_object) {
  const Sandbox sandbox;
  sandbox.checkpoint();
  const Outcome outcome =
      sandbox.run({"export", "-m", "bert", "--no-validate", "--json", "--feature", "fill-mask", "out"});
  BOOST_TEST(outcome.status == 0);
  BOOST_TEST(outcome.err.empty());
  const Json json = parsed(outcome);
  BOOST_TEST(json.at("status") == "ok");
  BOOST_TEST(json.at("exit_status") == 0);
  BOOST_TEST(json.at("feature") == "masked-lm");
  BOOST_TEST(json.at("opset") == 18);
  BOOST_TEST(json.at("inputs") == Json({"input_ids", "attention_mask", "token_type_ids"}));
  BOOST_TEST(json.at("outputs") == Json({"logits"}));
  BOOST_TEST(json.at("validation").at("status") == "skipped");
  for (const Json& file : json.at("files"))
    BOOST_TEST(fs::file_size(file.at("path").get<std::string>()) == file.at("bytes").get<uint64_t>());
}

BOOST_AUTO_TEST_CASE(fields_that_nobody_read_are_noted_or_refused) {
  const Sandbox sandbox;
  sandbox.checkpoint("bert", R"({"acme_gate": true})");
  const Words words{"export", "-m", "bert", "--no-validate"};
  const auto with = [&](const Words& more) {
    Words all = words;
    all.insert(all.end(), more.begin(), more.end());
    return all;
  };
  const Outcome noted = sandbox.run(with({"a"}));
  BOOST_TEST(noted.status == 0);
  BOOST_TEST(contains(noted.out, "note: fields of config.json that nothing asked for: acme_gate"), noted.out);
  const Json json = parsed(sandbox.run(with({"b", "--quiet", "--json"})));
  BOOST_TEST(json.at("unread_config_fields") == Json({"acme_gate"}));
  BOOST_TEST(json.at("notes").dump().find("acme_gate") != std::string::npos);
  check_failure(sandbox, with({"c", "--strict-config"}), 3, {"acme_gate", "--no-strict-config"});

  // What an extension adds is strict unless told otherwise.
  sandbox.write(
      "plugins/ours/plugin.yaml",
      "id: com.acme.ours\nname: Ours\nversion: 1.0.0\nextends: org.onnxport.bert\nmodel_types: {ours: bert}\n");
  const std::string config = sandbox.read("bert/config.json");
  std::string ours = config;
  ours.replace(ours.find("\"bert\""), 6, "\"ours\"");
  sandbox.write("bert/config.json", ours);
  check_failure(sandbox, with({"d", "--plugin-dir", "plugins"}), 3, {"acme_gate", "--no-strict-config"});
  const Outcome loose = sandbox.run(with({"e", "--plugin-dir", "plugins", "--no-strict-config"}));
  BOOST_TEST(loose.status == 0, loose.err);
  BOOST_TEST(contains(loose.out, "acme_gate"));
}

BOOST_AUTO_TEST_CASE(json_for_every_kind_of_failure) {
  const Sandbox sandbox;
  sandbox.checkpoint();
  sandbox.write("file", "x");
  const struct {
    Words arguments;
    int status;
    const char* kind;
  } cases[] = {
      {{"export", "--json", "-m", "nowhere", "out"}, 3, "checkpoint"},
      {{"export", "--json", "-m", "bert", "--nonsense", "out"}, 2, "usage"},
      {{"nonsense", "--json"}, 2, "usage"},
      {{"export", "--json", "-m", "bert", "--no-validate", "file"}, 5, "output"},
  };
  for (const auto& [arguments, status, kind] : cases) {
    const Outcome outcome = sandbox.run(arguments);
    BOOST_TEST(outcome.status == status);
    BOOST_TEST(outcome.err.empty(), outcome.err);
    const Json json = parsed(outcome);
    BOOST_TEST(json.at("status") == "error");
    BOOST_TEST(json.at("exit_status") == status);
    BOOST_TEST(json.at("error").at("kind") == kind);
    BOOST_TEST(!json.at("error").at("message").get<std::string>().empty());
    BOOST_TEST(!json.at("error").at("hint").get<std::string>().empty());
  }
}

BOOST_AUTO_TEST_CASE(as_users_of_transformers_onnx_type_it) {
  const Sandbox sandbox;
  sandbox.checkpoint();
  const std::string direct = "direct/model.onnx";
  BOOST_TEST(sandbox.run({"export", "-m", "bert", "--no-validate", "--opset", "13", "direct"}).status == 0);
  const Words words[] = {
      {"--model=bert", "--feature=masked-lm", "--opset=13", "--framework=pt", "--cache_dir=/tmp", "--no-validate",
       "out"},
      {"out", "-m", "bert", "--feature", "masked-lm", "--opset", "13", "--no-validate"},
      {"--model", "bert", "--opset", "13", "--no-validate", "out"},
  };
  for (const Words& arguments : words) {
    const Outcome outcome = sandbox.run(arguments);
    BOOST_TEST(outcome.status == 0, outcome.err);
    BOOST_TEST((sandbox.read("out/model.onnx") == sandbox.read(direct)), "the same bytes");
    fs::remove_all(sandbox / "out");
  }
}

BOOST_AUTO_TEST_CASE(other_names_of_features) {
  const Sandbox sandbox;
  sandbox.checkpoint();
  for (const char* name : {"fill-mask", "feature-extraction", "text-generation"}) {
    BOOST_TEST(sandbox.run({"export", "-m", "bert", "--no-validate", "--feature", name, "out"}).status == 0, name);
  }
  const Outcome all = sandbox.run({"features"}), one = sandbox.run({"features", "bert"});
  BOOST_TEST(contains(all.out, "question-answering"));
  BOOST_TEST(contains(one.out, "fill-mask"));
  BOOST_TEST(parsed(sandbox.run({"features", "--json"})).at("model_types").at("bert").size() == 10u);
}

BOOST_AUTO_TEST_CASE(features_tells_known_gaps) {
  const Sandbox sandbox;
  const std::string plugins = fixture_plugins("c_linear").string();
  const Outcome told = sandbox.run({"features", "c-linear", "--plugin-dir", plugins});
  BOOST_TEST(contains(told.out, "known not to work:\n  bias=true: the matrix is all that it has\n"), told.out);
  for (const Words& words : {Words{"features", "c-linear"}, Words{"features"}}) {
    Words all = words;
    all.insert(all.end(), {"--json", "--plugin-dir", plugins});
    const auto gaps = parsed(sandbox.run(all)).at("known_gaps").at("c-linear");
    BOOST_TEST(gaps.size() == 1u);
    BOOST_TEST(gaps[0].at("option") == "bias=true");
    BOOST_TEST(gaps[0].at("reason") == "the matrix is all that it has");
  }
}

BOOST_AUTO_TEST_CASE(file_names_and_external_data) {
  const Sandbox sandbox;
  sandbox.checkpoint();
  BOOST_TEST(sandbox.run({"export", "-m", "bert", "--no-validate", "out/encoder.onnx"}).status == 0);
  BOOST_TEST((sandbox.tree().contains("out/encoder.onnx")));
  BOOST_TEST(!fs::exists(sandbox / "out/config.json"));
  const Outcome external = sandbox.run({"export", "-m", "bert", "--no-validate", "--external-data", "--json", "apart"});
  BOOST_TEST(parsed(external).at("files").size() == 3u);
  const Json seen = parsed(sandbox.run({"inspect", "apart/model.onnx", "--json"}));
  BOOST_TEST(seen.at("external_files").size() == 1u);
  BOOST_TEST(fs::exists(sandbox / "apart" / seen.at("external_files")[0].get<std::string>()));
}

BOOST_AUTO_TEST_CASE(inspect_shows_what_is_in_the_file) {
  const Sandbox sandbox;
  sandbox.checkpoint();
  BOOST_TEST(sandbox.run({"export", "-m", "bert", "--no-validate", "--opset", "17", "out"}).status == 0);
  const Outcome text = sandbox.run({"inspect", "out/model.onnx"});
  BOOST_TEST(text.status == 0);
  for (const char* part : {"ai.onnx 17", "i64[batch, sequence]", "f32[batch, sequence, 60]", "LayerNormalization",
                           "onnxport.feature = masked-lm"}) {
    BOOST_TEST(contains(text.out, part), part << " in " << text.out);
  }
  const Json json = parsed(sandbox.run({"inspect", "out", "--json"}));
  BOOST_TEST(json.at("opset_import").at("ai.onnx") == 17);
  uint64_t bytes = 0;
  for (const auto& [type, sum] : json.at("initializers").items()) bytes += sum.at("bytes").get<uint64_t>();
  BOOST_TEST(bytes < fs::file_size(sandbox / "out/model.onnx"));
  BOOST_TEST(bytes > 20'000u);
}

BOOST_AUTO_TEST_CASE(validation_is_on_by_default, *boost::unit_test::precondition(reference_built)) {
  const Sandbox sandbox;
  sandbox.checkpoint();
  const Outcome outcome = sandbox.run({"export", "-m", "bert", "--json", "out"});
  BOOST_TEST(outcome.status == 0, outcome.out);
  const Json validation = parsed(outcome).at("validation");
  BOOST_TEST(validation.at("status") == "passed");
  BOOST_TEST(validation.at("checker") == true);
  BOOST_TEST(validation.at("runs").size() == 3u);
  BOOST_TEST(contains(validation.at("runs")[1].at("label").get<std::string>(), "padded"));
  BOOST_TEST(sandbox.run({"validate", "out", "-m", "bert"}).status == 0);

  // A tolerance that no float arithmetic meets: the difference is an error, and the files are there to be looked at.
  const Outcome strict = sandbox.run({"export", "-m", "bert", "--atol", "1e-15", "strict"});
  BOOST_TEST(strict.status == 1);
  BOOST_TEST(contains(strict.out, "DIFFERS"));
  BOOST_TEST(contains(strict.out, "first step that departs"));
  BOOST_TEST(contains(strict.err, "above the tolerance"));
  BOOST_TEST(fs::exists(sandbox / "strict/model.onnx"));
  BOOST_TEST(sandbox.run({"validate", "out", "-m", "bert", "--atol", "1e-15"}).status == 1);
}

BOOST_AUTO_TEST_CASE(another_checkpoint_of_the_same_type_does_not_validate,
                     *boost::unit_test::precondition(reference_built)) {
  const Sandbox sandbox;
  sandbox.checkpoint();
  sandbox.write("other.json", tiny_config());
  BOOST_TEST(sandbox.run({"synth", "other.json", "other", "--seed", "5"}).status == 0);
  BOOST_TEST(sandbox.run({"export", "-m", "bert", "--no-validate", "out"}).status == 0);
  BOOST_TEST(sandbox.run({"validate", "out", "-m", "other"}).status == 1);
}

BOOST_AUTO_TEST_CASE(recorded_outputs_are_compared) {
  const Sandbox sandbox;
  const std::string model = golden("BertModel").string();
  BOOST_TEST(sandbox.run({"export", "-m", model, "--no-validate", "out"}).status == 0);
  const Outcome outcome = sandbox.run({"validate", "out", "--case", model + "/case-default-0.safetensors", "--case",
                                       model + "/case-default-1.safetensors", "--json"});
  BOOST_TEST(outcome.status == 0, outcome.out);
  BOOST_TEST(parsed(outcome).at("validation").at("runs").size() == 2u);
  BOOST_TEST(
      sandbox.run({"validate", "out/model.onnx", "--atol", "1e-12", "--case", model + "/case-default-0.safetensors"})
          .status == 1);
}

/// A file that counts positions along the mask is no failure of the model where a padded recording counts otherwise.
BOOST_AUTO_TEST_CASE(a_recording_that_counts_positions_otherwise_is_told) {
  const fs::path folder = fs::path(ONNXPORT_PLUGIN_SOURCES) / "gpt2/cases/gpt2/GPT2Model";
  const Sandbox sandbox;
  const auto compared = [&](const std::string& positions) {
    BOOST_TEST(sandbox
                   .run({"export", "-m", folder.string(), "--feature", "default-with-past", "--no-validate",
                         "--position-ids", positions, positions})
                   .status == 0);
    return sandbox.run({"validate", positions, "--case", (folder / "case-default-with-past-1.safetensors").string()});
  };
  BOOST_TEST(compared("sequence").status == 0);
  const Outcome differs = compared("mask");
  BOOST_TEST(differs.status == 1);
  BOOST_TEST(differs.err.find("--position-ids sequence") != std::string::npos, differs.err);
}

BOOST_AUTO_TEST_CASE(what_a_decoder_counts_is_in_the_metadata) {
  const fs::path folder = fs::path(ONNXPORT_PLUGIN_SOURCES) / "gpt2/cases/gpt2/GPT2Model";
  const Sandbox sandbox;
  for (const auto& [feature, counted] : {std::pair{"causal-lm-with-past", "mask"}, std::pair{"default", "sequence"}}) {
    BOOST_TEST(sandbox.run({"export", "-m", folder.string(), "--feature", feature, "--no-validate", feature}).status ==
               0);
    const Outcome outcome = sandbox.run({"inspect", std::string(feature) + "/model.onnx", "--json"});
    BOOST_TEST(parsed(outcome).at("metadata").at("onnxport.position_ids") == counted);
  }
}

/// As exports wrote it before they stated what they count.
BOOST_AUTO_TEST_CASE(a_file_that_does_not_say_what_it_counts_counts_in_sequence,
                     *boost::unit_test::precondition(reference_built)) {
  const fs::path folder = fs::path(ONNXPORT_PLUGIN_SOURCES) / "gpt2/cases/gpt2/GPT2Model";
  const Sandbox sandbox;
  BOOST_TEST(sandbox
                 .run({"export", "-m", folder.string(), "--feature", "causal-lm-with-past", "--no-validate",
                       "--position-ids", "sequence", "out"})
                 .status == 0);
  std::string file = sandbox.read("out/model.onnx");
  const std::string key = "onnxport.position_ids";
  const size_t at = file.find(key);
  BOOST_REQUIRE(at != std::string::npos);
  sandbox.write("out/model.onnx", file.replace(at, key.size(), "onnxport.another_name"));
  const Outcome outcome = sandbox.run({"validate", "out", "-m", folder.string()});
  BOOST_TEST(outcome.status == 0, outcome.out);
}

BOOST_AUTO_TEST_CASE(too_little_memory_is_told_before_the_work, *boost::unit_test::precondition(reference_built)) {
#if defined(__SANITIZE_ADDRESS__)
  onnxport::test::not_run("the sanitizer itself takes more memory than the limit");
#else
  const Sandbox sandbox;
  sandbox.checkpoint();
  Sandbox::Options options;
  options.in_child = [] {
    const rlimit limit{300'000'000, 300'000'000};
    ::setrlimit(RLIMIT_AS, &limit);
  };
  check_failure(sandbox, {"export", "-m", "bert", "out"}, 2, {"of memory", "--no-validate", "MB"}, options);
  BOOST_TEST(sandbox.run({"export", "-m", "bert", "--no-validate", "out"}, options).status == 0);
  // A limit on data starves the BLAS of the reference, which would ask for ever.
  options.in_child = [] {
    const rlimit limit{200'000'000, 200'000'000};
    ::setrlimit(RLIMIT_DATA, &limit);
  };
  check_failure(sandbox, {"export", "-m", "bert", "out"}, 2, {"the limit on data (ulimit -d) leaves"}, options);
#endif
}

BOOST_AUTO_TEST_CASE(too_few_threads_are_told_before_the_work, *boost::unit_test::precondition(reference_built)) {
  const Sandbox sandbox;
  sandbox.checkpoint();
  fs::permissions(sandbox.path(), fs::perms::all);
  Sandbox::Options options;
  // A limit on processes does not hold for root; the user that is taken has no others.
  options.in_child = [] {
    constexpr uid_t nobody_else = 54321;
    const rlimit limit{3, 3};
    if (::geteuid() == 0 && ::setuid(nobody_else) != 0) ::_exit(1);
    ::setrlimit(RLIMIT_NPROC, &limit);
  };
  check_failure(sandbox, {"export", "-m", "bert", "out"}, 2,
                {"threads", "ulimit -u is 3", "allow more processes and threads", "--no-validate"}, options);
  const Outcome outcome = sandbox.run({"export", "-m", "bert", "--no-validate", "out"}, options);
  BOOST_TEST(outcome.status == 0, outcome.err);
}

BOOST_AUTO_TEST_CASE(synth_is_the_same_every_time) {
  const Sandbox sandbox;
  sandbox.checkpoint("a");
  sandbox.checkpoint("b");
  BOOST_TEST((sandbox.read("a/model.safetensors") == sandbox.read("b/model.safetensors")));
  sandbox.write("c.json", tiny_config());
  BOOST_TEST(sandbox.run({"synth", "c.json", "c", "--seed", "1"}).status == 0);
  BOOST_TEST((sandbox.read("a/model.safetensors") != sandbox.read("c/model.safetensors")));
}

BOOST_AUTO_TEST_CASE(a_deep_convolutional_model_is_drawn_by_the_newest_form) {
  const Sandbox sandbox;
  sandbox.write("resnet.json",
                R"({"model_type": "resnet", "architectures": ["ResNetForImageClassification"], "embedding_size": 16,
                    "hidden_sizes": [64, 128, 256, 512], "depths": [3, 4, 24, 3]})");
  const auto drawn = [&](const Words& options, const std::string& to) {
    Words words{"synth", "resnet.json", to, "--json"};
    words.insert(words.end(), options.begin(), options.end());
    const Outcome made = sandbox.run(words);
    BOOST_REQUIRE_MESSAGE(made.status == 0, made.err);
    return Json::parse(made.out).at("form").get<int>();
  };
  BOOST_TEST(drawn({}, "newest") == 3);
  BOOST_TEST(drawn({"--form", "2"}, "second") == 2);
  BOOST_TEST(drawn({"--form", "1"}, "first") == 1);
  BOOST_TEST((sandbox.read("newest/model.safetensors") == sandbox.read("second/model.safetensors")));
  BOOST_TEST((sandbox.read("newest/model.safetensors") != sandbox.read("first/model.safetensors")));
  check_failure(sandbox, {"synth", "resnet.json", "fourth", "--form", "4"}, 2, {"--form"});
  if (!has_reference()) return onnxport::test::not_run("the reference back end is not built");
  const Outcome exported = sandbox.run({"export", "-m", "newest", "out"});
  BOOST_TEST(exported.status == 0, exported.err);
  const Outcome overflows = sandbox.run({"export", "-m", "first", "other"});
  BOOST_TEST(overflows.status == 1);
  BOOST_TEST(contains(overflows.err, "NaN or infinite"), overflows.err);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace report_test
