// SPDX-License-Identifier: Apache-2.0
// Connections that break, servers that are busy or wrong: what is tried again, and what is never put into the cache.
#include <boost/test/unit_test.hpp>
#include <chrono>

#include "core/error.hpp"
#include "hub.hpp"

namespace trouble_test {

using namespace hub_test;
using onnxport::hub::Model;

namespace {

constexpr size_t weight_bytes = 2'000'000;

/// A model of one large file, and what its cache looks like after a download.
struct Fixture {
  Fixture() {
    // Files of equal contents are one blob, and a spoiled one would not be asked for where its twin came first.
    hub.publish("org/name",
                {{"config.json", "{}"}, {"tokenizer.json", R"({"version": "1.0"})"}, {"model.safetensors", weights}});
  }

  fs::path fetch() {
    Model model = Model::open(request_for(hub, cache));
    model.fetch_weights();
    return model.folder();
  }
  fs::path blob() const { return cache / "models--org--name/blobs" / Hub::etag_of("model.safetensors", weights); }
  fs::path incomplete() const { return blob().string() + ".incomplete"; }

  void check_fetched() {
    BOOST_TEST((read(fetch() / "model.safetensors") == weights));
    BOOST_TEST(!fs::exists(incomplete()));
  }
  /// The download fails with a message that has all parts, and nothing looks as if it were whole.
  void check_failure(const std::vector<std::string>& parts) {
    const std::string text = failure_of([&] { fetch(); });
    for (const std::string& part : parts)
      BOOST_TEST(text.find(part) != std::string::npos, part << " is not in " << text);
    BOOST_TEST(!fs::exists(blob()));
    BOOST_TEST(
        !fs::exists(fs::symlink_status(cache / "models--org--name/snapshots" / commit_of('a') / "model.safetensors")));
    BOOST_TEST(!fs::exists(cache / "models--org--name/refs/main"));
  }
  std::vector<std::string> ranges() const {
    std::vector<std::string> asked;
    for (const Request& request : hub.requests("?name=")) asked.push_back(request.header("range"));
    return asked;
  }

  const std::string weights = random_bytes(weight_bytes);
  Hub hub;
  TemporaryFolder cache;
};

const std::string of_weights = "?name=model.safetensors";

}  // namespace

BOOST_FIXTURE_TEST_SUITE(trouble, Fixture)

BOOST_AUTO_TEST_CASE(cut_in_the_middle_and_resumed) {
  hub.spoil(of_weights, 2, [](const Request&, Reply& reply) { reply.cut = 600'000; });
  check_fetched();
  const std::vector<std::string> expected{"", "bytes=600000-", "bytes=1200000-"};
  BOOST_TEST(ranges() == expected, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(many_cuts_that_each_bring_something) {
  hub.spoil(of_weights, 12, [](const Request&, Reply& reply) { reply.cut = 150'000; });
  check_fetched();
  BOOST_TEST(ranges().size() == 13u);
}

BOOST_AUTO_TEST_CASE(resumed_from_an_earlier_run) {
  write(incomplete(), weights.substr(0, 1'500'000));
  check_fetched();
  const std::vector<std::string> expected{"bytes=1500000-"};
  BOOST_TEST(ranges() == expected, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(all_but_the_name_was_done) {
  write(incomplete(), weights);
  check_fetched();
  BOOST_TEST(ranges().empty());
}

BOOST_AUTO_TEST_CASE(a_part_of_something_else) {
  write(incomplete(), random_bytes(1'500'000, 7));
  check_fetched();
  const std::vector<std::string> expected{"bytes=1500000-", ""};
  BOOST_TEST(ranges() == expected, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_part_that_is_too_long) {
  write(incomplete(), weights + "more");
  check_fetched();
}

BOOST_AUTO_TEST_CASE(a_server_that_gives_no_parts) {
  write(incomplete(), random_bytes(1'500'000, 7));
  hub.spoil(of_weights, 1, [&](const Request&, Reply& reply) {
    reply.status = 200;
    reply.body = weights;
  });
  check_fetched();
  BOOST_TEST(ranges().size() == 1u);
}

BOOST_AUTO_TEST_CASE(a_server_that_gives_another_part) {
  write(incomplete(), weights.substr(0, 1'500'000));
  hub.spoil(of_weights, 1, [&](const Request&, Reply& reply) {
    reply.headers = {{"Content-Range", "bytes 1400000-1999999/2000000"}};
    reply.body = weights.substr(1'400'000);
  });
  check_fetched();
}

BOOST_AUTO_TEST_CASE(a_connection_that_stands_still) {
  hub.spoil(of_weights, 1, [](const Request&, Reply& reply) { reply.stall = 500'000; });
  auto request = request_for(hub, cache);
  request.settings.download_timeout = std::chrono::seconds(1);
  Model model = Model::open(request);
  model.fetch_weights();
  BOOST_TEST((read(model.folder() / "model.safetensors") == weights));
  BOOST_TEST(ranges().back() == "bytes=500000-");
}

BOOST_AUTO_TEST_CASE(busy_servers) {
  hub.spoil("/api/models", 2, [](const Request&, Reply& reply) { reply.status = 503; });
  hub.spoil("HEAD", 1, [](const Request&, Reply& reply) { reply = {500, {}, ""}; });
  hub.spoil(of_weights, 1, [](const Request&, Reply& reply) { reply = {502, {}, "<html>"}; });
  check_fetched();
}

BOOST_AUTO_TEST_CASE(as_long_as_the_server_asks_for) {
  hub.spoil(of_weights, 1, [](const Request&, Reply& reply) { reply = {429, {{"Retry-After", "1"}}, ""}; });
  const auto begin = std::chrono::steady_clock::now();
  check_fetched();
  BOOST_TEST((std::chrono::steady_clock::now() - begin >= std::chrono::seconds(1)));
}

BOOST_AUTO_TEST_CASE(longer_than_anybody_waits) {
  hub.spoil("/api/models", 1, [](const Request&, Reply& reply) { reply = {429, {{"Retry-After", "7200"}}, ""}; });
  check_failure({"429", "7200 s", "HF_TOKEN"});
  BOOST_TEST(hub.requests().size() == 1u);
}

BOOST_AUTO_TEST_CASE(a_server_that_stays_down) {
  hub.spoil(of_weights, -1, [](const Request&, Reply& reply) { reply = {503, {}, ""}; });
  check_failure({hub.storage(), "503", "5 times"});
}

BOOST_AUTO_TEST_CASE(a_connection_that_always_ends_at_the_same_place) {
  hub.spoil(of_weights, -1, [](const Request& request, Reply& reply) {
    if (request.header("range").empty())
      reply.cut = 600'000;
    else
      reply.cut = 0;
  });
  check_failure({"5 times"});
  BOOST_TEST(fs::file_size(incomplete()) == 600'000u);
}

BOOST_AUTO_TEST_CASE(wrong_bytes_once) {
  hub.spoil(of_weights, 1, [](const Request&, Reply& reply) { reply.body[1'000'000] ^= 1; });
  check_fetched();
  BOOST_TEST(ranges().size() == 2u);
}

BOOST_AUTO_TEST_CASE(wrong_bytes_always) {
  hub.spoil(of_weights, -1, [](const Request&, Reply& reply) { reply.body[1'000'000] ^= 1; });
  check_failure({"model.safetensors", "checksum", Hub::etag_of("model.safetensors", weights)});
  BOOST_TEST(fs::file_size(incomplete()) == 0u);
}

BOOST_AUTO_TEST_CASE(wrong_bytes_of_a_small_file) {
  hub.spoil("GET /org/name/resolve/" + commit_of('a') + "/config.json", -1,
            [](const Request&, Reply& reply) { reply.body = "[]"; });
  check_failure({"config.json", "checksum"});
}

BOOST_AUTO_TEST_CASE(too_few_bytes) {
  hub.spoil(of_weights, -1, [](const Request&, Reply& reply) {
    reply.status = 200;
    reply.body.resize(std::min<size_t>(reply.body.size(), 1'000'000));
  });
  check_failure({"1000000 bytes", "expected 2000000"});
}

BOOST_AUTO_TEST_CASE(too_many_bytes) {
  hub.spoil(of_weights, -1, [](const Request&, Reply& reply) { reply.body += "more"; });
  check_failure({"other bytes"});
}

BOOST_AUTO_TEST_CASE(a_body_longer_than_its_length) {
  hub.spoil(of_weights, 1, [](const Request&, Reply& reply) { reply.length = 1'000'000; });
  check_fetched();
}

BOOST_AUTO_TEST_CASE(redirects) {
  // A model that was renamed: the hub leads on, on its own address.
  hub.spoil("/api/models", 1, [](const Request& request, Reply& reply) {
    reply = {307, {{"Location", request.target + "?moved"}}, ""};
  });
  hub.spoil("/api/models", 1, [&](const Request&, Reply& reply) {
    reply = {200,
             {},
             "{\"sha\": \"" + commit_of('a') +
                 "\", \"siblings\": [{\"rfilename\": \"config.json\"}, "
                 "{\"rfilename\": \"model.safetensors\"}, {\"rfilename\": \"tokenizer.json\"}]}",
             {},
             {},
             {}};
  });
  check_fetched();
}

BOOST_AUTO_TEST_CASE(a_loop_of_redirects) {
  hub.spoil(of_weights, -1, [&](const Request& request, Reply& reply) {
    reply = {302, {{"Location", hub.storage() + request.target}}, ""};
  });
  check_failure({"redirects", "10 times"});
}

BOOST_AUTO_TEST_CASE(a_redirect_to_nowhere) {
  hub.spoil("/api/models", 1, [](const Request&, Reply& reply) { reply = {302, {}, ""}; });
  check_failure({"redirects to nowhere"});
}

BOOST_AUTO_TEST_CASE(a_redirect_to_a_file) {
  hub.spoil("/api/models", 1, [](const Request&, Reply& reply) {
    reply = {302, {{"Location", "file:///etc/passwd"}}, ""};
  });
  failure_of([&] { fetch(); });
}

BOOST_AUTO_TEST_CASE(an_address_of_the_storage_that_ran_out) {
  hub.spoil(of_weights, 1, [](const Request&, Reply& reply) { reply = {403, {}, "<Error>Expired</Error>"}; });
  check_fetched();
  BOOST_TEST(hub.requests("GET /org/name/resolve/" + commit_of('a') + "/model.safetensors").size() == 2u);
}

BOOST_AUTO_TEST_CASE(more_than_the_disk_holds) {
  hub.spoil("HEAD /org/name/resolve/" + commit_of('a') + "/model.safetensors", -1, [](const Request&, Reply& reply) {
    for (auto& [name, value] : reply.headers) {
      if (name == "X-Linked-Size") value = "1000000000000000000";
    }
  });
  check_failure({"not enough space", cache.path.string(), "EB", "free"});
  BOOST_TEST(ranges().empty(), "known before the first byte");
}

BOOST_AUTO_TEST_CASE(stopped_and_gone_on) {
  std::atomic<bool> cancel{false};
  hub.spoil(of_weights, 1, [&](const Request&, Reply& reply) {
    reply.stall = 700'000;
    cancel = true;
  });
  auto request = request_for(hub, cache);
  request.progress.cancel = &cancel;
  Model model = Model::open(request);
  BOOST_CHECK_EXCEPTION(model.fetch_weights(), onnxport::Error,
                        [](const onnxport::Error& error) { return std::string(error.what()) == "interrupted"; });
  BOOST_TEST(!fs::exists(blob()));
  BOOST_TEST(!fs::exists(cache / "models--org--name/refs/main"));
  check_fetched();
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace trouble_test
