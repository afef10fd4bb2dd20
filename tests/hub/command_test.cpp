// SPDX-License-Identifier: Apache-2.0
// The command with model ids: export, validation, two at once, interruption.
#include <signal.h>

#include <boost/test/unit_test.hpp>
#include <nlohmann/json.hpp>

#include "command.hpp"
#include "hub.hpp"
#include "tests/support/skips.hpp"

namespace command_test {

using namespace hub_test;
using cli::contains;
using cli::Outcome;
using cli::Sandbox;

namespace {

/// A tiny BERT at a hub, and a sandbox whose cache is empty.
struct Fixture {
  Fixture() {
    files = Hub::files_of(sandbox.checkpoint("made"));
    files["tokenizer_config.json"] = "{}";
    fs::remove_all(sandbox / "made");
    hub.publish("org/bert", files);
  }
  Sandbox::Options online(cli::Words more = {}) const {
    more.push_back("HF_ENDPOINT=" + hub.endpoint());
    return {.environment = std::move(more)};
  }
  fs::path repository() const { return sandbox / "home/.cache/huggingface/hub/models--org--bert"; }
  fs::path incomplete() const {
    return repository() / "blobs" / (Hub::etag_of("model.safetensors", files.at("model.safetensors")) + ".incomplete");
  }

  /// Whether the first bytes of the weights are there.
  bool has_begun() const {
    std::error_code ignored;
    const auto size = fs::file_size(incomplete(), ignored);
    return !ignored && size > 0;
  }

  Hub hub;
  Sandbox sandbox;
  Files files;
};

const cli::Words by_id{"export", "-m", "org/bert", "--no-validate", "out"};
const std::string of_weights = "?name=model.safetensors";

}  // namespace

BOOST_FIXTURE_TEST_SUITE(command, Fixture)

BOOST_AUTO_TEST_CASE(export_and_validate_by_id) {
  const Outcome first = sandbox.run(by_id, online());
  BOOST_TEST(first.status == 0, first.err);
  BOOST_TEST(contains(first.out, "downloading org/bert"));
  BOOST_TEST(contains(first.out, "checkpoint: org/bert, commit aaaaaaaaaaaa ("), first.out);
  BOOST_TEST(fs::exists(sandbox / "out/model.onnx"));
  BOOST_TEST(fs::exists(sandbox / "out/tokenizer_config.json"));
  BOOST_TEST(!fs::is_symlink(sandbox / "out/config.json"));
  BOOST_TEST(read(repository() / "refs/main") == commit_of('a'));

  hub.forget_requests();
  const Outcome second = sandbox.run({"export", "-m", "org/bert", "--no-validate", "--json", "again"}, online());
  const auto json = nlohmann::json::parse(second.out);
  BOOST_TEST(json.at("checkpoint").at("commit").get<std::string>() == commit_of('a'));
  BOOST_TEST(json.at("checkpoint").at("fetched_files").get<int>() == 0);
  BOOST_TEST(hub.requests().empty());
  if (!cli::has_reference()) return onnxport::test::not_run("the reference back end is not built");
  const Outcome valid = sandbox.run({"validate", "out", "-m", "org/bert"}, online());
  BOOST_TEST(valid.status == 0, valid.err);
}

BOOST_AUTO_TEST_CASE(shards_behind_the_links_of_a_snapshot) {
  const fs::path fixture = fs::path(ONNXPORT_PLUGIN_SOURCES) / "bert/cases/bert-options/untied-BertModel";
  hub.publish("org/shards", Hub::files_of(fixture));
  const Outcome by_name = sandbox.run({"export", "-m", "org/shards", "--no-validate", "out"}, online());
  BOOST_TEST(by_name.status == 0, by_name.err);
  const Outcome by_folder = sandbox.run({"export", "-m", fixture.string(), "--no-validate", "out2"});
  BOOST_TEST(by_folder.status == 0, by_folder.err);
  BOOST_TEST((sandbox.read("out/model.onnx") == sandbox.read("out2/model.onnx")));
}

BOOST_AUTO_TEST_CASE(places_of_the_cache) {
  const Outcome named = sandbox.run({"--model=org/bert", "--cache_dir=here", "--no-validate", "out"}, online());
  BOOST_TEST(named.status == 0, named.err);
  BOOST_TEST(fs::exists(sandbox / "here/models--org--bert/refs/main"));
  // The model's folder in a cache is one that -m takes.
  hub.forget_requests();
  const Outcome folder = sandbox.run({"export", "-m", "here/models--org--bert/", "--no-validate", "out"}, online());
  BOOST_TEST(folder.status == 0, folder.err);
  BOOST_TEST(hub.requests().empty());
  const Outcome home = sandbox.run(by_id, online({"HF_HOME=" + (sandbox / "hf").string()}));
  BOOST_TEST(home.status == 0, home.err);
  BOOST_TEST(fs::exists(sandbox / "hf/hub/models--org--bert/refs/main"));
}

BOOST_AUTO_TEST_CASE(a_folder_wins) {
  sandbox.checkpoint("org/bert");
  const Outcome outcome = sandbox.run(by_id, online());
  BOOST_TEST(outcome.status == 0, outcome.err);
  BOOST_TEST(hub.requests().empty());
  cli::check_failure(sandbox, {"export", "-m", "org/bert", "--revision", "v1", "out2"}, 2, {"--revision", "folder"});
}

BOOST_AUTO_TEST_CASE(neither_folder_nor_id) {
  cli::check_failure(sandbox, {"export", "-m", "./org/bert", "out"}, 3, {"no model folder './org/bert'", "model id"});
  cli::check_failure(sandbox, by_id, 3, {"HF_HUB_OFFLINE", "org/bert", (sandbox / "org/bert").string()},
                     {.environment = {"HF_HUB_OFFLINE=1"}});
  cli::check_failure(sandbox, {"validate", "out", "--case", "x", "--revision", "v1"}, 2, {"--revision", "--model"});
  cli::check_failure(sandbox, {"export", "-m", "org/none", "out"}, 3, {"no model 'org/none'"}, online());
}

BOOST_AUTO_TEST_CASE(an_unknown_type_is_told_before_its_weights_are_fetched) {
  files["config.json"] = cli::tiny_config(R"({"model_type": "bret"})");
  hub.publish("org/bert", files);
  const Outcome outcome = sandbox.run(by_id, online());
  BOOST_TEST(outcome.status == 2);
  BOOST_TEST(contains(outcome.err, "bret"));
  BOOST_TEST(hub.requests("model.safetensors").empty());
}

BOOST_AUTO_TEST_CASE(a_model_without_room_is_told_before_its_weights_are_fetched) {
  files["config.json"] =
      cli::tiny_config(R"({"hidden_size": 65536, "intermediate_size": 262144, "num_hidden_layers": 999})");
  hub.publish("org/bert", files);
  const Outcome disk = sandbox.run(by_id, online());
  BOOST_TEST(disk.status == 5);
  BOOST_TEST(contains(disk.err, "are needed"), disk.err);
  if (cli::has_reference()) {
    const Outcome memory = sandbox.run({"export", "-m", "org/bert", "out"}, online());
    BOOST_TEST(memory.status == 2);
    BOOST_TEST(contains(memory.err, "--no-validate"), memory.err);
  }
  BOOST_TEST(hub.requests("model.safetensors").empty());
}

BOOST_AUTO_TEST_CASE(two_at_once) {
  hub.spoil(of_weights, -1, [](const Request&, Reply& reply) { reply.pause_ms = 60; });
  // The second starts when the first is in the middle.
  Outcome second;
  Sandbox::Options options = online();
  options.when = [&] {
    if (!has_begun()) return false;
    second = sandbox.run({"export", "-m", "org/bert", "--no-validate", "out2"}, online());
    return true;
  };
  const Outcome first = sandbox.run(by_id, options);
  BOOST_TEST(first.status == 0, first.err);
  BOOST_TEST(second.status == 0, second.err);
  BOOST_TEST(contains(second.out, "waiting for another process"), second.out);
  BOOST_TEST((sandbox.read("out/model.onnx") == sandbox.read("out2/model.onnx")));
  BOOST_TEST(hub.requests(of_weights).size() == 1u, "the second waits for the first");
}

BOOST_AUTO_TEST_CASE(interrupted_and_gone_on) {
  hub.spoil(of_weights, 1, [](const Request&, Reply& reply) { reply.stall = reply.body.size() / 2; });
  Sandbox::Options options = online();
  options.signal = SIGINT;
  options.when = [&] { return has_begun(); };
  const Outcome outcome = sandbox.run(by_id, options);
  BOOST_TEST(outcome.status == 130, outcome.err);
  BOOST_TEST(!fs::exists(sandbox / "out"));
  BOOST_TEST(!fs::exists(repository() / "refs"));
  BOOST_TEST(!fs::exists(repository() / "snapshots" / commit_of('a') / "model.safetensors"));
  BOOST_TEST(fs::exists(incomplete()));
  hub.forget_requests();
  const Outcome again = sandbox.run(by_id, online());
  BOOST_TEST(again.status == 0, again.err);
  BOOST_TEST(hub.requests(of_weights).at(0).header("range").starts_with("bytes="));
}

BOOST_AUTO_TEST_CASE(killed_and_gone_on) {
  hub.spoil(of_weights, 1, [](const Request&, Reply& reply) { reply.stall = reply.body.size() / 2; });
  Sandbox::Options options = online();
  options.signal = SIGKILL;
  options.when = [&] { return has_begun(); };
  BOOST_TEST(sandbox.run(by_id, options).status == 128 + SIGKILL);
  const Outcome again = sandbox.run(by_id, online());
  BOOST_TEST(again.status == 0, again.err);
  BOOST_TEST(fs::exists(sandbox / "out/model.onnx"));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace command_test
