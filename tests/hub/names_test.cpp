// SPDX-License-Identifier: Apache-2.0
// Names, settings and checksums: what needs no server.
#include <boost/test/unit_test.hpp>
#include <cstdlib>

#include "core/error.hpp"
#include "hub.hpp"
#include "hub/cache.hpp"
#include "hub/digest.hpp"
#include "hub/names.hpp"
#include "hub/settings.hpp"
#include "hub/wanted.hpp"

namespace names_test {

using namespace hub_test;
using namespace onnxport::hub;

namespace {

using Variables = std::map<std::string, std::string>;

/// Variables of the environment for the time of a test; all that settings read are unset at first.
class Environment {
 public:
  explicit Environment(const Variables& set) {
    for (const char* name :
         {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME", "HF_ENDPOINT", "HF_TOKEN",
          "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH", "HF_HUB_OFFLINE", "HOME", "TRANSFORMERS_OFFLINE",
          "HF_HUB_ETAG_TIMEOUT", "HF_HUB_DOWNLOAD_TIMEOUT", "HF_HUB_DISABLE_IMPLICIT_TOKEN"}) {
      const char* value = std::getenv(name);
      if (value != nullptr) before_[name] = value;
      names_.emplace_back(name);
      ::unsetenv(name);
    }
    for (const auto& [name, value] : set) ::setenv(name.c_str(), value.c_str(), 1);
  }
  ~Environment() {
    for (const std::string& name : names_) ::unsetenv(name.c_str());
    for (const auto& [name, value] : before_) ::setenv(name.c_str(), value.c_str(), 1);
  }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

 private:
  std::vector<std::string> names_;
  Variables before_;
};

std::string cache_of(const Variables& set, const fs::path& given = {}) {
  const Environment environment(set);
  return Settings::from_environment(given).cache.string();
}

}  // namespace

BOOST_AUTO_TEST_SUITE(names)

BOOST_AUTO_TEST_CASE(ids) {
  for (const char* id : {"gpt2", "org/name", "google-bert/bert-base-uncased", "a/b.c_d-e", "0/1", "_a/b_"})
    BOOST_TEST(is_model_id(id), id);
  for (const char* text : {"", "/", "a/", "/a", "a/b/c", "./a", "../a", "a/../b", "a--b/c", "a/b.git", "-a/b", "a/b-",
                           "a b", "a/.b", "~/a", "a\\b", "https://host/a"})
    BOOST_TEST(!is_model_id(text), text);
  BOOST_TEST(is_model_id(std::string(96, 'a')));
  BOOST_TEST(!is_model_id(std::string(97, 'a')));
  BOOST_TEST(repository_folder("org/name") == "models--org--name");
  BOOST_TEST(repository_folder("gpt2") == "models--gpt2");
}

BOOST_AUTO_TEST_CASE(paths_of_a_server) {
  for (const char* path : {"config.json", "1_Pooling/config.json", "a/b/c", "...", "a b", "ä"})
    BOOST_TEST(is_safe_path(path), path);
  for (const char* path : {"", "/etc/passwd", "..", "../a", "a/../b", "a/..", "a//b", "a/", ".", "./a", "a\\b", "a\nb"})
    BOOST_TEST(!is_safe_path(path), path);
  BOOST_TEST(!is_safe_name("a/b"));
  BOOST_TEST(!is_safe_name(std::string(256, 'a')));
  BOOST_TEST(!is_safe_name(std::string("a\0b", 3)));
}

BOOST_AUTO_TEST_CASE(revisions) {
  require_revision("main");
  require_revision("refs/pr/1");
  for (const char* text : {"..", "../../x", "/x", "a//b"})
    BOOST_TEST(failure_of([&] { require_revision(text); }).find(text) != std::string::npos);
  BOOST_TEST(is_commit(commit_of('f')));
  BOOST_TEST(!is_commit("abc1234"));
  BOOST_TEST(!is_commit(commit_of('F')));
  BOOST_TEST(percent_encoded("refs/pr/1") == "refs%2Fpr%2F1");
  BOOST_TEST(percent_encoded("1_Pooling/a b.json", "/") == "1_Pooling/a%20b.json");
}

BOOST_AUTO_TEST_CASE(origins) {
  BOOST_TEST(origin_of("https://Host:8080/a?b#c") == "https://host:8080");
  BOOST_TEST(origin_of("https://host?a") == "https://host");
  // What stands before an @ is no host, and must not pass for one.
  BOOST_TEST(origin_of("https://host@other/a") != "https://host");
  BOOST_TEST(origin_of("nothing") == "");
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(settings)

BOOST_AUTO_TEST_CASE(the_cache_in_huggingface_hubs_order) {
  Variables set{{"HOME", "/home/u"}};
  BOOST_TEST(cache_of(set) == "/home/u/.cache/huggingface/hub");
  set["XDG_CACHE_HOME"] = "/xdg";
  BOOST_TEST(cache_of(set) == "/xdg/huggingface/hub");
  set["HF_HOME"] = "~/hf";
  BOOST_TEST(cache_of(set) == "/home/u/hf/hub");
  set["HUGGINGFACE_HUB_CACHE"] = "$HOME/old/${XDG_CACHE_HOME}/$not_set";
  BOOST_TEST(cache_of(set) == "/home/u/old/xdg/$not_set");
  set["HF_HUB_CACHE"] = "/new";
  BOOST_TEST(cache_of(set) == "/new");
  BOOST_TEST(cache_of(set, "/asked/for") == "/asked/for");
  set["HF_HUB_CACHE"] = "";
  BOOST_TEST(cache_of(set) == "/home/u/old/xdg/$not_set");
}

BOOST_AUTO_TEST_CASE(endpoint_offline_and_timeouts) {
  const Environment environment(Variables{{"HOME", "/home/u"}});
  BOOST_TEST(Settings::from_environment().endpoint == "https://huggingface.co");
  BOOST_TEST(!Settings::from_environment().offline());
  ::setenv("HF_ENDPOINT", "https://mirror/hub//", 1);
  BOOST_TEST(Settings::from_environment().endpoint == "https://mirror/hub");
  ::setenv("TRANSFORMERS_OFFLINE", "yes", 1);
  BOOST_TEST(Settings::from_environment().offline_by == "TRANSFORMERS_OFFLINE");
  ::setenv("HF_HUB_OFFLINE", "0", 1);
  BOOST_TEST(!Settings::from_environment().offline());
  ::setenv("HF_HUB_OFFLINE", "1", 1);
  BOOST_TEST(Settings::from_environment().offline_by == "HF_HUB_OFFLINE");
  ::setenv("HF_HUB_ETAG_TIMEOUT", "3", 1);
  ::setenv("HF_HUB_DOWNLOAD_TIMEOUT", "soon", 1);
  BOOST_TEST(Settings::from_environment().metadata_timeout.count() == 3);
  BOOST_TEST(Settings::from_environment().download_timeout.count() == 10);
  ::setenv("HF_ENDPOINT", "mirror", 1);
  BOOST_TEST(failure_of([] { Settings::from_environment(); }).find("'mirror'") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(tokens) {
  const TemporaryFolder home;
  const Environment environment(Variables{{"HF_HOME", home.path.string()}});
  BOOST_TEST(Settings::from_environment().token == "");
  write(home / "token", " of_the_file\n");
  BOOST_TEST(Settings::from_environment().token == "of_the_file");
  BOOST_TEST(Settings::from_environment().token_source == (home / "token").string());
  write(home / "other", "of_the_path");
  ::setenv("HF_TOKEN_PATH", (home / "other").c_str(), 1);
  BOOST_TEST(Settings::from_environment().token == "of_the_path");
  ::setenv("HUGGING_FACE_HUB_TOKEN", "old", 1);
  BOOST_TEST(Settings::from_environment().token == "old");
  // A line break would begin a header of its own.
  ::setenv("HF_TOKEN", "new\r\nX: y", 1);
  BOOST_TEST(Settings::from_environment().token == "newX: y");
  BOOST_TEST(Settings::from_environment().token_source == "HF_TOKEN");
  ::setenv("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1", 1);
  BOOST_TEST(Settings::from_environment().token == "");
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(checksums)

BOOST_AUTO_TEST_CASE(as_git_and_sha256sum_print_them) {
  const TemporaryFolder folder;
  write(folder / "hello", "hello\n");
  write(folder / "abc", "abc");
  write(folder / "empty", "");
  BOOST_TEST(checksum_of(folder / "hello", Checksum::git_sha1, {}) == "ce013625030ba8dba906f756967f9e9ca394464a");
  BOOST_TEST(checksum_of(folder / "empty", Checksum::git_sha1, {}) == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
  BOOST_TEST(checksum_of(folder / "abc", Checksum::sha256, {}) ==
             "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  BOOST_CHECK_THROW(checksum_of(folder / "none", Checksum::sha256, {}), onnxport::Error);
  BOOST_CHECK_THROW(checksum_of(folder / "abc", Checksum::sha256, [] { return true; }), onnxport::Error);
}

BOOST_AUTO_TEST_CASE(by_the_form_of_an_etag) {
  BOOST_TEST((checksum_kind(std::string(64, 'a')) == Checksum::sha256));
  BOOST_TEST((checksum_kind(std::string(40, '0')) == Checksum::git_sha1));
  for (const std::string& etag : {std::string(40, 'g'), std::string(32, 'a'), std::string("abc-12")})
    BOOST_TEST((checksum_kind(etag) == Checksum::none), etag);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(cache)

BOOST_AUTO_TEST_CASE(the_layout) {
  const TemporaryFolder folder;
  const Repository repository(folder.path, "org/name");
  const std::string commit = commit_of('1');
  write(repository.blob("etag"), "content");
  repository.link(commit, "config.json", "etag");
  repository.link(commit, "1_Pooling/config.json", "etag");
  const fs::path snapshot = folder / "models--org--name/snapshots" / commit;
  BOOST_TEST(fs::read_symlink(snapshot / "config.json").string() == "../../blobs/etag");
  BOOST_TEST(fs::read_symlink(snapshot / "1_Pooling/config.json").string() == "../../../blobs/etag");
  BOOST_TEST(read(snapshot / "1_Pooling/config.json") == "content");
  // A link that leads nowhere is replaced, as after blobs were removed to make room.
  fs::remove(repository.blob("etag"));
  write(repository.blob("other"), "new");
  repository.link(commit, "config.json", "other");
  BOOST_TEST(read(snapshot / "config.json") == "new");
  BOOST_TEST(repository.lock_file("etag").string() == (folder / ".locks/models--org--name/etag.lock").string());
}

BOOST_AUTO_TEST_CASE(refs) {
  const TemporaryFolder folder;
  const Repository repository(folder.path, "org/name");
  BOOST_TEST(!repository.commit_of("main").has_value());
  BOOST_TEST(repository.commit_of(commit_of('2')).value() == commit_of('2'));
  repository.set_ref("main", commit_of('1'));
  repository.set_ref("refs/pr/1", commit_of('3'));
  BOOST_TEST(read(folder / "models--org--name/refs/main") == commit_of('1'));
  BOOST_TEST(repository.commit_of("refs/pr/1").value() == commit_of('3'));
  repository.set_ref(commit_of('4'), commit_of('4'));
  BOOST_TEST(!fs::exists(folder / "models--org--name/refs" / commit_of('4')));
  write(folder / "models--org--name/refs/broken", "../../elsewhere");
  BOOST_TEST(!repository.commit_of("broken").has_value());
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(choice)

BOOST_AUTO_TEST_CASE(of_weights_and_companions) {
  const std::vector<std::string> names{"README.md",         "config.json",           "model.safetensors",
                                       "pytorch_model.bin", "tf_model.h5",           "onnx/model.onnx",
                                       "tokenizer.json",    "1_Pooling/config.json", "modules.json",
                                       "training_args.bin", "1_Pooling/a/b",         "spiece.model"};
  const Wanted wanted = choose_files(names, "a");
  BOOST_TEST(wanted.single == "model.safetensors");
  BOOST_TEST(wanted.index == "");
  const std::vector<std::string> small{"config.json", "1_Pooling/config.json", "modules.json", "spiece.model",
                                       "tokenizer.json"};
  BOOST_TEST(wanted.small == small, boost::test_tools::per_element());

  BOOST_TEST(choose_files({"config.json", "pytorch_model.bin"}, "a").single == "pytorch_model.bin");
  const Wanted sharded = choose_files({"config.json", "model.safetensors.index.json", "pytorch_model.bin"}, "a");
  BOOST_TEST(sharded.index == "model.safetensors.index.json");
  BOOST_TEST(sharded.single == "");
  BOOST_TEST(sharded.small.back() == "model.safetensors.index.json");
}

BOOST_AUTO_TEST_CASE(what_is_there_instead) {
  const auto says = [](const std::vector<std::string>& names, const std::string& part) {
    const std::string text = failure_of([&] { choose_files(names, "org/name"); });
    BOOST_TEST(text.find(part) != std::string::npos, text);
  };
  says({"model.safetensors"}, "config.json");
  says({"config.json"}, "no weights");
  says({"config.json", "tf_model.h5"}, "TensorFlow");
  says({"config.json", "adapter_model.safetensors"}, "adapter");
  says({"config.json", "q4.gguf"}, "q4.gguf");
  says({"config.json", "model.safetensors", "1_Pooling/.."}, "outside");
  says({"config.json", "model.safetensors", "..\\..\\evil.model"}, "outside");
}

BOOST_AUTO_TEST_CASE(of_shards) {
  const TemporaryFolder folder;
  const fs::path index = folder / "model.safetensors.index.json";
  write(index, R"({"weight_map": {"a": "2", "b": "1", "c": "2"}})");
  const std::vector<std::string> shards{"1", "2"};
  BOOST_TEST(shards_of(index) == shards, boost::test_tools::per_element());
  for (const char* text : {R"({"weight_map": {"a": "../x"}})", R"({"weight_map": {"a": "/x"}})",
                           R"({"weight_map": {"a": 1}})", R"({"weight_map": {}})", "[]", "{}"}) {
    write(index, text);
    failure_of([&] { shards_of(index); });
  }
  write(index, R"({"weight_map": {"a": "1", "b": "2"}})");
  write(folder / "config.json", "{}");
  write(folder / "1", "x");
  const std::vector<std::string> missing{"2"};
  BOOST_TEST(missing_files(folder.path) == missing, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace names_test
