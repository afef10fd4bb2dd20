// SPDX-License-Identifier: Apache-2.0
#include "registry/manifest.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "core/error.hpp"
#include "registry/recognised.hpp"
#include "registry/trust.hpp"
#include "tests/support/temporary_folder.hpp"

namespace manifest_test {

namespace {

using onnxport::Error;
using onnxport::Failure;
using onnxport::Manifest;

const std::string source =
    "id: org.example.toy\n"                                      // 1
    "name: Toy\n"                                                // 2
    "version: 0.1.0\n"                                           // 3
    "license: Apache-2.0\n"                                      // 4
    "vendor: example\n"                                          // 5
    "models:\n"                                                  // 6
    "  - types: [toy, toy_2]\n"                                  // 7
    "    features: [default, causal-lm, causal-lm-with-past]\n"  // 8
    "    architectures: {ToyForAll: causal-lm}\n";               // 9

const std::string with_gaps = source +
                              "    known_gaps:\n"                                                 // 10
                              "      - {feature: default, option: deep=true, reason: not yet}\n"  // 11
                              "      - {architecture: ToyForNone, reason: \"no such head\"}\n";   // 12

const std::string built = source +
                          "manifest: 1\nabi: \"1.0\"\nplatform: linux-x86_64\nlibrary: libonnxport_toy.so\n"
                          "sha256: " +
                          std::string(64, 'a') + "\n";

const std::string extension =
    "id: org.example.alias\nname: Alias\nversion: 1\nextends: org.example.toy\nmodel_types: {my-toy: toy}\n"
    "weight_names: [{from: \"transformer.\", to: \"toy.\"}, {from: old, to: \"\"}]\n";

Manifest parse(const std::string& text) {
  Manifest manifest;
  parse_manifest(text, "dir/plugin.yaml", manifest);
  return manifest;
}

std::string replaced(std::string text, const std::string& what, const std::string& by) {
  const size_t at = text.find(what);
  BOOST_REQUIRE_MESSAGE(at != std::string::npos, what);
  return text.replace(at, what.size(), by);
}

/// The message of the error, which must be of the kind that plugins cause and have a next step.
template <class Function>
std::string message_of(Function function) {
  try {
    function();
  } catch (const Error& error) {
    BOOST_TEST((error.failure() == Failure::plugin));
    BOOST_TEST(!error.hint().empty());
    return error.what();
  }
  BOOST_ERROR("nothing was thrown");
  return {};
}

void refused(const std::string& text, const std::string& message) {
  BOOST_TEST(message_of([&] { parse(text); }) == message);
}

using Folder = onnxport::test::TemporaryFolder;

}  // namespace

namespace {

onnxport::Subject in_folder(const std::filesystem::path& folder) {
  return {.what = "plugin", .folder = folder, .file = folder / "lib.so"};
}
onnxport::Subject with_sum(const std::string& sum) {
  return {.what = "plugin", .file = "lib.so", .sha256 = sum};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(manifest)

BOOST_AUTO_TEST_CASE(source_form) {
  const Manifest manifest = parse(source);
  BOOST_TEST(manifest.id == "org.example.toy");
  BOOST_TEST(manifest.version == "0.1.0");
  BOOST_TEST(manifest.format == 0);
  BOOST_TEST(manifest.abi_major == 1u);
  BOOST_TEST(manifest.models.size() == 1u);
  BOOST_TEST(manifest.models[0].types.size() == 2u);
  BOOST_TEST(manifest.models[0].features.back() == "causal-lm-with-past");
  BOOST_TEST(manifest.models[0].architectures[0].first == "ToyForAll");
  BOOST_TEST(manifest.model("TOY-2") == &manifest.models[0]);
  BOOST_TEST(manifest.model("other") == nullptr);
}

BOOST_AUTO_TEST_CASE(built_form) {
  const Manifest manifest = parse(built);
  BOOST_TEST(manifest.format == 1);
  BOOST_TEST(manifest.platform == "linux-x86_64");
  BOOST_TEST(manifest.library == "libonnxport_toy.so");
  BOOST_TEST(manifest.sha256 == std::string(64, 'a'));
  BOOST_TEST(parse(replaced(built, "\"1.0\"", "2.13")).abi_minor == 13u);
  BOOST_TEST(parse(replaced(built, "sha256: " + std::string(64, 'a') + "\n", "")).sha256.empty());
}

BOOST_AUTO_TEST_CASE(known_gaps) {
  const std::vector<Manifest::KnownGap> gaps = parse(with_gaps).models[0].known_gaps;
  BOOST_REQUIRE_EQUAL(gaps.size(), 2u);
  BOOST_TEST((gaps[0] == Manifest::KnownGap{"", "default", "deep=true", "not yet"}));
  BOOST_TEST((gaps[1] == Manifest::KnownGap{"ToyForNone", "", "", "no such head"}));
  BOOST_TEST(gaps[0].what() == "default, deep=true");
  BOOST_TEST(parse(source).models[0].known_gaps.empty());
  const std::string at = "dir/plugin.yaml:";
  refused(source + "    known_gaps: none\n", at +
                                                 "10: 'known_gaps' must be a list of {architecture, feature or option: "
                                                 "…, reason: …}");
  refused(replaced(with_gaps, ", reason: not yet", ""), at + "11: 'reason' is missing in an entry of known_gaps");
  refused(replaced(with_gaps, "feature: default, option: deep=true, ", ""),
          at + "11: a known gap names an architecture, a feature or an option");
}

BOOST_AUTO_TEST_CASE(what_a_config_without_a_type_is_told_by) {
  const auto told = [](const std::string& more) {
    const onnxport::yaml::Node root = onnxport::yaml::parse("by: " + more, "dir/plugin.yaml");
    return onnxport::recognised_by(root.items[1], "dir/plugin.yaml", parse(source + "recognised_by: " + more));
  };
  const auto all = told("{toy_2: {fields: [a, b], feature: causal-lm}, toy: {fields: [c]}}\n");
  BOOST_REQUIRE_EQUAL(all.size(), 2u);
  BOOST_TEST(all[0].type == "toy_2");
  BOOST_TEST(all[0].fields == (std::vector<std::string>{"a", "b"}), boost::test_tools::per_element());
  BOOST_TEST(all[0].feature == "causal-lm");
  BOOST_TEST(all[1].feature == "");
  BOOST_TEST(parse(extension + "recognised_by: {my-toy: {fields: [a]}}\n").is_extension());
  const std::string at = "dir/plugin.yaml:";
  refused(source + "recognised_by: [toy]\n",
          at + "10: 'recognised_by' must be a map from model types to {fields: […], feature: …}");
  refused(source + "recognised_by: {toys: {fields: [a]}}\n", at + "10: 'toys' is no model type of this manifest");
  refused(source + "recognised_by: {toy: {fields: [a], feature: nsp}}\n", at + "10: 'toy' has no feature 'nsp'");
}

BOOST_AUTO_TEST_CASE(extension_form) {
  const Manifest manifest = parse(extension);
  BOOST_TEST(manifest.is_extension());
  BOOST_TEST(manifest.aliases.size() == 1u);
  BOOST_TEST(manifest.aliases[0].type == "my-toy");
  BOOST_TEST(manifest.aliases[0].base == "toy");
  BOOST_TEST(manifest.weight_names.size() == 2u);
  BOOST_TEST(manifest.weight_names[0].from.at(0).text() == "transformer.");
  BOOST_TEST(manifest.weight_names[1].to.at(0).text().empty());
}

BOOST_AUTO_TEST_CASE(all_that_an_extension_may_say) {
  const Manifest manifest = parse(replaced(
      extension, "weight_names: [",
      "features: [default]\nfeature_names: {whole: default}\narchitectures: {MyToy: whole}\n"
      "outputs: {default: [pooled]}\nconfig_names: {width: hidden_size}\n"
      "config_defaults: {width: 8, eps: 1e-5, name: \"12\", on: true, none: ~, list: [1, a]}\n"
      "config_values: {rope: {theta: 10}}\n"
      "weight_names: [{from: \"b.{n}.qkv.\", to: [\"l.{n}.q.\", \"l.{n}.k.\"], axis: -1, sizes: [hidden_size, 4], "
      "groups: heads}, {from: [\"b.{n}.up.\", \"b.{n}.gate.\"], to: \"l.{n}.both.\"}, "));
  BOOST_TEST(manifest.weight_names.size() == 4u);
  BOOST_TEST(manifest.weight_names[0].to.size() == 2u);
  BOOST_TEST(manifest.weight_names[0].axis == -1);
  BOOST_TEST(manifest.weight_names[0].sizes[0] == "hidden_size");
  BOOST_TEST(manifest.weight_names[0].groups == "heads");
  BOOST_TEST(manifest.weight_names[1].from.size() == 2u);
  BOOST_TEST(manifest.config_names.defaults.dump() ==
             R"({"hidden_size":8,"eps":1e-05,"name":"12","on":true,"none":null,"list":[1,"a"]})");
  BOOST_TEST(manifest.config_names.values.dump() == R"({"rope":{"theta":10}})");
  BOOST_TEST(manifest.feature_of("whole") == "default");
}

BOOST_AUTO_TEST_CASE(mistakes_of_an_extension) {
  const std::string at = "dir/plugin.yaml:6: ";
  const auto rules = [](const std::string& text) {
    return replaced(extension, R"({from: "transformer.", to: "toy."}, {from: old, to: ""})", text);
  };
  refused(rules("{from: a., to: b.}, {from: a.b., to: c.}"),
          at + "the rule for 'a.b.' is never reached, since that for 'a.' in line 6 comes first; put the longer one in "
               "front");
  refused(rules(R"({from: "a.{n}.", to: b.}, {from: "a.{m}.b.", to: c.})"),
          at + "'a.{n}.' and 'b.' have other words in braces; each must have those of the other");
  refused(rules(R"({from: "a.{n.", to: b.})"), at + "'a.{n.' has a brace that is not closed");
  refused(rules(R"({from: "{n}.{n}", to: b.})"), at + "'{n}.{n}' has {n} twice");
  refused(rules("{from: [a., b.], to: [c., d.]}"),
          at + "both 'from' and 'to' are lists; a rule either splits a tensor or joins several");
  refused(rules("{from: a., to: [c., d.], sizes: [1]}"),
          at + "'sizes' must be a list of 2 sizes, one for each of 'to'");
  refused(rules("{from: a., to: b., axis: 0}"),
          at + "unknown key 'axis' in an entry of weight_names; known are from, to");
  refused(replaced(extension, "weight_names", "config_names: {a: b, c: b}\nweight_names"),
          at + "two names are given for 'b'");
  refused(replaced(extension, "weight_names", "config_values: [a]\nweight_names"),
          at + "'config_defaults' and 'config_values' are maps from fields of config.json to values");
}

BOOST_AUTO_TEST_CASE(mistakes_are_named_with_their_line) {
  const std::string at = "dir/plugin.yaml:";
  refused("", at + "1: the file is empty");
  refused("[a]", at + "1: 'the manifest' must be a map, found a list");
  refused(source + "colour: red\n", at + "10: unknown key 'colour' in the manifest; known are manifest, id, "
                                         "extends, models, recognised_by, name, version, license, "
                                         "vendor, abi");
  refused(replaced(source, "    features", "    feature"), at + "7: 'features' is missing in an entry of models");
  refused(replaced(source, "version: 0.1.0\n", ""), at + "1: 'version' is missing in the manifest");
  refused(replaced(source, "license: Apache-2.0", "license: ~"), at + "4: 'license' must be a text, found nothing");
  refused(replaced(source, "name: Toy", "name: [Toy]"), at + "2: 'name' must be a text, found a list");
  refused(replaced(source, "name: Toy", "name: \"a\\tb\""), at + "2: a text holds a control character or a line break");
  refused(replaced(source, "name: Toy", "name: &x Toy"), at + "2: anchors (&name) are not used in this file");
  refused(replaced(source, "name: Toy", "name: !x Toy"), at + "2: tags (!name) are not used in this file");
  refused(replaced(source, "name: Toy", "id: org.example.toy"), at + "2: 'id' is given twice, first in line 1");
  refused(replaced(source, "org.example.toy", "Toy"),
          at + "1: 'id' is 'Toy', expected a reversed domain in lower case such as org.example.name");
  refused(replaced(source, "[toy, toy_2]", "toy"), at + "7: 'types' must be a list, found a text");
  refused(replaced(source, "[toy, toy_2]", "[]"), at + "7: 'types' has no entry");
  refused(replaced(source, "toy_2", "toy"), at + "7: 'toy' is listed twice in 'types'");
  std::string many = "toy_2";
  for (int i = 0; i < 50'000; ++i) many += ", t" + std::to_string(i);
  refused(replaced(source, "toy_2", many), at + "7: 'types' lists 50002, expected at most 1000");
  refused(replaced(source, "toy_2", "to y"), at + "7: 'types' is 'to y', expected a name without blanks");
  refused(source + "  - types: [toy_2]\n    features: [default]\n", at + "10: the model type 'toy_2' is listed twice");
  refused(replaced(source, "ToyForAll: causal-lm", "ToyForAll: masked-lm"),
          at + "9: 'ToyForAll' stands for the feature 'masked-lm', which is not in 'features'");
  refused(source + "---\nid: a.b\n", at + "11: a second document; one is expected");
  refused(replaced(built, "manifest: 1", "manifest: 2"),
          at + "10: the manifest has format '2', this version of onnxport reads 1");
  refused(replaced(built, "\"1.0\"", "one"), at + "11: 'abi' is 'one', expected \"MAJOR.MINOR\"");
  refused(replaced(built, "libonnxport", "../lib"),
          at + "13: 'library' is '../lib_toy.so', expected the name of a file beside the manifest, without a "
               "path");
  refused(replaced(built, "aaaa", "AAAA"),
          at + "14: 'sha256' is 'AAAA" + std::string(60, 'a') + "', expected 64 hexadecimal digits in lower case");
  refused(replaced(extension, "extends", "models: []\nextends"),
          at + "4: unknown key 'models' in the manifest; known are manifest, id, extends, model_types, "
               "config_names, config_defaults, config_values, weight_names, architectures, features, "
               "feature_names, outputs, recognised_by, name, "
               "version, license, vendor");
  refused(replaced(extension, "{my-toy: toy}", "[my-toy]"),
          at + "5: 'model_types' must be a map from new model types to those of the extended plugin");
  refused(replaced(extension, "{my-toy: toy}", "{my-toy: toy, my-toy: toy}"),
          at + "5: 'my-toy' is given twice, first in line 5");
  refused(replaced(extension, "to: \"toy.\"", "into: a"), at + "6: 'to' is missing in an entry of weight_names");
  BOOST_TEST(message_of([] { parse("id: [a"); }).starts_with(at + "1: not valid YAML: "));
  BOOST_TEST(message_of([] { parse(std::string(100000, '[')); }).starts_with(at + "1: nested deeper than 64 levels"));
}

BOOST_AUTO_TEST_CASE(types_are_known_although_a_later_key_is_wrong) {
  Manifest manifest;
  BOOST_CHECK_THROW(parse_manifest(source + "colour: red\n", "plugin.yaml", manifest), Error);
  BOOST_TEST(manifest.model("toy") != nullptr);
}

BOOST_AUTO_TEST_CASE(unreadable_files) {
  const Folder folder;
  BOOST_TEST(message_of([&] {
               onnxport::read_manifest(folder.path / "none");
             }).ends_with("none: cannot be read: No such file or directory"));
  BOOST_TEST(message_of([&] { onnxport::read_manifest(folder.path); }).ends_with("cannot be read: not a regular file"));
}

BOOST_AUTO_TEST_CASE(examples_of_the_documentation) {
  std::ifstream page(std::filesystem::path(ONNXPORT_TEST_SOURCE_DIR).parent_path() / "docs/plugins.md");
  std::vector<std::string> examples;
  bool inside = false;
  for (std::string line; std::getline(page, line);) {
    if (line == "```yaml") {
      examples.emplace_back();
      inside = true;
    } else if (line == "```") {
      inside = false;
    } else if (inside) {
      examples.back() += line + "\n";
    }
  }
  BOOST_REQUIRE_EQUAL(examples.size(), 5u);
  BOOST_TEST(parse(examples[0]).model("bert") != nullptr);
  parse(replaced(replaced(replaced(source, "toy, toy_2", "timm_wrapper"), "causal-lm,", "image-classification,"),
                 "    architectures: {ToyForAll: causal-lm}\n", "") +
        examples[1]);
  // The third shows what the build adds to the first, but for the abi, which is in both.
  BOOST_TEST(parse(replaced(examples[0], "abi:", "# abi:") + examples[2]).library == "libonnxport_bert.so");
  BOOST_TEST(parse(examples[3]).is_extension());
  const Folder folder;
  const auto policy = onnxport::TrustPolicy::read(folder.write("trust.yaml", examples[4]));
  BOOST_TEST(!policy.check(in_folder("/usr/lib/onnxport/plugins/bert")).has_value());
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(trust)

BOOST_AUTO_TEST_CASE(sha256) {
  const Folder folder;
  BOOST_TEST(onnxport::sha256_of(folder.write("abc", "abc")) ==
             "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  BOOST_TEST(onnxport::sha256_of(folder.write("empty", "")) ==
             "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

BOOST_AUTO_TEST_CASE(known_sha256) {
  const Folder folder;
  const std::string sum(64, '1');
  const auto policy =
      onnxport::TrustPolicy::read(folder.write("trust.yaml", "require: known-sha256\nsha256: [\"" + sum + "\"]\n"));
  BOOST_TEST(!policy.check(with_sum(sum)).has_value());
  const auto refusal = policy.check(with_sum(std::string(64, '2')));
  BOOST_REQUIRE(refusal.has_value());
  BOOST_TEST(refusal->cause == "lib.so: found sha256 " + std::string(64, '2') +
                                   ", which is not among those of the trust policy " +
                                   (folder.path / "trust.yaml").string());
  BOOST_TEST(policy.check(with_sum(""))->cause.find("gives no sha256") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(known_directory) {
  const Folder folder;
  std::filesystem::create_directories(folder.path / "good/toy");
  std::filesystem::create_directories(folder.path / "good-not/toy");
  const auto policy = onnxport::TrustPolicy::read(
      folder.write("trust.yaml", "require: known-directory\ndirectories: [" + (folder.path / "good").string() + "]\n"));
  BOOST_TEST(!policy.check(in_folder(folder.path / "good/toy")).has_value());
  BOOST_TEST(!policy.check(in_folder(folder.path / "good")).has_value());
  BOOST_TEST(policy.check(in_folder(folder.path / "good-not/toy")).has_value());
  BOOST_TEST(policy.check(in_folder(folder.path / "good/../good-not/toy")).has_value());
  BOOST_TEST(policy.check(in_folder(folder.path)).has_value());
}

BOOST_AUTO_TEST_CASE(policy_mistakes) {
  const Folder folder;
  const auto read = [&](const std::string& text) {
    return message_of([&] { onnxport::TrustPolicy::read(folder.write("trust.yaml", text)); });
  };
  const std::string at = (folder.path / "trust.yaml").string();
  BOOST_TEST(read("sha256: []\n") == at + ":1: 'require' is missing in the trust policy");
  BOOST_TEST(read("require: all\n") ==
             at + ":1: 'require' is 'all', expected known-sha256, known-directory, known-publisher, "
                  "known-id, known or none");
  BOOST_TEST(read("require: none\nsha256: [12]\n") == at + ":2: '12' is not 64 hexadecimal digits in lower case");
  BOOST_TEST(read("require: none\ndirectories: [a]\n") ==
             at + ":2: the directory 'a' must be absolute or begin with ~/");
  BOOST_TEST(
      read("require: none\nother: 1\n") ==
      at + ":2: unknown key 'other' in the trust policy; known are require, ids, sha256, directories, publishers, "
           "deny");
  ::chmod(at.c_str(), 0666);
  BOOST_TEST(read("require: none\n") ==
             at + ": found mode 0666, writable by everybody; expected writable by its owner only");
  ::chmod(at.c_str(), 0600);
  ::chmod(folder.path.c_str(), 0777);
  BOOST_TEST(read("require: none\n") ==
             at +
                 ": found its folder with mode 0777, in which everybody can replace it; expected one writable by its " +
                 "owner only");
  ::chmod(folder.path.c_str(), 01777);
  BOOST_CHECK_NO_THROW(onnxport::TrustPolicy::read(at));
}

BOOST_AUTO_TEST_CASE(writers) {
  const Folder folder;
  const auto file = folder.write("file", "");
  BOOST_TEST(!onnxport::check_writers(file).has_value());
  ::chmod(file.c_str(), 0602);
  const auto open_to_all = onnxport::check_writers(file);
  BOOST_REQUIRE(open_to_all.has_value());
  BOOST_TEST(open_to_all->hint == "chmod o-w " + file.string());
  ::chmod(file.c_str(), 0600);
  if (::geteuid() == 0 && ::chown(file.c_str(), 12345, 12345) == 0) {
    BOOST_TEST(onnxport::check_writers(file)->cause.find("found to belong to user 12345") != std::string::npos);
  }
}

BOOST_AUTO_TEST_CASE(library_files) {
  const Folder folder;
  const auto file = folder.write("file", "");
  std::filesystem::create_symlink(file, folder.path / "link");
  BOOST_TEST(!onnxport::check_library_file(file).has_value());
  BOOST_TEST(onnxport::check_library_file(folder.path / "none")->cause.find("not found") != std::string::npos);
  BOOST_TEST(onnxport::check_library_file(folder.path / "link")->cause.find("found a symbolic link") !=
             std::string::npos);
  BOOST_TEST(onnxport::check_library_file(folder.path)->cause.find("found a folder") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace manifest_test
