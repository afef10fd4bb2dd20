// SPDX-License-Identifier: Apache-2.0
// What is not there, not allowed or not to be trusted, each told apart and with a next step.
#include <boost/test/unit_test.hpp>

#include "core/error.hpp"
#include "hub.hpp"

namespace refusal_test {

using namespace hub_test;
using onnxport::hub::Model;
using Parts = std::vector<std::string>;

namespace {

const Files files{{"config.json", "{}"}, {"tokenizer.json", "{}"}, {"model.safetensors", "weights"}};

struct Fixture {
  Fixture() : request(request_for(hub, cache)) { hub.publish("org/name", files); }

  void check_failure(const Parts& parts) {
    const std::string text = failure_of([&] {
      Model model = Model::open(request);
      model.fetch_weights();
    });
    for (const std::string& part : parts)
      BOOST_TEST(text.find(part) != std::string::npos, part << " is not in " << text);
  }
  void use_token() {
    request.settings.token = "mine";
    request.settings.token_source = "HF_TOKEN";
  }
  /// Changes all answers to requests for this.
  void answer(const std::string& part, std::function<void(Reply&)> change) {
    hub.spoil(part, -1, [change = std::move(change)](const Request&, Reply& reply) { change(reply); });
  }
  static void set(Reply& reply, const std::string& name, const std::string& value) {
    for (auto& [found, text] : reply.headers) {
      if (found == name) text = value;
    }
  }

  Hub hub;
  TemporaryFolder cache;
  onnxport::hub::ModelRequest request;
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(refusals, Fixture)

BOOST_AUTO_TEST_CASE(missing) {
  request.id = "org/other";
  check_failure({"no model 'org/other'", hub.endpoint(), "private", "HF_TOKEN"});
  request.id = "org/name";
  request.revision = "v9";
  check_failure({"no revision 'v9'", "org/name/tree/main", "--revision"});
  BOOST_TEST(hub.requests().size() == 2u, "a refusal is final");
}

BOOST_AUTO_TEST_CASE(private_or_missing) {
  hub.repositories["org/name"].token = "theirs";
  check_failure({"no model 'org/name'", "private", "pass a token"});
  use_token();
  check_failure({"does not accept the token from HF_TOKEN"});
  request.settings.token = "theirs";
  Model::open(request).fetch_weights();
}

BOOST_AUTO_TEST_CASE(gated) {
  hub.repositories["org/name"].token = "theirs";
  hub.repositories["org/name"].gated = true;
  check_failure({"restricted", "accept its conditions at " + hub.endpoint() + "/org/name", "HF_TOKEN"});
  use_token();
  check_failure({"restricted", "ask for access", "HF_TOKEN"});
}

BOOST_AUTO_TEST_CASE(gated_for_its_files_alone) {
  // As the real hub does: anybody may list the files.
  answer("HEAD", [](Reply& reply) {
    reply = {401, {{"X-Error-Code", "GatedRepo"}, {"X-Error-Message", "Access to model org/name is restricted."}},
             "",  {},
             {},  {}};
  });
  check_failure({"restricted", "accept its conditions"});
}

BOOST_AUTO_TEST_CASE(forbidden) {
  answer("/api/models", [](Reply& reply) { reply = {403, {}, R"({"error": "no right"})"}; });
  use_token();
  check_failure({"refuses", "no right", "HF_TOKEN lacks a right"});
}

BOOST_AUTO_TEST_CASE(disabled) {
  answer("/api/models", [](Reply& reply) {
    reply = {403, {{"X-Error-Message", "Access to this resource is disabled."}}, ""};
  });
  check_failure({"disabled", "org/name"});
}

BOOST_AUTO_TEST_CASE(offline) {
  request.settings.offline_by = "HF_HUB_OFFLINE";
  check_failure({"'org/name' (revision main)", cache.path.string(), "HF_HUB_OFFLINE", hub.endpoint() + "/org/name",
                 "config.json", "model.safetensors", "unset HF_HUB_OFFLINE", "models--org--name"});
  BOOST_TEST(hub.requests().empty());

  request.settings.offline_by.clear();
  request.revision = commit_of('a');
  Model::open(request).fetch_weights();
  request.settings.offline_by = "TRANSFORMERS_OFFLINE";
  hub.forget_requests();
  Model::open(request).fetch_weights();
  // The branch is not known, and the commit is there.
  request.revision = "main";
  check_failure({"TRANSFORMERS_OFFLINE", "--revision " + commit_of('a')});
  BOOST_TEST(hub.requests().empty());
}

BOOST_AUTO_TEST_CASE(offline_with_a_part_in_the_cache) {
  Model::open(request);
  write(cache / "models--org--name/refs/main", commit_of('a'));
  request.settings.offline_by = "HF_HUB_OFFLINE";
  check_failure({"not whole in the cache", "/org/name: model.safetensors\n"});
}

BOOST_AUTO_TEST_CASE(no_network) {
  request.settings.endpoint = "http://127.0.0.1:1";
  check_failure({"127.0.0.1:1 cannot be reached", cache.path.string(), "would be fetched", "config.json", "proxy"});
  request.settings.endpoint = "http://name.invalid";
  check_failure({"name.invalid cannot be reached", "esolv"});
}

BOOST_AUTO_TEST_CASE(ids_and_revisions_that_cannot_be) {
  for (const char* id : {"../name", "a/b/c", "org/na me"}) {
    request.id = id;
    check_failure({"no model id"});
  }
  request.id = "org/name";
  request.revision = "../../../x";
  check_failure({"no revision"});
  BOOST_TEST(hub.requests().empty());
}

BOOST_AUTO_TEST_CASE(a_server_that_is_no_hub) {
  answer("/api/models", [](Reply& reply) { reply.body = "<html>Sign in</html>"; });
  check_failure({"does not answer as the hub does", "<html>Sign in", "proxy"});
}

BOOST_AUTO_TEST_CASE(commits_that_lead_elsewhere) {
  answer("/api/models", [](Reply& reply) { reply.body = R"({"sha": "../../../evil", "siblings": []})"; });
  check_failure({"does not answer as the hub does"});
  BOOST_TEST(fs::is_empty(cache.path));
}

BOOST_AUTO_TEST_CASE(answers_of_another_commit) {
  answer("HEAD", [](Reply& reply) { set(reply, "X-Repo-Commit", commit_of('b')); });
  check_failure({"expected X-Repo-Commit " + commit_of('a'), commit_of('b')});
}

BOOST_AUTO_TEST_CASE(etags_that_lead_elsewhere) {
  answer("HEAD", [](Reply& reply) { set(reply, "ETag", "\"../../evil\""); });
  check_failure({"expected an ETag", "../../evil"});
}

BOOST_AUTO_TEST_CASE(no_etag) {
  answer("HEAD", [](Reply& reply) { reply.headers = {{"X-Repo-Commit", commit_of('a')}}; });
  check_failure({"expected an ETag"});
}

BOOST_AUTO_TEST_CASE(headers_that_the_storage_makes_up) {
  // The hub says nothing of the file itself, and the other server is not asked for the commit.
  answer("HEAD /org/name", [&](Reply& reply) {
    reply = {302, {{"Location", hub.storage() + "/x?name=config.json"}}, ""};
  });
  answer("HEAD /x", [](Reply& reply) {
    reply = {200, {{"X-Repo-Commit", commit_of('a')}, {"ETag", "x"}, {"X-Linked-Etag", "y"}}, "{}"};
  });
  check_failure({"expected X-Repo-Commit", "found none"});
}

BOOST_AUTO_TEST_CASE(files_that_lead_elsewhere) {
  hub.publish("org/evil", {{"config.json", "{}"}, {"model.safetensors", "x"}, {"1_Pooling/..", "x"}});
  request.id = "org/evil";
  check_failure({"outside of the model's folder"});
  hub.publish("org/shards", {{"config.json", "{}"},
                             {"tokenizer.json", "{}"},
                             {"model.safetensors.index.json", R"({"weight_map": {"a": "../../../evil"}})"}});
  request.id = "org/shards";
  check_failure({"evil", "own folder"});
  hub.publish("org/gap", {{"config.json", "{}"},
                          {"tokenizer.json", "{}"},
                          {"model.safetensors.index.json", R"({"weight_map": {"a": "1.safetensors"}})"}});
  request.id = "org/gap";
  check_failure({"1.safetensors", "does not have"});
}

BOOST_AUTO_TEST_CASE(a_cache_that_cannot_be_written) {
  write(cache / "file", "x");
  request.settings.cache = cache / "file";
  check_failure({"cannot create", "--cache_dir"});
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace refusal_test
