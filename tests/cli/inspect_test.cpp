// SPDX-License-Identifier: Apache-2.0
// onnxport inspect: what a file holds and costs, and what is wrong with it.
#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "command.hpp"
#include "tests/support/skips.hpp"

namespace inspect_test {

using namespace cli;
using Json = nlohmann::json;

namespace {

const Json* row(const Json& list, const std::string& key, const std::string& value) {
  for (const Json& entry : list) {
    if (entry.at(key) == value) return &entry;
  }
  return nullptr;
}

/// A sandbox with an export of the tiny BERT, its weights beside it.
struct Exported {
  Sandbox sandbox;
  Exported() {
    sandbox.checkpoint();
    BOOST_REQUIRE(sandbox.run({"export", "-m", "bert", "--no-validate", "--external-data", "out"}).status == 0);
  }
  Json inspect(const Words& options, int status = 0) const {
    Words words{"inspect", "out", "--json"};
    words.insert(words.end(), options.begin(), options.end());
    const Outcome outcome = sandbox.run(words);
    BOOST_TEST(outcome.status == status, outcome.out);
    return parsed(outcome);
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(inspect)

BOOST_AUTO_TEST_CASE(parameters_are_told_by_type_and_module) {
  const Exported exported;
  const Json json = exported.inspect({});
  const Json* all = row(json.at("modules"), "path", "");
  BOOST_REQUIRE(all != nullptr);
  uint64_t bytes = 0;
  for (const auto& [type, stored] : json.at("initializers").items()) bytes += stored.at("bytes").get<uint64_t>();
  BOOST_TEST(all->at("bytes") == bytes);
  const Json *layer = row(json.at("modules"), "path", "bert.encoder.layer.0"),
             *query = row(json.at("modules"), "path", "bert.encoder.layer.0.attention.self.query");
  BOOST_REQUIRE((layer != nullptr && query != nullptr));
  const Json config = Json::parse(tiny_config());
  const auto hidden = config.at("hidden_size").get<int64_t>();
  BOOST_TEST(query->at("parameters") == hidden * hidden + hidden);
  BOOST_TEST(layer->at("operations").get<int64_t>() > query->at("operations").get<int64_t>());
}

/// Axes and shapes of the graph are stored as weights are, and nobody trained them.
BOOST_AUTO_TEST_CASE(whole_numbers_of_the_graph_are_no_parameters) {
  const Exported exported;
  const Json json = exported.inspect({}), config = Json::parse(tiny_config());
  const Json* positions = row(json.at("modules"), "path", "bert.embeddings.position_embeddings");
  BOOST_REQUIRE(positions != nullptr);
  BOOST_TEST(positions->at("parameters") ==
             config.at("hidden_size").get<int64_t>() * config.at("max_position_embeddings").get<int64_t>());
}

BOOST_AUTO_TEST_CASE(a_graph_is_drawn_by_modules) {
  if (std::system("command -v dot >/dev/null 2>&1") != 0)
    return onnxport::test::not_run("there is no Graphviz (apt-get install graphviz)");
  const Exported exported;
  exported.inspect({"--graph", "graph.svg", "--depth", "1"});
  const std::string drawn = exported.sandbox.read("graph.svg");
  for (const char* part : {"<svg", "input_ids", "logits", ">bert<", "nodes"}) BOOST_TEST(contains(drawn, part), part);
  exported.inspect({"--graph", "graph.html"});
  const std::string page = exported.sandbox.read("graph.html");
  for (const char* part : {"<details", "query", "bert.encoder.layer.1", "href=\"#module-1\"", "id=\"module-1\""})
    BOOST_TEST(contains(page, part), part);
  BOOST_TEST(!contains(page, "<script"));
  exported.inspect({"--graph", "graph.png"});
  BOOST_TEST(exported.sandbox.read("graph.png").starts_with("\x89PNG"));
  const Json refused = exported.inspect({"--graph", "graph.gif"}, 2);
  BOOST_TEST(refused.at("status") == "error");
  BOOST_TEST(!refused.contains("modules"));  // it was known before
  BOOST_TEST(exported.inspect({"--graph", "none/graph.svg"}, 2).at("status") == "error");
}

/// The law, evaluated by hand, is what is counted at any lengths.
BOOST_AUTO_TEST_CASE(costs_follow_the_axes) {
  const Exported exported;
  for (const auto& [batch, sequence] : {std::pair{1, 8}, std::pair{3, 21}}) {
    const Json json =
        exported.inspect({"--sizes", "batch=" + std::to_string(batch) + ",sequence=" + std::to_string(sequence)});
    const Json& cost = json.at("cost");
    BOOST_TEST(cost.at("sizes") == Json({{"batch", batch}, {"sequence", sequence}}));
    int64_t sum = 0;
    for (const Json& term : cost.at("law")) {
      auto value = term.at("factor").get<int64_t>();
      for (int i = 0; i < term.at("powers").value("batch", 0); ++i) value *= batch;
      for (int i = 0; i < term.at("powers").value("sequence", 0); ++i) value *= sequence;
      sum += value;
    }
    BOOST_TEST(cost.at("operations") == sum);
    BOOST_TEST(cost.at("not_counted").at("unknown_sizes").empty());
    BOOST_TEST(cost.at("activation_bytes").get<int64_t>() > 0);
  }
}

BOOST_AUTO_TEST_CASE(sizes_that_mean_nothing_are_refused) {
  const Exported exported;
  check_failure(exported.sandbox, {"inspect", "out", "--sizes", "sequenze=3"}, 2, {"sequenze", "batch, sequence"});
  check_failure(exported.sandbox, {"inspect", "out", "--sizes", "sequence"}, 2, {"no axis with its length"});
  check_failure(exported.sandbox, {"inspect", "out", "--runtime", "onnxruntime=0.3"}, 2, {"is not known"});
}

BOOST_AUTO_TEST_CASE(data_that_is_missing_is_found) {
  const Exported exported;
  BOOST_TEST(exported.inspect({}).at("findings").empty());
  fs::resize_file(exported.sandbox / "out/model.onnx_data", 5000);
  const Json cut = exported.inspect({}, 1);
  const Json* finding = row(cut.at("findings"), "kind", "missing-data");
  BOOST_REQUIRE(finding != nullptr);
  BOOST_TEST(contains(finding->at("text").get<std::string>(), "behind the end"));
  fs::remove(exported.sandbox / "out/model.onnx_data");
  const Json gone = exported.inspect({}, 1);
  BOOST_TEST(contains(row(gone.at("findings"), "kind", "missing-data")->at("text").get<std::string>(), "not there"));
  BOOST_TEST(gone.at("status") == "defective");
}

BOOST_AUTO_TEST_CASE(what_a_runtime_lacks_is_told) {
  const Exported exported;  // opset 18
  BOOST_TEST(exported.inspect({"--runtime", "onnxruntime=1.17"}).at("findings").empty());
  BOOST_REQUIRE(exported.sandbox.run({"export", "-m", "bert", "--no-validate", "--opset", "21", "out"}).status == 0);
  const Json json = exported.inspect({"--runtime", "onnxruntime=1.17"}, 1);
  size_t lacks = 0;
  for (const Json& finding : json.at("findings")) lacks += finding.at("kind") == "runtime-lacks" ? 1 : 0;
  BOOST_TEST(lacks == 2u);  // the file's format and the opset
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace inspect_test
