// SPDX-License-Identifier: Apache-2.0
// --report: what a run did and found, as a file.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "command.hpp"
#include "tests/support/skips.hpp"

namespace report_file_test {

using namespace cli;
using Json = nlohmann::json;

namespace {

/// The words of JSON Schema that docs/report.schema.json uses, as far as they are needed to hold a report to it.
class Schema {
 public:
  explicit Schema(Json root) : root_(std::move(root)) {}

  std::vector<std::string> faults(const Json& value) const {
    std::vector<std::string> found;
    check(root_, value, "report", found);
    return found;
  }

 private:
  static bool is_a(const Json& value, const std::string& type) {
    if (type == "object") return value.is_object();
    if (type == "array") return value.is_array();
    if (type == "string") return value.is_string();
    if (type == "integer") return value.is_number_integer();
    if (type == "number") return value.is_number();
    if (type == "boolean") return value.is_boolean();
    return type == "null" && value.is_null();
  }

  void check(const Json& schema, const Json& value, const std::string& place, std::vector<std::string>& found) const {
    if (schema.contains("$ref"))
      check(root_.at(Json::json_pointer(schema["$ref"].get<std::string>().substr(1))), value, place, found);
    if (schema.contains("const") && value != schema["const"]) found.push_back(place + " has another value");
    if (schema.contains("enum") &&
        std::find(schema["enum"].begin(), schema["enum"].end(), value) == schema["enum"].end())
      found.push_back(place + " is " + value.dump());
    if (schema.contains("type")) {
      const Json types = schema["type"].is_array() ? schema["type"] : Json::array({schema["type"]});
      const bool fits = std::any_of(types.begin(), types.end(), [&](const Json& type) { return is_a(value, type); });
      if (!fits) found.push_back(place + " is no " + types.dump());
    }
    for (const Json& key : schema.value("required", Json::array())) {
      if (!value.contains(key.get<std::string>())) found.push_back(place + " lacks " + key.get<std::string>());
    }
    const Json properties = schema.value("properties", Json::object());
    if (value.is_object()) {
      for (const auto& [key, part] : value.items()) {
        if (properties.contains(key)) check(properties[key], part, place + "." + key, found);
      }
    }
    if (value.is_array() && schema.contains("items")) {
      for (const Json& entry : value) check(schema["items"], entry, place + "[]", found);
    }
  }

  Json root_;
};

const Schema& schema() {
  static const Schema read([] {
    std::ifstream in(fs::path(ONNXPORT_PLUGIN_SOURCES).parent_path() / "docs/report.schema.json");
    return Json::parse(in);
  }());
  return read;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(report_file)

BOOST_AUTO_TEST_CASE(json_is_what_the_schema_says, *boost::unit_test::precondition(reference_built)) {
  const Sandbox sandbox;
  sandbox.checkpoint();
  BOOST_REQUIRE(sandbox.run({"export", "-m", "bert", "--report", "r.json", "out"}).status == 0);
  const Json report = Json::parse(sandbox.read("r.json"));
  for (const std::string& fault : schema().faults(report)) BOOST_ERROR(fault);
  BOOST_TEST(report.at("status") == "ok");
  BOOST_TEST(report.at("command").at(0) == "export");
  BOOST_TEST(report.at("config_fields").at("read").contains("hidden_size"));
  BOOST_TEST(report.at("validation").at("runs").size() >= 3u);
  BOOST_TEST(report.at("timings").at("total").get<double>() >= report.at("timings").at("written").get<double>());
  BOOST_TEST(report.at("memory").at("peak_bytes").get<uint64_t>() > 1'000'000u);
  BOOST_TEST(report.at("sources").size() == 2u);  // the config and the weights
  BOOST_TEST(report.at("plugin").at("sha256").get<std::string>().size() == 64u);
  BOOST_TEST(report.at("axes").at("inputs").at("input_ids").at("1") == "sequence");
  // What is tested can fail.
  Json broken = report;
  broken["status"] = "good";
  broken["files"][0].erase("sha256");
  BOOST_TEST(schema().faults(broken).size() == 2u);
}

/// All kinds of reports: what was written and not compared, several graphs, 16 bits, segments, a difference, files that
/// it was compared with and on, those of others, and what was imported.
BOOST_AUTO_TEST_CASE(every_kind_of_report_is_what_the_schema_says, *boost::unit_test::precondition(reference_built)) {
  const Sandbox sandbox;
  sandbox.checkpoint();
  sandbox.write("ids.txt", "2 17 23 11 3\n");
  sandbox.write("t5.json", R"({"model_type": "t5", "architectures": ["T5ForConditionalGeneration"], "d_model": 16,
                               "d_kv": 8, "d_ff": 24, "num_layers": 1, "num_heads": 2, "vocab_size": 60})");
  BOOST_REQUIRE(sandbox.run({"synth", "t5.json", "t5", "--quiet"}).status == 0);
  const fs::path fixtures = fs::path(ONNXPORT_TEST_SOURCE_DIR) / "fixtures";
  const fs::path recorded =
      fs::path(ONNXPORT_PLUGIN_SOURCES) / "bert/cases/bert/BertForMaskedLM/case-masked-lm-0.safetensors";
  const std::string original = (fixtures / "torchscript/BertForMaskedLM.pt").string();
  fs::copy(fs::path(ONNXPORT_PLUGIN_SOURCES) / "bert/cases/bert/BertForMaskedLM", sandbox / "own",
           fs::copy_options::recursive);
  const struct {
    Words words;
    int status;
    size_t judges;
  } runs[] = {
      {{"export", "-m", "bert", "--no-validate", "out"}, 0, 0},
      {{"export", "-m", "bert", "--dry-run", "nowhere"}, 0, 0},
      {{"export", "-m", "t5", "--layout", "split", "--feature", "seq2seq-lm-with-past", "t5-out"}, 0, 0},
      {{"export", "-m", "bert", "--dtype", "fp16", "--keep-fp32", "auto", "--calibration", "ids.txt", "half"}, 0, 1},
      {{"export", "-m", "bert", "--segment-size", "10kB", "--trace-values", "pieces"}, 0, 0},
      {{"export", "-m", "bert", "--atol", "1e-30", "off"}, 1, 0},
      {{"export", "-m", "own", "--case", recorded.string(), "--reference", original, "judged"}, 0, 2},
      {{"validate", "judged", "--case", recorded.string()}, 0, 1},
      {{"validate", "out", "-m", "nowhere"}, 3, 0},
      {{"export", "-m", "bert", "--opset", "99", "out"}, 2, 0},
  };
  for (const auto& one : runs) {
    Words words = one.words;
    words.insert(words.end(), {"--report", "r.json"});
    const Outcome outcome = sandbox.run(words);
    BOOST_TEST_CONTEXT(outcome.out << outcome.err) {
      BOOST_TEST(outcome.status == one.status);
      const Json report = Json::parse(sandbox.read("r.json"));
      for (const std::string& fault : schema().faults(report)) BOOST_ERROR(fault);
      BOOST_TEST(report.at("exit_status") == one.status);
      BOOST_TEST(report.value("judged_by", Json::array()).size() == one.judges);
    }
    fs::remove(sandbox / "r.json");
  }
}

/// The page stands alone: it asks for no other file and runs nothing, and what the model's files say stays text.
BOOST_AUTO_TEST_CASE(html_stands_alone) {
  const Sandbox sandbox;
  sandbox.checkpoint("<b>x");
  BOOST_REQUIRE(sandbox.run({"export", "-m", "<b>x", "--no-validate", "--report", "r.html", "out"}).status == 0);
  const std::string page = sandbox.read("r.html");
  for (const char* part : {"<!DOCTYPE html>", "Fields of config.json", "hidden_size", "model.onnx", "&lt;b&gt;x",
                           "sha256", "onnxport export -m '&lt;b&gt;x' --no-validate --report r.html out<"})
    BOOST_TEST(contains(page, part), part);
  for (const char* part : {"<script", "<b>x", "src=", "href=", "url("}) BOOST_TEST(!contains(page, part), part);
}

BOOST_AUTO_TEST_CASE(a_failure_has_a_report_as_well) {
  const Sandbox sandbox;
  sandbox.checkpoint();
  sandbox.write("bert/model.safetensors", "");
  BOOST_TEST(sandbox.run({"export", "-m", "bert", "--no-validate", "--report", "r.json", "out"}).status == 3);
  const Json report = Json::parse(sandbox.read("r.json"));
  for (const std::string& fault : schema().faults(report)) BOOST_ERROR(fault);
  BOOST_TEST(report.at("status") == "error");
  BOOST_TEST(report.at("exit_status") == 3);
  BOOST_TEST(report.at("error").at("kind") == "checkpoint");
}

/// What was compared with what, and by which plugin, where nothing is written.
BOOST_AUTO_TEST_CASE(a_validation_tells_as_much, *boost::unit_test::precondition(reference_built)) {
  const Sandbox sandbox;
  sandbox.checkpoint();
  BOOST_REQUIRE(sandbox.run({"export", "-m", "bert", "--no-validate", "--report", "e.json", "out"}).status == 0);
  BOOST_REQUIRE(sandbox.run({"validate", "out", "-m", "bert", "--report", "v.json"}).status == 0);
  const Json exported = Json::parse(sandbox.read("e.json")), validated = Json::parse(sandbox.read("v.json"));
  for (const std::string& fault : schema().faults(validated)) BOOST_ERROR(fault);
  for (const char* key : {"model_type", "feature", "plugin", "sources"})
    BOOST_TEST(validated.at(key) == exported.at(key), key);
  BOOST_REQUIRE(validated.at("files").size() == 1u);
  BOOST_TEST(validated.at("files")[0].at("sha256") == exported.at("files")[0].at("sha256"));
}

BOOST_AUTO_TEST_CASE(its_name_tells_what_is_written) {
  const Sandbox sandbox;
  sandbox.checkpoint();
  check_failure(sandbox, {"export", "-m", "bert", "--no-validate", "--report", "r.txt", "out"}, 2, {".html", ".json"});
  check_failure(sandbox, {"export", "-m", "bert", "--no-validate", "--report", "no/r.html", "out"}, 2, {"no folder"});
}

/// Where there is a browser: what it shows is the text, and it has nothing to complain about.
BOOST_AUTO_TEST_CASE(a_browser_shows_the_page) {
  if (std::system("command -v chromium >/dev/null 2>&1") != 0) {
    onnxport::test::not_run("there is no chromium (apt-get install chromium)");
    return;
  }
  const Sandbox sandbox;
  sandbox.checkpoint();
  BOOST_REQUIRE(sandbox.run({"export", "-m", "bert", "--no-validate", "--report", "r.html", "out"}).status == 0);
  const std::string call =
      "chromium --headless --no-sandbox --disable-gpu --user-data-dir=" + (sandbox / "profile").string() +
      " --enable-logging=stderr --dump-dom file://" + (sandbox / "r.html").string() + " >" +
      (sandbox / "dom").string() + " 2>" + (sandbox / "log").string();
  BOOST_REQUIRE(std::system(call.c_str()) == 0);
  const std::string dom = sandbox.read("dom");
  for (const char* part : {"masked-lm", "hidden_size", "model.onnx"}) BOOST_TEST(contains(dom, part), part);
  BOOST_TEST(!contains(sandbox.read("log"), "CONSOLE"));
}

/// A report is written over an earlier one, and over nothing else: config.json is JSON, too.
BOOST_AUTO_TEST_CASE(no_other_file_becomes_a_report) {
  const Sandbox sandbox;
  sandbox.checkpoint();
  const std::string config = sandbox.read("bert/config.json");
  const Words words{"export", "-m", "bert", "--no-validate", "out", "--report"};
  const auto with = [&](const char* report) {
    Words all = words;
    all.emplace_back(report);
    return all;
  };
  check_failure(sandbox, with("bert/config.json"), 2, {"--report bert/config.json is there already, and is no report"});
  BOOST_TEST((sandbox.read("bert/config.json") == config));
  BOOST_TEST(!fs::exists(sandbox / "out"));
  for (const char* report : {"r.json", "r.html", "r.json", "r.html", "out/r.json"})
    BOOST_TEST(sandbox.run(with(report)).status == 0, report);
  check_failure(sandbox, with("out/config.json"), 2, {"is no report"});
  check_failure(sandbox, with("new/r.json"), 2, {"there is no folder new"});
  // One that the export itself writes in the meantime.
  fs::remove(sandbox / "out/config.json");
  BOOST_TEST(sandbox.run(with("out/config.json")).status == 2);
  BOOST_TEST((sandbox.read("out/config.json") == config));
}

/// Where it was made from is in the file, and does not make two exports differ.
BOOST_AUTO_TEST_CASE(provenance_is_the_same_everywhere) {
  const Sandbox sandbox;
  sandbox.checkpoint();
  fs::create_directory(sandbox / "elsewhere");
  fs::copy(sandbox / "bert", sandbox / "elsewhere/copy");
  BOOST_REQUIRE(sandbox.run({"export", "-m", "bert", "--no-validate", "--report", "r.json", "a"}).status == 0);
  BOOST_REQUIRE(sandbox.run({"export", "-m", "elsewhere/copy", "--no-validate", "b"}).status == 0);
  const std::string model = sandbox.read("a/model.onnx");
  BOOST_TEST((model == sandbox.read("b/model.onnx")));
  const Json report = Json::parse(sandbox.read("r.json"));
  for (const Json& file : report.at("sources")) {
    if (fs::path(file.at("path").get<std::string>()).filename() == "config.json")
      BOOST_TEST(contains(model, file.at("sha256").get<std::string>()));
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace report_file_test
