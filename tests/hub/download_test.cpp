// SPDX-License-Identifier: Apache-2.0
// Models that are fetched: what is asked for, and what the cache holds afterwards.
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>

#include "core/error.hpp"
#include "hub.hpp"

namespace download_test {

using namespace hub_test;
using onnxport::hub::Model;

namespace {

const Files small_files{{"config.json", "{\"model_type\": \"bert\"}"},
                        {"tokenizer_config.json", "{}"},
                        {"1_Pooling/config.json", "{\"pooling\": 1}"},
                        {"README.md", "not needed"}};

Files with(Files files, const Files& more) {
  files.insert(more.begin(), more.end());
  return files;
}

Model fetched(const onnxport::hub::ModelRequest& request) {
  Model model = Model::open(request);
  model.fetch_weights();
  return model;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(download)

BOOST_AUTO_TEST_CASE(a_model_into_an_empty_cache) {
  Hub hub;
  const Files files = with(small_files, {{"model.safetensors", random_bytes(300000)}, {"pytorch_model.bin", "other"}});
  hub.publish("org/name", files);
  hub.repositories["org/name"].token = "secret";
  const TemporaryFolder cache;
  auto request = request_for(hub, cache);
  request.settings.token = "secret";

  Model model = Model::open(request);
  BOOST_TEST(hub.requests("model.safetensors").empty(), "weights are fetched when they are asked for");
  BOOST_TEST(!fs::exists(cache / "models--org--name/refs/main"));
  model.fetch_weights();

  const fs::path repository = cache / "models--org--name", snapshot = repository / "snapshots" / commit_of('a');
  BOOST_TEST(model.folder().string() == snapshot.string());
  BOOST_TEST(model.fetched_files() == 4u);
  for (const char* name : {"config.json", "tokenizer_config.json", "1_Pooling/config.json", "model.safetensors"}) {
    BOOST_TEST(read(snapshot / name) == files.at(name), name);
    BOOST_TEST(fs::read_symlink(snapshot / name).filename().string() == Hub::etag_of(name, files.at(name)), name);
  }
  BOOST_TEST(!fs::exists(snapshot / "README.md"));
  BOOST_TEST(!fs::exists(snapshot / "pytorch_model.bin"));
  BOOST_TEST(read(repository / "refs/main") == commit_of('a'));
  for (const auto& entry : fs::directory_iterator(repository / "blobs"))
    BOOST_TEST(entry.path().extension().string() != ".incomplete");

  // Nobody but the hub has seen the token.
  BOOST_TEST(hub.requests("?name=").size() == 1u);
  for (const Request& seen : hub.requests())
    BOOST_TEST(seen.header("authorization") == (seen.target.find("?name=") == seen.target.npos ? "Bearer secret" : ""));

  hub.forget_requests();
  const Model again = fetched(request);
  BOOST_TEST(again.folder().string() == snapshot.string());
  BOOST_TEST(again.fetched_files() == 0u);
  BOOST_TEST(hub.requests().empty(), "what the cache has in full needs no request");
}

BOOST_AUTO_TEST_CASE(shards_and_only_those_that_are_missing) {
  Hub hub;
  Files files =
      with(small_files, {{"model.safetensors.index.json", R"({"weight_map": {"a": "1.safetensors", )"
                                                          R"("b": "2.safetensors", "c": "3.safetensors"}})"}});
  for (const unsigned i : {1u, 2u, 3u}) files[std::to_string(i) + ".safetensors"] = random_bytes(50000, i);
  hub.publish("org/name", files);
  const TemporaryFolder cache;
  const fs::path snapshot = fetched(request_for(hub, cache)).folder();
  for (const char* name : {"1.safetensors", "2.safetensors", "3.safetensors"})
    BOOST_TEST(read(snapshot / name) == files.at(name), name);

  fs::remove(fs::canonical(snapshot / "2.safetensors"));
  hub.forget_requests();
  BOOST_TEST(fetched(request_for(hub, cache)).fetched_files() == 1u);
  BOOST_TEST(read(snapshot / "2.safetensors") == files.at("2.safetensors"));
  BOOST_TEST(hub.requests("?name=").size() == 1u);
}

BOOST_AUTO_TEST_CASE(contents_that_two_commits_share_are_fetched_once) {
  Hub hub;
  const Files files = with(small_files, {{"model.safetensors", random_bytes(1000)}});
  hub.publish("org/name", files, commit_of('a'));
  Files changed = files;
  changed["config.json"] = "{\"model_type\": \"bert\", \"x\": 1}";
  hub.publish("org/name", changed, commit_of('b'));
  const TemporaryFolder cache;
  auto request = request_for(hub, cache);
  request.revision = commit_of('a');
  fetched(request);
  BOOST_TEST(!fs::exists(cache / "models--org--name/refs"), "a commit needs no name");
  request.revision = "main";
  const Model model = fetched(request);
  BOOST_TEST(model.commit() == commit_of('b'));
  BOOST_TEST(read(model.folder() / "config.json") == changed["config.json"]);
  BOOST_TEST(read(model.folder() / "model.safetensors") == files.at("model.safetensors"));
  BOOST_TEST(hub.requests("?name=model.safetensors").size() == 1u);
}

BOOST_AUTO_TEST_CASE(revisions) {
  Hub hub;
  hub.publish("gpt2", with(small_files, {{"pytorch_model.bin", "one"}}), commit_of('a'));
  hub.publish("gpt2", with(small_files, {{"pytorch_model.bin", "two"}}), commit_of('b'));
  hub.repositories["gpt2"].refs.insert(
      {{"refs/pr/1", commit_of('a')}, {"v1.0", commit_of('a')}, {"aaaaaaa", commit_of('a')}});
  const TemporaryFolder cache;
  auto request = request_for(hub, cache, "gpt2");
  BOOST_TEST(read(fetched(request).folder() / "pytorch_model.bin") == "two");
  for (const std::string& revision :
       {std::string("refs/pr/1"), std::string("v1.0"), std::string("aaaaaaa"), commit_of('a')}) {
    request.revision = revision;
    BOOST_TEST(read(fetched(request).folder() / "pytorch_model.bin") == "one", revision);
  }
  BOOST_TEST(read(cache / "models--gpt2/refs/refs/pr/1") == commit_of('a'));
  BOOST_TEST(read(cache / "models--gpt2/refs/aaaaaaa") == commit_of('a'));
  hub.forget_requests();
  for (const char* revision : {"main", "refs/pr/1", "v1.0", "aaaaaaa"}) {
    request.revision = revision;
    fetched(request);
  }
  BOOST_TEST(hub.requests().empty());
}

BOOST_AUTO_TEST_CASE(a_branch_stays_where_it_was_fetched) {
  Hub hub;
  hub.publish("org/name", with(small_files, {{"model.safetensors", "one"}}), commit_of('a'));
  const TemporaryFolder cache;
  fetched(request_for(hub, cache));
  hub.publish("org/name", with(small_files, {{"model.safetensors", "two"}}), commit_of('b'));
  BOOST_TEST(fetched(request_for(hub, cache)).commit() == commit_of('a'));
  auto request = request_for(hub, cache);
  request.refresh = true;
  const Model model = fetched(request);
  BOOST_TEST(model.commit() == commit_of('b'));
  BOOST_TEST(read(model.folder() / "model.safetensors") == "two");
  BOOST_TEST(fetched(request_for(hub, cache)).commit() == commit_of('b'));
}

BOOST_AUTO_TEST_CASE(a_branch_of_a_commit_that_is_there) {
  Hub hub;
  hub.publish("org/name", with(small_files, {{"model.safetensors", "one"}}));
  const TemporaryFolder cache;
  auto request = request_for(hub, cache);
  request.revision = commit_of('a');
  fetched(request);
  fetched(request_for(hub, cache));
  hub.forget_requests();
  fetched(request_for(hub, cache));
  BOOST_TEST(hub.requests().empty(), "the branch was noted");
}

BOOST_AUTO_TEST_CASE(a_snapshot_of_weights_alone_gets_its_tokenizer) {
  Hub hub;
  const Files files = with(small_files, {{"model.safetensors", random_bytes(1000)}});
  hub.publish("org/name", files);
  const TemporaryFolder cache;
  const fs::path snapshot = fetched(request_for(hub, cache)).folder();
  for (const char* name : {"tokenizer_config.json", "1_Pooling"}) fs::remove_all(snapshot / name);
  hub.forget_requests();
  // The branch moves on, and the snapshot is still of the commit that it was.
  hub.publish("org/name", with(small_files, {{"model.safetensors", "new"}}), commit_of('b'));
  BOOST_TEST(fetched(request_for(hub, cache)).commit() == commit_of('a'));
  BOOST_TEST(fs::exists(snapshot / "tokenizer_config.json"));
  BOOST_TEST(hub.requests("model.safetensors").empty());

  // Without a network it is a model still, and that is said.
  fs::remove_all(snapshot / "tokenizer_config.json");
  fs::remove_all(snapshot / "1_Pooling");
  auto request = request_for(hub, cache);
  request.settings.endpoint = "http://127.0.0.1:1";
  BOOST_TEST(fetched(request).notes().size() == 1u);
  request.settings.offline_by = "HF_HUB_OFFLINE";
  BOOST_TEST(fetched(request).folder().string() == snapshot.string());
}

BOOST_AUTO_TEST_CASE(a_model_without_a_tokenizer_is_not_asked_again) {
  Hub hub;
  hub.publish("org/name", {{"config.json", "{}"}, {"model.safetensors", "x"}});
  const TemporaryFolder cache;
  fetched(request_for(hub, cache));
  BOOST_TEST(fs::exists(cache / "models--org--name/.no_exist" / commit_of('a') / "tokenizer_config.json"));
  hub.forget_requests();
  fetched(request_for(hub, cache));
  BOOST_TEST(hub.requests().empty());
}

BOOST_AUTO_TEST_CASE(empty_files) {
  Hub hub;
  hub.publish("org/name", {{"config.json", "{}"}, {"merges.txt", ""}, {"model.safetensors", "x"}});
  const TemporaryFolder cache;
  const fs::path snapshot = fetched(request_for(hub, cache)).folder();
  BOOST_TEST(fs::is_regular_file(snapshot / "merges.txt"));
  BOOST_TEST(fs::file_size(snapshot / "merges.txt") == 0u);
}

BOOST_AUTO_TEST_CASE(a_lock_that_another_process_holds) {
  Hub hub;
  const Files files = with(small_files, {{"model.safetensors", random_bytes(1000)}});
  hub.publish("org/name", files);
  const TemporaryFolder cache;
  const std::string etag = Hub::etag_of("model.safetensors", files.at("model.safetensors"));
  const fs::path lock = cache / ".locks/models--org--name" / (etag + ".lock");
  write(lock, "");
  const int descriptor = ::open(lock.c_str(), O_RDWR | O_CLOEXEC);
  BOOST_REQUIRE(::flock(descriptor, LOCK_EX) == 0);
  std::atomic<bool> waited{false};
  auto request = request_for(hub, cache);
  // The other one is done with the blob once we are seen to wait.
  request.progress.report = [&](const std::string& phase, uint64_t, uint64_t) {
    if (phase.find("another process") == std::string::npos || waited.exchange(true)) return;
    BOOST_TEST(hub.requests("?name=").empty());
    write(cache / "models--org--name/blobs" / etag, files.at("model.safetensors"));
    ::close(descriptor);
  };
  const fs::path snapshot = fetched(request).folder();
  BOOST_TEST(waited.load());
  BOOST_TEST(hub.requests("?name=").empty(), "the blob was there");
  BOOST_TEST(read(snapshot / "model.safetensors") == files.at("model.safetensors"));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace download_test
