// SPDX-License-Identifier: Apache-2.0
#include "registry/registry.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

#include "core/error.hpp"
#include "registry/features_manager.hpp"
#include "registry/recognised.hpp"
#include "tests/support/plugins_in.hpp"
#include "tests/support/refused.hpp"
#include "tests/support/temporary_folder.hpp"

namespace registry_test {

namespace {

using namespace onnxport;
using Path = std::filesystem::path;

using test::Caught;
using test::caught;
using test::plugins_in;
using Folder = test::TemporaryFolder;

struct Variable {
  const char* name;
  std::optional<std::string> before;
  Variable(const char* variable, const std::string& value) : name(variable) {
    if (const char* old = std::getenv(variable)) before = old;
    ::setenv(variable, value.c_str(), 1);
  }
  ~Variable() {
    if (before) {
      ::setenv(name, before->c_str(), 1);
    } else {
      ::unsetenv(name);
    }
  }
};

/// Writes a built plugin whose library is no library: discovery does not open it.
Path plugin(const Path& place, const std::string& name, const std::string& types, const std::string& id = {},
            const std::string& more = {}) {
  const Path folder = place / name;
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "lib.so") << "not opened";
  std::ofstream(folder / "plugin.yaml") << "id: " << (id.empty() ? "org.example." + name : id) << "\nname: " << name
                                        << "\nversion: 0.1.0\nlicense: MIT\nvendor: example\nmodels:\n  - types: ["
                                        << types << "]\n    features: [default, causal-lm, causal-lm-with-past]\n"
                                        << (more.empty()
                                                ? "abi: \"1.0\"\nplatform: " + std::string(host_platform()) + "\n"
                                                : more)
                                        << "manifest: 1\nlibrary: lib.so\n";
  return folder / "plugin.yaml";
}

void extension(const Path& place, const std::string& name, const std::string& rest) {
  std::filesystem::create_directories(place / name);
  std::ofstream(place / name / "plugin.yaml") << "id: org.example." << name << "\nname: " << name << "\nversion: 1\n"
                                              << rest;
}

onnxport_host this_host() {
  onnxport_host host{};
  host.struct_size = sizeof host;
  host.abi_major = ONNXPORT_ABI_MAJOR;
  host.abi_minor = ONNXPORT_ABI_MINOR;
  return host;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(discovery)

BOOST_AUTO_TEST_CASE(a_config_without_a_type_is_told_by_its_fields) {
  const Folder place;
  const std::string rest = "abi: \"1.0\"\nplatform: " + std::string(host_platform()) + "\n";
  plugin(place.path, "toy", "toy", {}, rest + "recognised_by: {toy: {fields: [a, b], feature: causal-lm}}\n");
  plugin(place.path, "wide", "wide", {}, rest + "recognised_by: {wide: {fields: [a]}}\n");
  plugin(place.path, "rival", "rival", {}, rest + "recognised_by: {rival: {fields: [c, a]}}\n");
  const Registry registry = plugins_in({place.path});
  const auto type_of = [&](const char* config) {
    const auto found = recognise(registry, Json::parse(config));
    return found ? found->type + " " + found->feature : "none";
  };
  BOOST_TEST(type_of(R"({"a": 1, "b": null, "d": 2})") == "toy causal-lm");
  BOOST_TEST(type_of(R"({"a": 1})") == "wide ");
  BOOST_TEST(type_of(R"({"b": 1})") == "none");
  BOOST_TEST(type_of("[]") == "none");
  const Caught both = caught([&] { recognise(registry, Json::parse(R"({"a": 1, "b": 1, "c": 1})")); });
  BOOST_TEST((both.failure == Failure::checkpoint));
  CHECK_HAS(both.text, "'toy'");
  CHECK_HAS(both.text, "'rival'");
}

BOOST_AUTO_TEST_CASE(finds_by_any_spelling) {
  const Folder place;
  plugin(place.path, "toy", "toy_2, other");
  const Registry registry = plugins_in({place.path});
  BOOST_TEST(registry.model_types() == (std::vector<std::string>{"other", "toy_2"}), boost::test_tools::per_element());
  BOOST_TEST(registry.resolve("TOY-2").model_type == "toy_2");
  BOOST_TEST(registry.find("toy_2").place == "--plugin-dir");
  BOOST_TEST(to_string(registry.find("toy_2").state) == "usable");
}

BOOST_AUTO_TEST_CASE(a_plugin_folder_is_a_place_too) {
  const Folder place;
  plugin(place.path, "toy", "toy");
  BOOST_TEST(plugins_in({place.path / "toy"}).find("toy").manifest.id == "org.example.toy");
}

BOOST_AUTO_TEST_CASE(an_earlier_place_wins) {
  const Folder first, second;
  plugin(first.path, "toy", "toy", "org.first.toy");
  plugin(second.path, "toy", "toy", "org.second.toy");
  plugin(second.path, "more", "toy, more", "org.second.more");
  const Registry registry = plugins_in({first.path, second.path});
  BOOST_TEST(registry.find("toy").manifest.id == "org.first.toy");
  BOOST_TEST(registry.find("more").manifest.id == "org.second.more");
  BOOST_TEST(registry.find("toy", "org.second.toy").manifest.id == "org.second.toy");
  for (const Candidate& candidate : registry.candidates()) {
    if (candidate.manifest.id != "org.second.toy") continue;
    BOOST_TEST((candidate.state == CandidateState::shadowed));
    CHECK_HAS(candidate.reason, "toy: shadowed by org.first.toy 0.1.0 (--plugin-dir, ");
  }
}

BOOST_AUTO_TEST_CASE(the_same_folder_twice_is_one) {
  const Folder place;
  plugin(place.path, "toy", "toy");
  BOOST_TEST(plugins_in({place.path, place.path / "toy/.."}).candidates().size() == 1u);
}

BOOST_AUTO_TEST_CASE(two_in_one_place_conflict) {
  const Folder place;
  plugin(place.path, "a", "toy, only-a");
  plugin(place.path, "b", "toy");
  const Registry registry = plugins_in({place.path});
  const Caught failure = caught([&] { registry.find("toy"); });
  BOOST_TEST((failure.failure == Failure::plugin));
  CHECK_HAS(failure.text, "2 plugins of the same place offer the model type 'toy'");
  CHECK_HAS(failure.text, "org.example.a");
  CHECK_HAS(failure.text, "org.example.b");
  CHECK_HAS(failure.hint, "--plugin org.example.a");
  BOOST_TEST(registry.find("toy", "org.example.b").manifest.name == "b");
  BOOST_TEST(registry.find("only-a").manifest.name == "a");
  BOOST_TEST((registry.candidates()[0].state == CandidateState::conflicting));
}

BOOST_AUTO_TEST_CASE(unknown_types_and_plugins) {
  const Folder place;
  plugin(place.path, "a", "mountain, valley");
  const Registry registry = plugins_in({place.path});
  Caught failure = caught([&] { registry.find("montain"); });
  BOOST_TEST((failure.failure == Failure::usage));
  BOOST_TEST(failure.text == "unknown model type 'montain'; the nearest known: mountain");
  BOOST_TEST(failure.hint == "`onnxport features` lists the 2 known model types");
  failure = caught([&] { registry.find("zzzz"); });
  BOOST_TEST(failure.text == "unknown model type 'zzzz'");
  failure = caught([&] { registry.find("valley", "org.example.b"); });
  BOOST_TEST(failure.text == "unknown plugin 'org.example.b'; the nearest known: org.example.a");
  failure = caught([&] { registry.find("sea", "org.example.a"); });
  BOOST_TEST(failure.text ==
             "the plugin 'org.example.a' does not offer the model type 'sea'; it offers mountain, valley");
}

BOOST_AUTO_TEST_CASE(nothing_installed) {
  const Folder place;
  const Caught failure = caught([&] { plugins_in({place.path}).find("toy"); });
  BOOST_TEST((failure.failure == Failure::usage));
  CHECK_HAS(failure.text, "no usable plugin was found in\n  " + place.path.string() + " (--plugin-dir)");
  CHECK_HAS(failure.text, "/nonexistent (install, no such folder)");
}

BOOST_AUTO_TEST_CASE(a_missing_plugin_dir_is_an_error) {
  const Caught failure = caught([&] { plugins_in({"/nonexistent/plugins"}); });
  BOOST_TEST((failure.failure == Failure::usage));
  BOOST_TEST(failure.text == "--plugin-dir /nonexistent/plugins: no such folder");
}

BOOST_AUTO_TEST_CASE(one_broken_plugin_stops_no_other) {
  const Folder place;
  plugin(place.path, "good", "toy");
  std::filesystem::create_directories(place.path / "bad");
  std::ofstream(place.path / "bad/plugin.yaml") << "id: [";
  plugin(place.path, "gone", "gone");
  std::filesystem::remove(place.path / "gone/lib.so");
  std::filesystem::create_directories(place.path / "unlisted");
  std::ofstream(place.path / "unlisted/libx.so") << "";
  std::ofstream(place.path / "loose.so") << "";
  std::filesystem::create_directories(place.path / "unrelated");
  std::filesystem::create_directories(place.path / "source");
  std::ofstream(place.path / "source/plugin.yaml") << "id: a.b\nname: n\nversion: 1\nlicense: MIT\nvendor: "
                                                      "v\nmodels: [{types: [source], features: [default]}]\n";
  const Registry registry = plugins_in({place.path});
  BOOST_TEST(registry.find("toy").manifest.name == "good");
  BOOST_TEST(registry.candidates().size() == 6u);
  CHECK_HAS(caught([&] { registry.find("gone"); }).text,
            "lib.so: not found; expected the library that the manifest beside it names");
  CHECK_HAS(caught([&] { registry.find("source"); }).text, "found the manifest's source form");
  // Nothing but the folder's name tells what the unreadable one was for.
  const Caught failure = caught([&] { registry.find("bad"); });
  BOOST_TEST((failure.failure == Failure::plugin));
  CHECK_HAS(failure.text, "bad/plugin.yaml:1: not valid YAML");
  CHECK_HAS(caught([&] { registry.find("unlisted"); }).text, "plugin.yaml: not found; expected beside libx.so");
  CHECK_HAS(caught([&] { registry.find("nope"); }).hint,
            "some plugins cannot be used, `onnxport plugins list` says why");
}

BOOST_AUTO_TEST_CASE(a_refused_plugin_is_passed_over_but_not_in_silence) {
  const Folder first, second;
  const Path manifest = plugin(first.path, "toy", "toy", "org.first.toy");
  plugin(second.path, "toy", "toy", "org.second.toy");
  ::chmod((first.path / "toy/lib.so").c_str(), 0666);
  const Registry registry = plugins_in({first.path, second.path});
  BOOST_TEST(registry.find("toy").manifest.id == "org.second.toy");
  BOOST_REQUIRE_EQUAL(registry.passed_over("toy").size(), 1u);
  const Candidate& refused = *registry.passed_over("toy")[0];
  BOOST_TEST((refused.state == CandidateState::refused));
  CHECK_HAS(refused.reason, "lib.so: found mode 0666, writable by everybody");
  const Caught failure = caught([&] { registry.find("toy", "org.first.toy"); });
  BOOST_TEST((failure.failure == Failure::plugin));
  CHECK_HAS(failure.text, "refused: ");
  const onnxport_host host = this_host();
  CHECK_HAS(caught([&] { load(refused, host); }).text, "the plugin is refused: ");
}

BOOST_AUTO_TEST_CASE(world_writable_folders_and_manifests) {
  const Folder place;
  plugin(place.path, "a", "a");
  ::chmod((place.path / "a").c_str(), 0777);
  const Path manifest = plugin(place.path, "b", "b");
  ::chmod(manifest.c_str(), 0666);
  const Registry registry = plugins_in({place.path});
  for (const Candidate& candidate : registry.candidates()) BOOST_TEST((candidate.state == CandidateState::refused));
}

BOOST_AUTO_TEST_CASE(other_abis_and_platforms) {
  const Folder place;
  plugin(place.path, "major", "major", {}, "abi: \"2.0\"\nplatform: " + std::string(host_platform()) + "\n");
  plugin(place.path, "minor", "minor", {}, "abi: \"1.99\"\nplatform: " + std::string(host_platform()) + "\n");
  plugin(place.path, "platform", "platform", {}, "abi: \"1.0\"\nplatform: plan9-vax\n");
  const Registry registry = plugins_in({place.path});
  CHECK_HAS(caught([&] { registry.find("major"); }).text, "found a plugin for ABI 2.0, expected 1.0 to 1.");
  CHECK_HAS(caught([&] { registry.find("minor"); }).text, "found a plugin for ABI 1.99");
  CHECK_HAS(caught([&] { registry.find("platform"); }).text, "found a plugin for plan9-vax, expected ");
}

BOOST_AUTO_TEST_CASE(places_of_the_environment) {
  const Folder work;
  plugin(work.path / "variable", "toy", "toy", "org.variable.toy");
  plugin(work.path / "data/onnxport/plugins", "toy", "toy, mine", "org.user.toy");
  plugin(work.path / "install", "toy", "toy, mine, built-in", "org.install.toy");
  const Variable path("ONNXPORT_PLUGIN_PATH", (work.path / "none").string() + "::" + (work.path / "variable").string());
  const Variable data("XDG_DATA_HOME", (work.path / "data").string());
  const Variable config("XDG_CONFIG_HOME", (work.path / "config").string());
  SearchOptions options;
  options.install_dir = work.path / "install";
  const Registry registry = Registry::discover(options);
  BOOST_TEST(registry.find("toy").place == "ONNXPORT_PLUGIN_PATH");
  BOOST_TEST(registry.find("mine").place == "user");
  BOOST_TEST(registry.find("built-in").place == "install");
  BOOST_REQUIRE_EQUAL(registry.notes().size(), 1u);
  BOOST_TEST(registry.notes()[0] ==
             "ONNXPORT_PLUGIN_PATH names " + (work.path / "none").string() + ", which is no folder");

  options.builtin_only = true;
  BOOST_TEST(Registry::discover(options).find("toy").place == "install");
  options.builtin_only = false;
  options.environment = false;
  BOOST_TEST(Registry::discover(options).find("toy").place == "install");

  // The user's policy is found in the same way, and one that cannot be read is not passed over.
  options.environment = true;
  std::filesystem::create_directories(work.path / "config/onnxport");
  std::ofstream(work.path / "config/onnxport/trust.yaml")
      << "require: known-directory\ndirectories: [" << (work.path / "install").string() << "]\n";
  const Registry trusted = Registry::discover(options);
  BOOST_TEST(trusted.find("toy").place == "install");
  BOOST_TEST(trusted.passed_over("toy").size() == 2u);
  std::ofstream(work.path / "config/onnxport/trust.yaml") << "require: [";
  BOOST_TEST((caught([&] { Registry::discover(options); }).failure == Failure::plugin));
}

BOOST_AUTO_TEST_CASE(extensions) {
  const Folder place;
  plugin(place.path, "toy", "toy_2");
  extension(place.path, "alias",
            "extends: org.example.toy\nmodel_types: {my-toy: TOY-2}\nweight_names: [{from: a., to: b.}]\n");
  extension(place.path, "lost", "extends: org.example.nobody\nmodel_types: {lost: toy}\n");
  extension(place.path, "twice", "extends: org.example.alias\nmodel_types: {twice: my-toy}\n");
  extension(place.path, "wrong", "extends: org.example.toy\nmodel_types: {wrong: toy_3}\n");
  const Registry registry = plugins_in({place.path});
  const Resolved resolved = registry.resolve("my_toy");
  BOOST_TEST(resolved.model_type == "toy_2");
  BOOST_TEST(resolved.model->features.size() == 3u);
  BOOST_TEST(resolved.candidate->manifest.id == "org.example.alias");
  BOOST_TEST(resolved.candidate->with_library().manifest.id == "org.example.toy");
  BOOST_TEST(resolved.candidate->manifest.weight_names[0].to.at(0).text() == "b.");
  CHECK_HAS(caught([&] { registry.find("lost"); }).text,
            "it extends 'org.example.nobody', which is not among the plugins found");
  extension(place.path, "misspelt", "extends: org.exmaple.toy\nmodel_types: {misspelt: toy_2}\n");
  const Registry with_misspelt = plugins_in({place.path});
  CHECK_HAS(caught([&] { with_misspelt.find("misspelt"); }).text,
            "not among the plugins found; the nearest known: org.example.toy");
  CHECK_HAS(caught([&] { registry.find("twice"); }).text, "which is an extension itself");
  CHECK_HAS(caught([&] { registry.find("wrong"); }).text,
            "its type 'wrong' stands for 'toy_3', which 'org.example.toy' does not offer; it offers toy_2");
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(features_manager)

BOOST_AUTO_TEST_CASE(supported_features) {
  const Folder place;
  plugin(place.path, "toy", "toy_2");
  const Registry registry = plugins_in({place.path});
  const FeaturesManager features(registry);
  BOOST_TEST(features.supported_model_types().size() == 1u);
  BOOST_TEST(features.get_supported_features_for_model_type("toy-2") ==
                 (std::vector<std::string>{"default", "causal-lm", "causal-lm-with-past"}),
             boost::test_tools::per_element());
  const FeaturesManager::Supported supported =
      features.check_supported_model_or_raise("toy-2", "text-generation-with-past");
  BOOST_TEST(supported.feature == "causal-lm-with-past");
  BOOST_TEST(supported.model_type == "toy_2");
  BOOST_TEST(features.check_supported_model_or_raise("toy-2").feature == "default");
  const Caught failure = caught([&] { features.check_supported_model_or_raise("toy_2", "fill-mask"); });
  BOOST_TEST((failure.failure == Failure::usage));
  BOOST_TEST(failure.text == "the feature 'fill-mask' is not supported for the model type 'toy_2' by org.example.toy");
  BOOST_TEST(failure.hint == "supported are default, causal-lm, causal-lm-with-past");
}

BOOST_AUTO_TEST_CASE(names_of_features) {
  BOOST_TEST(FeaturesManager::canonical_feature("feature-extraction") == "default");
  BOOST_TEST(FeaturesManager::canonical_feature("text2text-generation-with-past") == "seq2seq-lm-with-past");
  for (const char* name : {"text-classification", "text-ranking", "reranking"})
    BOOST_TEST(FeaturesManager::canonical_feature(name) == "sequence-classification");
  BOOST_TEST(FeaturesManager::canonical_feature("masked-lm") == "masked-lm");
  BOOST_TEST(FeaturesManager::canonical_feature("of-a-plugin") == "of-a-plugin");
  BOOST_TEST(FeaturesManager::canonical_feature("automatic-speech-recognition") == "speech2seq-lm");
  BOOST_TEST(FeaturesManager::canonical_feature("automatic-speech-recognition", {"default", "ctc"}) == "ctc");
  BOOST_TEST(FeaturesManager::canonical_feature("fill-mask", {"fill-mask"}) == "fill-mask");
  BOOST_TEST(FeaturesManager::canonical_feature("image-text-to-text-with-past") == "vision2seq-lm-with-past");
  BOOST_TEST(FeaturesManager::canonical_feature("text-to-speech") == "text-to-audio");
  BOOST_TEST(FeaturesManager::get_model_class_for_feature("masked-lm") == "AutoModelForMaskedLM");
  BOOST_TEST(FeaturesManager::get_model_class_for_feature("seq2seq-lm-with-past") == "AutoModelForSeq2SeqLM");
  BOOST_TEST(FeaturesManager::get_model_class_for_feature("feature-extraction") == "AutoModel");
  BOOST_TEST((caught([] { FeaturesManager::get_model_class_for_feature("none"); }).failure == Failure::usage));
  BOOST_TEST(
      FeaturesManager::aliases_of("causal-lm-with-past") == (std::vector<std::string>{"text-generation-with-past"}),
      boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(features_of_architectures) {
  const Manifest::Model model{
      {"toy"}, {"default", "vision2seq-lm", "masked-lm"}, {{"ToyForPreTraining", "masked-lm"}}, {}};
  const auto feature = [&](const char* name) {
    return FeaturesManager::feature_from_architecture(model, name).value_or("none");
  };
  BOOST_TEST(feature("ToyForPreTraining") == "masked-lm");
  BOOST_TEST(feature("ToyForMaskedLM") == "masked-lm");
  BOOST_TEST(feature("ToyLMHeadModel") == "causal-lm");
  BOOST_TEST(feature("ToyForImageSuperResolution") == "image-to-image");
  BOOST_TEST(feature("ToyForPoseEstimation") == "keypoint-detection");
  BOOST_TEST(feature("ToyBackbone") == "backbone");
  BOOST_TEST(feature("ToyForImageMatting") == "image-matting");
  BOOST_TEST(feature("ToyWithLMHeadModel") == "none");
  BOOST_TEST(feature("ToyDoubleHeadsModel") == "double-heads");
  BOOST_TEST(feature("ToyManyHeadsModel") == "none");
  BOOST_TEST(feature("ToyMTModel") == "seq2seq-lm");
  BOOST_TEST(feature("ToyForConditionalGeneration") == "vision2seq-lm");
  BOOST_TEST(feature("ToyForQuestionAnsweringSimple") == "question-answering");
  BOOST_TEST(feature("ToyModel") == "default");
  BOOST_TEST(feature("ToyForSomethingElse") == "none");
  BOOST_TEST(feature("ToyForGuardModel") == "none");  // no base model, though it is called so
  BOOST_TEST(feature("ToyFormerModel") == "default");
  Candidate candidate;
  candidate.manifest.models = {model};
  BOOST_TEST(FeaturesManager::feature_from_architecture(candidate, "ToyForPreTraining").value() == "masked-lm");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace registry_test
