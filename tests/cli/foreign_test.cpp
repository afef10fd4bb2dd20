// SPDX-License-Identifier: Apache-2.0
// onnxport validate of files that another exporter wrote, which are made here of our own: without metadata, and with
// what such files have done to them.
#include <boost/test/unit_test.hpp>
#include <fstream>
#include <nlohmann/json.hpp>

#include "command.hpp"
#include "core/inspect/onnx_file.hpp"

namespace foreign_test {

using namespace cli;
using Json = nlohmann::json;
namespace pb = onnxport::inspect::pb;

namespace {

/// An export of the tiny BERT as if somebody else had written it.
struct Foreign {
  Sandbox sandbox;
  pb::ModelProto model;

  explicit Foreign(const Words& options = {}) {
    sandbox.checkpoint();
    Words words{"export", "-m", "bert", "--no-validate", "--opset", "17", "out"};
    words.insert(words.end(), options.begin(), options.end());
    BOOST_REQUIRE(sandbox.run(words).status == 0);
    BOOST_REQUIRE(model.ParseFromString(sandbox.read("out/model.onnx")));
    model.clear_metadata_props();
    model.set_producer_name("another");
  }

  Outcome validate(const Words& options = {}) const {
    std::string bytes;
    BOOST_REQUIRE(model.SerializeToString(&bytes));
    sandbox.write("foreign/model.onnx", bytes);
    Words words{"validate", "foreign", "-m", "bert", "--json"};
    words.insert(words.end(), options.begin(), options.end());
    return sandbox.run(words);
  }

  void rename(const std::string& from, const std::string& to) {
    for (auto& node : *model.mutable_graph()->mutable_node()) {
      for (auto& name : *node.mutable_input()) name = name == from ? to : name;
      for (auto& name : *node.mutable_output()) name = name == from ? to : name;
    }
    for (auto* ports : {model.mutable_graph()->mutable_input(), model.mutable_graph()->mutable_output()}) {
      for (auto& port : *ports) {
        if (port.name() == from) port.set_name(to);
      }
    }
  }
};

bool is_noted(const Json& json, const std::string& text) {
  for (const Json& note : json.value("notes", Json::array())) {
    if (contains(note.get<std::string>(), text)) return true;
  }
  return false;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(foreign, *boost::unit_test::precondition(reference_built))

BOOST_AUTO_TEST_CASE(other_names_and_further_outputs_are_no_difference) {
  Foreign file;
  file.rename("logits", "output_0");
  file.rename("token_type_ids", "segments");
  auto& graph = *file.model.mutable_graph();
  *graph.add_output() = graph.input(0);
  graph.mutable_output()->rbegin()->set_name("ids_again");
  auto& node = *graph.add_node();
  node.set_op_type("Identity");
  *node.add_input() = graph.input(0).name();
  *node.add_output() = "ids_again";
  const Outcome outcome = file.validate();
  const Json json = parsed(outcome);
  BOOST_TEST(outcome.status == 0, outcome.out);
  BOOST_TEST(json.at("validation").at("runs").size() >= 3u);
  BOOST_TEST(json.at("feature") == "masked-lm");
  for (const char* text : {"written by another", "output_0 is logits", "segments is token_type_ids", "are ignored"})
    BOOST_TEST(is_noted(json, text), text << " in " << json.at("notes"));
}

BOOST_AUTO_TEST_CASE(a_changed_weight_differs) {
  Foreign file;
  for (auto& tensor : *file.model.mutable_graph()->mutable_initializer()) {
    if (tensor.name().ends_with("layer.0.attention.output.dense.bias"))
      tensor.mutable_raw_data()->assign(tensor.raw_data().size(), '\x3f');
  }
  const Outcome outcome = file.validate();
  BOOST_TEST(outcome.status == 1, outcome.out);
  const Json json = parsed(outcome);
  BOOST_TEST(json.at("status") == "differs");
  // Its values have no names of ours, and are told by what they hold.
  const auto place = json.at("validation").at("first_departure").get<std::string>();
  BOOST_TEST(place.starts_with("bert.encoder.layer.0.attention.output.dense (Linear)"), place);
  BOOST_TEST(contains(place, "bert.encoder.layer.0.attention.self before it is the file's "), place);
}

/// Where nothing in the file can be laid beside the definition, that is said.
BOOST_AUTO_TEST_CASE(where_nothing_is_alike_that_is_said) {
  Foreign file;
  for (auto& tensor : *file.model.mutable_graph()->mutable_initializer()) {
    if (tensor.name().find("embeddings") != std::string::npos && tensor.data_type() == pb::TensorProto::FLOAT)
      tensor.mutable_raw_data()->assign(tensor.raw_data().size(), '\x3f');
  }
  const Outcome outcome = file.validate();
  BOOST_TEST(outcome.status == 1, outcome.out);
  const auto place = parsed(outcome).at("validation").at("first_departure").get<std::string>();
  BOOST_TEST(place.starts_with("cannot be told: "), place);
}

/// The two steps of a merged decoder are branches of an If: of the one that is taken the values are seen.
BOOST_AUTO_TEST_CASE(a_fault_within_a_branch_is_told) {
  const Sandbox sandbox;
  sandbox.write("t5.json", R"({"model_type": "t5", "architectures": ["T5ForConditionalGeneration"], "d_model": 16,
                               "d_kv": 8, "d_ff": 24, "num_layers": 2, "num_heads": 2, "vocab_size": 60})");
  BOOST_REQUIRE(sandbox.run({"synth", "t5.json", "t5", "--quiet"}).status == 0);
  BOOST_REQUIRE(sandbox
                    .run({"export", "-m", "t5", "--feature", "seq2seq-lm-with-past", "--layout", "merged",
                          "--no-validate", "out"})
                    .status == 0);
  pb::ModelProto model;
  BOOST_REQUIRE(model.ParseFromString(sandbox.read("out/decoder_model_merged.onnx")));
  model.clear_metadata_props();
  bool is_planted = false;
  for (auto& tensor : *model.mutable_graph()->mutable_initializer()) {
    if (!tensor.name().ends_with("decoder.block.1.layer.2.layer_norm.weight")) continue;
    tensor.mutable_raw_data()->assign(tensor.raw_data().size(), '\x3f');
    is_planted = true;
  }
  BOOST_REQUIRE(is_planted);
  std::string bytes;
  BOOST_REQUIRE(model.SerializeToString(&bytes));
  sandbox.write("foreign/decoder_model_merged.onnx", bytes);
  const Outcome outcome = sandbox.run({"validate", "foreign", "-m", "t5"});
  BOOST_TEST(outcome.status == 1, outcome.out);
  // Of both steps.
  const std::string module = "decoder.block.1.layer.2.layer_norm (RMSNorm)";
  const size_t first = outcome.out.find(", first step): " + module);
  BOOST_TEST(first != std::string::npos, outcome.out);
  BOOST_TEST(outcome.out.find(", cached step): " + module) != std::string::npos, outcome.out);
}

/// Adds a node whose first result has a name of its own.
void add(pb::GraphProto& graph, const char* op, const Words& inputs, const char* output, int64_t to = 0) {
  auto& node = *graph.add_node();
  node.set_op_type(op);
  for (const std::string& input : inputs) *node.add_input() = input;
  *node.add_output() = output;
  if (to == 0) return;
  auto& attribute = *node.add_attribute();
  attribute.set_name("to");
  attribute.set_type(pb::AttributeProto::INT);
  attribute.set_i(to);
}

/// Where nothing is to be attended to other exporters' masks yield something else, and no client reads it; but NaN
/// there is one of the faults of such masks.
BOOST_AUTO_TEST_CASE(places_that_do_not_count_may_hold_anything_but_nan) {
  for (const char* op : {"Mul", "Div"}) {
    Foreign file;
    auto& graph = *file.model.mutable_graph();
    for (auto& node : *graph.mutable_node()) {
      for (auto& name : *node.mutable_output()) name = name == "logits" ? "unmasked" : name;
    }
    auto& axis = *graph.add_initializer();
    axis.set_name("last");
    axis.set_data_type(pb::TensorProto::INT64);
    axis.add_dims(1);
    axis.add_int64_data(2);
    add(graph, "Unsqueeze", {"attention_mask", "last"}, "counting");
    add(graph, "Cast", {"counting"}, "factors", pb::TensorProto::FLOAT);
    add(graph, op, {"unmasked", "factors"}, "logits");
    const Outcome outcome = file.validate();
    BOOST_TEST(outcome.status == (op == std::string("Mul") ? 0 : 1), outcome.out);
  }
}

/// A file traced with one length, which it then has in it: the axis is named, and the node.
BOOST_AUTO_TEST_CASE(a_frozen_axis_is_named) {
  Foreign file;
  // The text is cut at 8 tokens and made of 8 tokens again, as an exporter writes it that saw no other.
  auto& graph = *file.model.mutable_graph();
  const std::string ids = "input_ids";
  auto& shape = *graph.add_initializer();
  shape.set_name("traced_shape");
  shape.set_data_type(pb::TensorProto::INT64);
  shape.add_dims(2);
  shape.add_int64_data(-1);
  shape.add_int64_data(8);
  for (auto& node : *graph.mutable_node()) {
    for (auto& name : *node.mutable_input()) {
      if (name == ids) name = "traced_ids";
    }
  }
  pb::NodeProto reshape;
  reshape.set_op_type("Reshape");
  reshape.set_name("/traced/Reshape");
  *reshape.add_input() = ids;
  *reshape.add_input() = "traced_shape";
  *reshape.add_output() = "traced_ids";
  const google::protobuf::RepeatedPtrField<pb::NodeProto> nodes = graph.node();
  graph.clear_node();
  *graph.add_node() = reshape;
  for (const auto& node : nodes) *graph.add_node() = node;
  const Outcome outcome = file.validate();
  const Json json = parsed(outcome);
  BOOST_TEST(outcome.status == 1, outcome.out);
  BOOST_REQUIRE(json.at("validation").contains("frozen_axis"));
  const auto axis = json.at("validation").at("frozen_axis").get<std::string>();
  BOOST_TEST(contains(axis, "'sequence': 8 is right"), axis);
  BOOST_TEST(contains(axis, "/traced/Reshape"), axis);
}

BOOST_AUTO_TEST_CASE(an_input_that_no_definition_has_asks_for_the_feature) {
  Foreign file;
  *file.model.mutable_graph()->add_input() = file.model.graph().input(0);
  file.model.mutable_graph()->mutable_input()->rbegin()->set_name("strange");
  const Json json = parsed(file.validate());
  BOOST_TEST(json.at("exit_status") == 2);
  const Json& error = json.at("error");
  BOOST_TEST(contains(error.at("message").get<std::string>(), "strange"), error);
  BOOST_TEST(contains(error.at("hint").get<std::string>(), "--feature"), error);
}

/// A file whose feature is another than the checkpoint's is compared under the one that is named.
BOOST_AUTO_TEST_CASE(the_feature_can_be_named) {
  const Foreign file({"--feature", "default"});
  BOOST_TEST(file.validate().status != 0);
  const Outcome outcome = file.validate({"--feature", "default"});
  BOOST_TEST(outcome.status == 0, outcome.out);
}

BOOST_AUTO_TEST_CASE(a_file_that_is_no_valid_onnx_is_none_of_ours) {
  Foreign file;
  file.model.mutable_graph()->add_output()->set_name("nowhere");
  const Json error = parsed(file.validate()).at("error");
  BOOST_TEST(contains(error.at("hint").get<std::string>(), "exporter"), error);
}

/// What is wrong with a file is noted, whether or not its outputs agree.
BOOST_AUTO_TEST_CASE(findings_are_noted) {
  Foreign file;
  auto& left = *file.model.mutable_graph()->add_initializer();
  left.set_name("left.over");
  left.set_data_type(pb::TensorProto::FLOAT);
  left.add_dims(1);
  left.add_float_data(1);
  const Json json = parsed(file.validate());
  BOOST_TEST(json.at("exit_status") == 0);
  BOOST_REQUIRE(json.contains("findings"));
  BOOST_TEST(json.at("findings").at(0).at("kind") == "unused-weight");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace foreign_test
