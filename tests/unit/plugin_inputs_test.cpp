// SPDX-License-Identifier: Apache-2.0
// What a plugin says of its inputs, on its way over the ABI to whoever acts by it.
#include <onnxport/plugin.hpp>

#include <boost/test/unit_test.hpp>

#include "core/definition/description_sink.hpp"
#include "core/definition/host_tables.hpp"
#include "core/definition/onnx_config.hpp"
#include "core/error.hpp"
#include "core/package/layout.hpp"
#include "core/validate/step_inputs.hpp"

namespace plugin_inputs_test {

namespace sdk = onnxport::sdk;

namespace {

/// A text, and for each row a place in it that lies within the row's own: nothing that a host could know.
class Pointing : public sdk::OnnxConfig {
 public:
  explicit Pointing(const sdk::Request& request)
      : OnnxConfig(request), wrong_(request.config.boolean("wrong", false)) {}
  std::vector<sdk::TensorSpec> inputs() const override {
    return {sdk::input::ids("words", {sdk::axis::batch, "length"}, 50),
            {"place", sdk::DType::i64, {sdk::axis::batch}, 50},
            {"shift", sdk::DType::f32, {sdk::axis::batch}, 0, sdk::Role::other, {}, 2, 3}};
  }
  std::vector<sdk::AxisSize> axis_sizes() const override {
    return {{.axis = "length", .usual = 10, .minimum = 4, .maximum = 12, .step = 4}};
  }
  int64_t max_positions() const override { return 12; }
  std::vector<sdk::DummyTensor> generate_dummy_inputs(const sdk::DummyRequest& request) const override {
    const int64_t batch = request.sizes.at("batch"), length = request.sizes.at("length");
    std::vector<int64_t> places(static_cast<size_t>(batch + (wrong_ ? 1 : 0)), length - 1);
    const auto rows = static_cast<int64_t>(places.size());
    return {sdk::DummyTensor::of("place", sdk::DType::i64, {rows}, places)};
  }
  /// Not as the feature's outputs are declared.
  sdk::Outputs forward(sdk::Graph&, const sdk::Inputs& in) const override {
    return {{"last_hidden_state", in.at("shift")}};
  }

 private:
  bool wrong_;
};

/// Sees images, and keeps a latent vector for each token and the last inputs of a convolution.
class Captioning : public sdk::OnnxSeq2SeqConfigWithPast {
 public:
  using OnnxSeq2SeqConfigWithPast::OnnxSeq2SeqConfigWithPast;
  int64_t num_layers() const override { return 1; }
  int64_t num_attention_heads() const override { return 4; }
  int64_t head_size() const override { return 6; }
  int64_t vocab_size() const override { return 99; }
  int64_t encoder_width() const override { return 24; }
  std::vector<sdk::TensorSpec> encoder_inputs() const override { return {sdk::pixel_values()}; }
  std::vector<sdk::State> states() const override {
    return {sdk::cached("0.latent", {sdk::axis::batch, sdk::axis::past_decoder, 9}, 1, sdk::axis::past_and_decoder),
            sdk::cached("0.conv", {sdk::axis::batch, 24, 3})};
  }
  sdk::Value encode(sdk::Graph&, const sdk::Inputs&) const override { return {}; }
  sdk::Value decode(sdk::Graph&, const sdk::DecoderStep&, sdk::Cache&) const override { return {}; }
  sdk::Heads heads() const override { return {}; }
};

const sdk::Plugin& declared() {
  static const sdk::Plugin plugin{
      .id = "org.onnxport.test.inputs",
      .name = "Inputs",
      .version = "1",
      .license = "Apache-2.0",
      .vendor = "test",
      .models = {{.types = {"pointing"}, .features = {"default"}, .make = sdk::make<Pointing>},
                 {.types = {"captioning"}, .features = {"seq2seq-lm-with-past"}, .make = sdk::make<Captioning>}}};
  return plugin;
}
const onnxport_onnx_config_1 table = sdk::detail::functions(sdk::detail::Entry<declared>::create);

onnxport::OnnxConfig config_of(const char* type, const char* feature,
                               const onnxport::Json& json = onnxport::Json::object()) {
  return onnxport::OnnxConfig::from_model_config({&table, "org.onnxport.test.inputs"}, json, type, feature);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(plugin_inputs)

BOOST_AUTO_TEST_CASE(a_plugins_own_dummy_inputs_come_first) {
  const onnxport::OnnxConfig config = config_of("pointing", "default");
  const onnxport::Tensors tensors = config.generate_dummy_inputs(nullptr, {.batch_size = 3});
  BOOST_TEST(tensors.at("words").shape == (std::vector<int64_t>{3, 12}));
  for (const int64_t place : tensors.at("place").as<int64_t>()) BOOST_TEST(place == 11);
  for (const float shift : tensors.at("shift").as<float>()) BOOST_TEST((shift >= 2 && shift < 3));
  BOOST_TEST(config.description().integer("max_positions", 0) == 12);
}

BOOST_AUTO_TEST_CASE(own_dummy_inputs_that_do_not_fit_are_told) {
  const onnxport::OnnxConfig config = config_of("pointing", "default", {{"wrong", true}});
  BOOST_CHECK_EXCEPTION(config.generate_dummy_inputs(nullptr, {.batch_size = 3}), onnxport::Error,
                        [](const onnxport::Error& error) {
                          const std::string text = error.what();
                          return text.find("org.onnxport.test.inputs") != std::string::npos &&
                                 text.find("'place' are i64[4], expected i64[3]") != std::string::npos;
                        });
}

BOOST_AUTO_TEST_CASE(an_output_unlike_its_declaration_is_told) {
  const onnxport::OnnxConfig config = config_of("pointing", "default");
  onnxport::WeightSource weights;
  BOOST_CHECK_EXCEPTION(config.define(weights), onnxport::Error, [](const onnxport::Error& error) {
    return std::string(error.what()) ==
           "plugin org.onnxport.test.inputs declares 2 axes of the output 'last_hidden_state', and its graph yields "
           "f32[batch]";
  });
}

BOOST_AUTO_TEST_CASE(an_older_host_is_told_what_it_knows) {
  onnxport_config root;
  onnxport::Json json = onnxport::Json::object();
  root.json = &json;
  const auto text = [](const char* what) { return onnxport_string{what, std::strlen(what)}; };
  const onnxport_request request{sizeof(onnxport_request), &onnxport::plugin_host(),     &root,
                                 text("captioning"),       text("seq2seq-lm-with-past"), &root};
  onnxport_onnx_config* object = nullptr;
  BOOST_REQUIRE(table.create(&request, &object) == nullptr);
  onnxport::Description description;
  onnxport::detail::DescriptionSink old(description);
  old.struct_size = offsetof(onnxport_description, input_info);
  old.input_info = nullptr;
  old.axis_size = nullptr;
  old.state = nullptr;
  BOOST_TEST((table.describe(object, text(""), &old) == nullptr));
  BOOST_TEST(description.inputs.size() == 5u);
  BOOST_TEST(description.states.empty());
  table.release(object);
}

BOOST_AUTO_TEST_CASE(layouts_go_by_what_parts_state) {
  const onnxport::OnnxConfig config = config_of("captioning", "seq2seq-lm-with-past");
  BOOST_TEST(config.first_step("decoder_with_past") == "decoder");
  const auto files = graph_files(onnxport::layout_from("merged"), config, "model.onnx");
  BOOST_REQUIRE(files.size() == 2u);
  BOOST_TEST(files[0].file == "encoder_model.onnx");
  BOOST_TEST(files[1].file == "decoder_model_merged.onnx");
  BOOST_TEST(files[1].parts == (std::vector<std::string>{"decoder", "decoder_with_past"}));
}

BOOST_AUTO_TEST_CASE(a_step_is_told_by_states_and_roles) {
  const onnxport::OnnxConfig config = config_of("captioning", "seq2seq-lm-with-past");
  for (const char* part : {"", "decoder_with_past"}) {
    const onnxport::Description& description = config.description(part);
    BOOST_REQUIRE(description.states.size() == 2u);
    const auto axis = onnxport::step_axis(description);
    BOOST_REQUIRE(axis.has_value());
    BOOST_TEST(axis->to_string() == "decoder_sequence");
    const onnxport::InputSpec* tokens = onnxport::tokens_of(description, *axis);
    BOOST_REQUIRE(tokens != nullptr);
    BOOST_TEST(tokens->name == (part[0] == 0 ? "decoder_input_ids" : "input_ids"));
    const auto* latent = description.input("past_key_values.0.latent");
    BOOST_TEST(onnxport::empty_state(*latent, 2).shape == (std::vector<int64_t>{2, 0, 9}));
    const onnxport::ir::Tensor conv = onnxport::empty_state(*description.input("past_key_values.0.conv"), 2);
    BOOST_TEST(conv.shape == (std::vector<int64_t>{2, 24, 3}));
    BOOST_TEST(conv.as<float>()[143] == 0.0F);
  }
  BOOST_TEST(config.description("decoder").input("encoder_hidden_states")->of == "last_hidden_state");
}

BOOST_AUTO_TEST_CASE(masks_and_positions_of_a_step) {
  using onnxport::ir::DType;
  using onnxport::ir::Tensor;
  const onnxport::Tokens tokens{Tensor::of<int64_t>(DType::i64, {1, 2}, {7, 8}),
                                Tensor::of<int64_t>(DType::i64, {1, 4}, {0, 1, 1, 1})};
  const onnxport::ir::Dim batch = onnxport::ir::Dim::symbol("batch"), n = onnxport::ir::Dim::symbol("n");
  const onnxport::InputSpec over_step{"m", {DType::boolean, {batch, n}}};
  const onnxport::InputSpec over_all{"m", {DType::i64, {batch, onnxport::ir::Dim::parse("past + n")}}};
  BOOST_TEST(mask_for(over_step, n, tokens).shape == (std::vector<int64_t>{1, 2}));
  BOOST_TEST(mask_for(over_all, n, tokens).as<int64_t>()[0] == 0);
  const Tensor positions = positions_for({"p", {DType::i32, {batch, n}}}, tokens);
  BOOST_TEST(positions.as<int32_t>()[0] == 1);
  BOOST_TEST(positions.as<int32_t>()[1] == 2);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace plugin_inputs_test
