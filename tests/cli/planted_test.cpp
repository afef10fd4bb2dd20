// SPDX-License-Identifier: Apache-2.0
// Plugins with one fault each, against what was recorded of the original (export --case): every fault is found, and the
// module in which it is is named. Definition and file agree in all of them, so that nobody else can tell. And files
// that are not what the definition says, as a wrong lowering would write them, which libtorch alone tells.
#include <boost/test/unit_test.hpp>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "command.hpp"
#include "core/inspect/onnx_file.hpp"

namespace planted_test {

using namespace cli;
using Json = nlohmann::json;
namespace pb = onnxport::inspect::pb;

namespace {

const fs::path recordings = fs::path(ONNXPORT_TEST_SOURCE_DIR) / "fixtures/planted";

/// A checkpoint of which a case was recorded with modules, as "model", drawn as the recording says.
struct Recorded : Sandbox {
  explicit Recorded(const std::string& model_type) {
    std::ifstream in(recordings / "index.json");
    for (const Json& row : Json::parse(in)) {
      if (row.at("model_type") != model_type) continue;
      const fs::path folder = recordings / row.at("path").get<std::string>();
      const Json& drawn = row.at("weights").at("synth");
      recorded = folder / row.at("cases").at(0).get<std::string>();
      const Outcome made = run({"synth", (folder / "config.json").string(), "model", "--seed", drawn.at("seed").dump(),
                                "--form", drawn.at("form").dump(), "--feature", "causal-lm", "--quiet"});
      BOOST_REQUIRE_MESSAGE(made.status == 0, made.err);
    }
  }
  void plant(const std::string& fault) const {
    Json config = Json::parse(read("model/config.json"));
    config["planted"] = fault;
    write("model/config.json", config.dump());
  }
  Outcome exported(const Words& options) const {
    Words words{"export", "-m", "model", "--feature", "causal-lm", "--position-ids", "sequence", "--json", "out"};
    words.insert(words.end(), options.begin(), options.end());
    return run(words);
  }
  Words wrong() const {
    return {"--plugin-dir",   fixture_plugins("planted").string(), "--plugin", "org.onnxport.test.planted", "--case",
            recorded.string()};
  }

  fs::path recorded;
};

/// A fault, and where it is.
struct Fault {
  const char *what, *module;
};

void check_found(const char* model_type, const Fault& fault) {
  const Recorded model(model_type);
  model.plant(fault.what);
  Words options = model.wrong();
  options.emplace_back("--allow-unused");
  const Outcome outcome = model.exported(options);
  BOOST_TEST_CONTEXT(fault.what << "\n" << outcome.out) {
    BOOST_TEST(outcome.status == 1);
    const Json told = parsed(outcome);
    BOOST_TEST(told.at("status") == "differs");
    const Json& validation = told.at("validation");
    // What the plugin defines is what was written: the original alone tells.
    for (const Json& run : validation.at("runs")) BOOST_TEST(run.at("passes").get<bool>() == !run.contains("original"));
    const auto place = validation.at("first_departure").get<std::string>();
    BOOST_TEST(place.starts_with(fault.module), place);
    BOOST_TEST(contains(told.at("error").at("hint").get<std::string>(), fault.module));
  }
}

/// What a lowering got wrong: a node takes another value in one place.
struct Rewired {
  const char *what, *node;
  int input;
  const char *takes, *module;
};
const std::string layer = "/transformer/h.1/";

/// The node of that name in the model.
pb::NodeProto& node_named(pb::ModelProto& model, const std::string& name) {
  for (auto& node : *model.mutable_graph()->mutable_node()) {
    if (node.name() == name) return node;
  }
  throw std::runtime_error("no node " + name);
}

/// Writes the model and checks that validation names the module.
void check_told(const Recorded& model, const pb::ModelProto& wrong, const std::string& module) {
  std::string bytes;
  BOOST_REQUIRE(wrong.SerializeToString(&bytes));
  model.write("out/model.onnx", bytes);
  const Outcome outcome = model.run({"validate", "out", "-m", "model", "--json"});
  BOOST_TEST(outcome.status == 1, outcome.out);
  const auto place = parsed(outcome).at("validation").at("first_departure").get<std::string>();
  BOOST_TEST(place.starts_with(module), place);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(planted, *boost::unit_test::precondition(reference_built))

BOOST_AUTO_TEST_CASE(the_right_plugins_pass) {
  for (const char* model_type : {"gpt_neo", "mixtral"}) {
    const Recorded model(model_type);
    const Outcome right = model.exported({"--case", model.recorded.string()});
    BOOST_TEST(right.status == 0, right.out);
    size_t judged = 0;
    const Json told = parsed(right);
    for (const Json& run : told.at("validation").at("runs")) judged += run.contains("original") ? 1 : 0;
    BOOST_TEST(judged == 1u);
    // So does the other one, as long as nothing is planted.
    const Outcome other = model.exported(model.wrong());
    BOOST_TEST(other.status == 0, other.out);
  }
}

BOOST_AUTO_TEST_CASE(each_fault_is_found_and_its_module_named) {
  for (const Fault& fault :
       {Fault{"a missing bias", "transformer.h.1.attn.attention.out_proj ("},
        Fault{"swapped query and key weights", "transformer.h.1.attn.attention"},
        Fault{"a wrong epsilon", "transformer.h.1.ln_2 ("},
        Fault{"a mask that leaks", "transformer.h.1.attn.attention"},
        Fault{"a dropped window", "transformer.h.1.attn.attention"},
        Fault{"an off-by-one position", "transformer.wpe ("}, Fault{"tied weights that should not be", "lm_head ("}})
    check_found("gpt_neo", fault);
  check_found("mixtral", {"an expert never chosen", "model.layers.1.block_sparse_moe ("});
}

/// A recording judges the outputs of the last segments, and its modules tell the place, as of the file as a whole.
BOOST_AUTO_TEST_CASE(a_recording_judges_a_model_in_segments) {
  const Recorded model("gpt_neo");
  const auto in_segments = [&](Words options) {
    options.insert(options.end(), {"--segment-size", "1kB"});
    const Json told = parsed(model.exported(options));
    BOOST_TEST(told.at("validation").at("segments").size() > 4u);
    std::vector<Json> judged;
    for (const Json& run : told.at("validation").at("runs")) {
      if (run.contains("original")) judged.push_back(run);
      if (!run.contains("original")) BOOST_TEST(run.at("passes") == true, run.dump());
    }
    BOOST_REQUIRE_EQUAL(judged.size(), 1u);
    return std::pair(told, judged[0]);
  };
  BOOST_TEST(in_segments({"--case", model.recorded.string()}).second.at("passes") == true);
  model.plant("a wrong epsilon");
  const auto [told, judged] = in_segments(model.wrong());
  BOOST_TEST(judged.at("passes") == false);
  const auto place = told.at("validation").at("first_departure").get<std::string>();
  BOOST_TEST(place.starts_with("transformer.h.1.ln_2 ("), place);
}

/// A weight that nothing takes is an error before anything is compared.
BOOST_AUTO_TEST_CASE(a_bias_that_is_left_over_is_named) {
  const Recorded model("gpt_neo");
  model.plant("a missing bias");
  const Json told = parsed(model.exported(model.wrong()));
  BOOST_TEST(told.at("exit_status") == 3);
  BOOST_TEST(
      contains(told.at("error").at("message").get<std::string>(), "transformer.h.1.attn.attention.out_proj.bias"));
}

/// A length that was written into the definition is none that the graph's axes can have.
BOOST_AUTO_TEST_CASE(a_frozen_axis_is_named) {
  const Recorded model("gpt_neo");
  model.plant("a frozen axis");
  const Json told = parsed(model.exported(model.wrong()));
  BOOST_TEST(told.at("exit_status") == 4);
  const auto message = told.at("error").at("message").get<std::string>();
  for (const char* part : {"org.onnxport.test.planted", "'transformer.h.0.attn.attention'", "sequence is not 5"})
    BOOST_TEST(contains(message, part), message);
}

/// A recorded file alone, without the definition, tells that something is wrong and where modules would be told.
BOOST_AUTO_TEST_CASE(beside_the_checkpoint_an_earlier_export_is_told_by_module_as_well) {
  const Recorded model("gpt_neo");
  model.plant("a wrong epsilon");
  Words wrong = model.wrong();
  BOOST_REQUIRE(model.exported({wrong[0], wrong[1], wrong[2], wrong[3]}).status == 0);  // which agrees with itself
  const Json alone = parsed(model.run({"validate", "out", "--case", model.recorded.string(), "--json"}));
  BOOST_TEST(alone.at("status") == "differs");
  BOOST_TEST(contains(alone.at("error").at("hint").get<std::string>(), "validate -m DIR --case"));
  Words words{"validate", "out", "-m", "model", "--json"};
  words.insert(words.end(), wrong.begin(), wrong.end());
  const Json beside = parsed(model.run(words));
  BOOST_TEST(beside.at("status") == "differs");
  BOOST_TEST(beside.at("validation").at("first_departure").get<std::string>().starts_with("transformer.h.1.ln_2 ("));
}

BOOST_AUTO_TEST_CASE(each_fault_of_a_lowering_is_found_by_the_definition_alone) {
  const Recorded model("gpt_neo");
  BOOST_REQUIRE(model.run({"export", "-m", "model", "--feature", "causal-lm", "--opset", "17", "out"}).status == 0);
  pb::ModelProto right;
  BOOST_REQUIRE(right.ParseFromString(model.read("out/model.onnx")));
  const Rewired faults[] = {
      {"a missing bias", "attn/attention/out_proj/Add", 1, "/constants/f32/0",
       "transformer.h.1.attn.attention.out_proj ("},
      {"swapped query and key weights", "attn/attention/q_proj/MatMul", 1,
       "transformer.h.1.attn.attention.k_proj.weight", "transformer.h.1.attn.attention.q_proj ("},
      {"a mask that leaks", "/mask/And_2", 1, "/mask/Greater_output_0", "transformer.h.1.attn.attention ("},
      {"a dropped window", "attn/attention/Add", 1, "/mask/Where_output_0", "transformer.h.1.attn.attention ("},
      {"an off-by-one position", "/transformer/wpe/Gather", 1, "/CumSum_output_0", "transformer.wpe ("},
      {"keys taken for values", "attn/attention/Reshape_2", 0, "/transformer/h.1/attn/attention/k_proj/MatMul_output_0",
       "transformer.h.1.attn.attention ("},
      {"a sum with another layer's input", "Add", 1, "/transformer/Add_output_0", "transformer.h.1 (Add)"},
      {"another constant of gelu", "mlp/Mul_1", 1, "/constants/f32/0.5", "transformer.h.1.mlp ("},
  };
  for (const Rewired& fault : faults) {
    BOOST_TEST_CONTEXT(fault.what) {
      pb::ModelProto wrong = right;
      const std::string name = *fault.node == '/' ? fault.node : layer + fault.node;
      node_named(wrong, name).set_input(fault.input, fault.takes);
      check_told(model, wrong, fault.module);
    }
  }
  pb::ModelProto wrong = right;
  for (auto& attribute : *node_named(wrong, layer + "ln_2/LayerNormalization").mutable_attribute()) {
    if (attribute.name() == "epsilon") attribute.set_f(0.1F);
  }
  check_told(model, wrong, "transformer.h.1.ln_2 (");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace planted_test
