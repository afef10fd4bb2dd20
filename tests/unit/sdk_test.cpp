// SPDX-License-Identifier: Apache-2.0
// The SDK's classes over the host's real tables: config fields, and the children of OnnxConfig.
#include <onnxport/layer_types.hpp>
#include <onnxport/plugin.hpp>
#include <onnxport/rotary.hpp>

#include <boost/test/unit_test.hpp>

#include "core/definition/host_tables.hpp"
#include "core/definition/onnx_config.hpp"

namespace sdk_test {

namespace sdk = onnxport::sdk;

namespace {

struct Fixture {
  onnxport::Json json =
      onnxport::Json::parse(R"({"layers": 2, "rate": 0.5, "on": true, "name": "gelu", "none": null, "list": [1, 2],
                                                  "id2label": {"0": "a", "1": "b", "2": "c"}, "inner": {"width": 7}})");
  onnxport_config root;
  Fixture() { root.json = &json; }
  sdk::Config config() const { return {&onnxport::plugin_host(), &root}; }

  std::string refusal(const std::function<void(const sdk::Config&)>& read) const {
    try {
      read(config());
    } catch (const sdk::Error& error) {
      return error.what();
    }
    return "accepted";
  }
};

class Decoder : public sdk::OnnxConfigWithPast {
 public:
  using OnnxConfigWithPast::OnnxConfigWithPast;
  int64_t num_layers() const override { return 2; }
  int64_t num_attention_heads() const override { return 8; }
  int64_t num_key_value_heads() const override { return 4; }
  int64_t head_size() const override { return 16; }
  std::vector<sdk::TensorSpec> inputs() const override {
    std::vector<sdk::TensorSpec> specs{{"input_ids", sdk::DType::i64, {sdk::axis::batch, sdk::axis::sequence}}};
    if (use_past()) fill_with_past_key_values_(specs);
    return specs;
  }
  sdk::Outputs forward(sdk::Graph&, const sdk::Inputs&) const override { return {}; }
};

class EncoderDecoder : public sdk::OnnxSeq2SeqConfigWithPast {
 public:
  using OnnxSeq2SeqConfigWithPast::OnnxSeq2SeqConfigWithPast;
  int64_t num_layers() const override { return 1; }
  int64_t num_attention_heads() const override { return 4; }
  int64_t head_size() const override { return 6; }
  int64_t vocab_size() const override { return 99; }
  int64_t encoder_width() const override { return 24; }
  sdk::Value encode(sdk::Graph&, const sdk::Inputs&) const override { return {}; }
  sdk::Value decode(sdk::Graph&, const sdk::DecoderStep&, sdk::Cache&) const override { return {}; }
  sdk::Heads heads() const override { return {}; }
};

/// Sees, and attends with one vector for all heads and the last inputs of a convolution.
class ImageDecoder : public EncoderDecoder {
 public:
  using EncoderDecoder::EncoderDecoder;
  std::vector<sdk::TensorSpec> encoder_inputs() const override { return {sdk::pixel_values()}; }
  std::vector<sdk::State> states() const override {
    std::vector<sdk::State> all{
        sdk::cached("0.latent", {sdk::axis::batch, sdk::axis::past_decoder, 9}, 1, sdk::axis::past_and_decoder),
        sdk::cached("0.conv", {sdk::axis::batch, 24, 3}),
        sdk::cached("0.seen", {sdk::axis::batch, sdk::axis::encoder_sequence, 24})};
    all[2].kept = true;
    return all;
  }
};

std::string shape_of(const sdk::TensorSpec& spec) {
  std::string text;
  for (const sdk::Dim& dim : spec.shape)
    text += (text.empty() ? "" : ", ") + (dim.is_static() ? std::to_string(dim.size) : dim.symbol);
  return text;
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(sdk_classes, Fixture)

BOOST_AUTO_TEST_CASE(fields_have_types_and_defaults) {
  const sdk::Config c = config();
  BOOST_TEST(c.integer("layers") == 2);
  BOOST_TEST(c.integer("absent", 5) == 5);
  BOOST_TEST(c.integer("none", 5) == 5);
  BOOST_TEST(c.real("rate", 0) == 0.5);
  BOOST_TEST(c.real("layers", 0) == 2.0);
  BOOST_TEST(c.boolean("on", false));
  BOOST_TEST(c.text("name", "") == "gelu");
  BOOST_TEST(c.integers("list") == (std::vector<int64_t>{1, 2}), boost::test_tools::per_element());
  BOOST_TEST(c.num_labels() == 3);
  BOOST_TEST(c.section("inner").integer("width") == 7);
  BOOST_TEST(c.section("absent").integer("width", 1) == 1);
}

BOOST_AUTO_TEST_CASE(refusals_name_the_field) {
  BOOST_TEST(refusal([](const sdk::Config& c) { c.integer("absent"); }) ==
             "config field 'absent' is missing: expected an integer");
  BOOST_TEST(refusal([](const sdk::Config& c) { c.integer("name"); }) ==
             "config field 'name' has another type: expected an integer");
  BOOST_TEST(refusal([](const sdk::Config& c) { c.section("inner").text("width", ""); }) ==
             "config field 'inner.width' has another type: expected a text");
  BOOST_TEST(refusal([](const sdk::Config& c) {
               c.choice("name", "relu", {"relu", "silu"});
             }) == "config field 'name' is \"gelu\"; supported: relu, silu");
  BOOST_TEST(refusal([](const sdk::Config& c) { c.size("none", -1); }) ==
             "config field 'none' is -1; expected more than 0");
  BOOST_TEST(refusal([](const sdk::Config&) {
               sdk::require_multiple({"width", 9}, {"heads", 4});
             }) == "config field 'width' is 9, not a multiple of heads (4)");
  BOOST_TEST(refusal([](const sdk::Config&) {
               sdk::require_equal({"kv_heads", 2}, {"heads", 4});
             }) == "config field 'kv_heads' is 2; expected heads (4)");
  BOOST_TEST(refusal([](const sdk::Config&) {
               sdk::require_at_most({"chosen", 5}, {"experts", 4});
             }) == "config field 'chosen' is 5; expected at most experts (4)");
  BOOST_TEST(refusal([](const sdk::Config&) { sdk::require_at_most({"chosen", 4}, {"experts", 4}); }) == "accepted");
}

BOOST_AUTO_TEST_CASE(a_decoder_fills_in_its_past) {
  const Decoder with({config(), "any", "causal-lm-with-past", config().none()}),
      without({config(), "any", "causal-lm", config().none()});
  BOOST_TEST(with.use_past());
  BOOST_TEST(with.task() == "causal-lm");
  BOOST_TEST(without.inputs().size() == 1u);
  BOOST_TEST(without.outputs().size() == 1u);
  const auto inputs = with.inputs();
  BOOST_REQUIRE(inputs.size() == 5u);
  BOOST_TEST(inputs[4].name == "past_key_values.1.value");
  BOOST_TEST(shape_of(inputs[4]) == "batch, 4, past_sequence, 16");
  const auto outputs = with.outputs();
  BOOST_TEST(outputs[0].name == "logits");
  BOOST_TEST(outputs[1].name == "present.0.key");
  BOOST_TEST(outputs[1].axes.at(2) == "past_sequence + sequence");
  BOOST_TEST(with.values_override()[0].second == "true");
  BOOST_TEST(without.values_override()[0].second == "false");
}

/// Heads or widths that clients do not guess are open in files, where values need not be as wide as keys.
BOOST_AUTO_TEST_CASE(values_may_be_narrower_than_keys) {
  class Narrow : public Decoder {
   public:
    using Decoder::Decoder;
    int64_t value_head_size() const override { return 10; }
    bool has_usual_cache() const override { return false; }
  };
  const auto inputs = Narrow({config(), "any", "causal-lm-with-past", config().none()}).inputs();
  BOOST_TEST(shape_of(inputs[1]) == "batch, 4, past_sequence, 16");
  BOOST_TEST(inputs[1].shape[3].symbol == "head_size");
  BOOST_TEST(shape_of(inputs[2]) == "batch, 4, past_sequence, 10");
  BOOST_TEST(inputs[2].shape[3].symbol == "value_head_size");
}

BOOST_AUTO_TEST_CASE(an_encoder_decoder_has_four_caches_a_layer) {
  const EncoderDecoder model({config(), "any", "seq2seq-lm-with-past", config().none()});
  const auto inputs = model.inputs();
  BOOST_REQUIRE(inputs.size() == 8u);
  BOOST_TEST(shape_of(inputs[3]) == "batch, past_decoder_sequence + decoder_sequence");
  BOOST_TEST(inputs[4].name == "past_key_values.0.decoder.key");
  BOOST_TEST(shape_of(inputs[4]) == "batch, 4, past_decoder_sequence, 6");
  BOOST_TEST(inputs[7].name == "past_key_values.0.encoder.value");
  BOOST_TEST(shape_of(inputs[7]) == "batch, 4, encoder_sequence, 6");
  const auto outputs = model.outputs();
  BOOST_TEST(outputs[0].axes.at(1) == "decoder_sequence");
  BOOST_TEST(outputs[1].axes.at(2) == "past_decoder_sequence + decoder_sequence");
  BOOST_TEST(outputs[3].name == "present.0.encoder.key");
}

BOOST_AUTO_TEST_CASE(an_encoder_decoder_has_a_graph_for_each_step) {
  const auto names = [](const auto& specs) {
    std::string text;
    for (const auto& spec : specs) text += spec.name + " ";
    return text;
  };
  const EncoderDecoder model({config(), "any", "seq2seq-lm-with-past", config().none()});
  const std::vector<sdk::Part> parts = model.parts();
  BOOST_REQUIRE(parts.size() == 3u);
  BOOST_TEST(names(parts[0].inputs) == "input_ids attention_mask ");
  BOOST_TEST(names(parts[0].outputs) == "last_hidden_state ");
  BOOST_TEST(names(parts[1].inputs) == "encoder_attention_mask input_ids encoder_hidden_states ");
  BOOST_TEST(names(parts[1].outputs) ==
             "logits present.0.decoder.key present.0.decoder.value present.0.encoder.key present.0.encoder.value ");
  BOOST_TEST(parts[1].outputs[1].axes.at(2) == "decoder_sequence");
  BOOST_TEST(names(parts[2].inputs) ==
             "encoder_attention_mask input_ids past_key_values.0.decoder.key past_key_values.0.decoder.value "
             "past_key_values.0.encoder.key past_key_values.0.encoder.value ");
  BOOST_TEST(names(parts[2].outputs) == "logits present.0.decoder.key present.0.decoder.value ");
  BOOST_TEST(EncoderDecoder({config(), "any", "seq2seq-lm", config().none()}).parts().size() == 2u);
}

BOOST_AUTO_TEST_CASE(an_encoder_takes_what_it_states_and_states_are_a_list) {
  const auto names = [](const auto& specs) {
    std::string text;
    for (const auto& spec : specs) text += spec.name + " ";
    return text;
  };
  const ImageDecoder model({config(), "any", "seq2seq-lm-with-past", config().none()});
  BOOST_TEST(names(model.inputs()) ==
             "pixel_values decoder_input_ids decoder_attention_mask past_key_values.0.latent past_key_values.0.conv "
             "past_key_values.0.seen ");
  const std::vector<sdk::Part> parts = model.parts();
  BOOST_TEST(names(parts[0].inputs) == "pixel_values ");
  BOOST_TEST(names(parts[1].inputs) == "input_ids encoder_hidden_states ");
  BOOST_TEST(names(parts[1].outputs) == "logits present.0.latent present.0.conv present.0.seen ");
  BOOST_TEST(parts[1].outputs[1].axes.at(1) == "decoder_sequence");
  BOOST_TEST(parts[1].outputs[2].axes.size() == 1u);
  BOOST_TEST(parts[1].first_step.empty());
  BOOST_TEST(names(parts[2].outputs) == "logits present.0.latent present.0.conv ");
  BOOST_TEST(parts[2].outputs[1].axes.at(1) == "past_decoder_sequence + decoder_sequence");
  BOOST_TEST(parts[2].first_step == "decoder");
  BOOST_TEST(parts[2].states.size() == 3u);
}

BOOST_AUTO_TEST_CASE(inputs_say_what_they_are) {
  const auto specs = Decoder({config(), "any", "causal-lm-with-past", config().none()}).text_inputs(99, 40);
  BOOST_TEST((specs[0].role == sdk::Role::ids));
  BOOST_TEST(specs[0].limit == 99);
  BOOST_TEST((specs[1].role == sdk::Role::state));
  BOOST_TEST((specs.back().role == sdk::Role::mask));
  BOOST_TEST(specs.back().of == "input_ids");
  const EncoderDecoder both({config(), "any", "seq2seq-lm", config().none()});
  BOOST_TEST(both.inputs()[3].of == "decoder_input_ids");
  BOOST_TEST((both.parts()[1].inputs[2].role == sdk::Role::hidden));
  BOOST_TEST(both.parts()[1].inputs[0].of == "last_hidden_state");
}

BOOST_AUTO_TEST_CASE(positions_are_a_choice) {
  onnxport::Json chosen{{"position_ids", "input"}};
  onnxport_config node;
  node.json = &chosen;
  const sdk::Config options(&onnxport::plugin_host(), &node);
  const Decoder decoder({config(), "any", "causal-lm", options});
  BOOST_TEST((decoder.positions() == sdk::Positions::input));
  BOOST_TEST(decoder.text_inputs(99, 40).back().name == "position_ids");
  BOOST_TEST(Decoder({config(), "any", "causal-lm", config().none()}).text_inputs(99, 40).size() == 2u);
}

/// Only what generates must count as generate() does; other heads answer what forward() answers.
BOOST_AUTO_TEST_CASE(positions_unless_the_user_chooses) {
  class Learnt : public Decoder {
   public:
    using Decoder::Decoder;
    sdk::Positions positions_in_generation() const override { return sdk::Positions::mask; }
  };
  onnxport::Json chosen{{"position_ids", "sequence"}};
  onnxport_config node;
  node.json = &chosen;
  const sdk::Config options(&onnxport::plugin_host(), &node), none = config().none();
  const auto counted = [](const auto& decoder) { return sdk::name_of(decoder.positions()); };
  BOOST_TEST(counted(Learnt({config(), "any", "causal-lm-with-past", none})) == "mask");
  BOOST_TEST(counted(Learnt({config(), "any", "causal-lm", none})) == "mask");
  BOOST_TEST(counted(Learnt({config(), "any", "sequence-classification", none})) == "sequence");
  BOOST_TEST(counted(Learnt({config(), "any", "causal-lm", options})) == "sequence");
  BOOST_TEST(counted(Decoder({config(), "any", "causal-lm", none})) == "sequence");
  BOOST_TEST(Decoder({config(), "any", "causal-lm", none}).positions_are_a_choice());
  BOOST_TEST(!EncoderDecoder({config(), "any", "seq2seq-lm", none}).positions_are_a_choice());
}

BOOST_AUTO_TEST_CASE(angles_that_depend_on_the_length) {
  const auto depends = [&](const char* type) {
    json["rope_scaling"] = {{"rope_type", type}, {"factor", 2.0}};
    root.members.clear();
    return sdk::Rotary(config(), 8).depends_on_length();
  };
  BOOST_TEST(depends("dynamic"));
  BOOST_TEST(!depends("linear"));
  BOOST_TEST(!depends("default"));
}

BOOST_AUTO_TEST_CASE(rotary_parameters_of_a_layer_type) {
  const auto refused = [&](const onnxport::Json& parameters) {
    json["rope_parameters"] = parameters;
    root.members.clear();
    return refusal([](const sdk::Config& c) { sdk::Rotary(c, 8, {.name = "full_attention", .theta = 10000.0}); });
  };
  BOOST_TEST(refused({{"full_attention", {{"rope_type", "linear"}, {"factor", 2.0}}}}) == "accepted");
  BOOST_TEST(refused({{"sliding_attention", {{"rope_type", "linear"}}}}) == "accepted");
  BOOST_TEST(refused({{"rope_type", "linear"}, {"factor", 2.0}})
                 .starts_with("config field 'rope_parameters' is one map for all layers"));
  BOOST_TEST(
      refused({{"full_attention", {{"rope_type", "by_hand"}}}}).find("rope_parameters.full_attention.rope_type") !=
      std::string::npos);

  // Of what older releases wrote, a kind of layers may take the scaling or leave it.
  json.erase("rope_parameters");
  json["rope_scaling"] = {{"rope_type", "dynamic"}, {"factor", 2.0}};
  root.members.clear();
  const auto depends = [&](bool scaled) {
    return sdk::Rotary(config(), 8, {.name = "full_attention", .theta = 10000.0, .scaled = scaled}).depends_on_length();
  };
  BOOST_TEST(depends(true));
  BOOST_TEST(!depends(false));
}

BOOST_AUTO_TEST_CASE(rotary_fields_of_older_configs) {
  const auto refused = [&](const onnxport::Json& parameters) {
    json["rope_parameters"] = parameters;
    root.members.clear();
    return refusal([](const sdk::Config& c) { sdk::Rotary(c, 8, sdk::RotaryFields{.partial = 0.0625}); });
  };
  json["partial_rotary_factor"] = 0.5;  // is not looked at, since the fields given stand for it
  BOOST_TEST(refused(nullptr).starts_with("rotary embeddings turn 0 dimensions of a head of 8"));
  BOOST_TEST(refused({{"rope_theta", 10000.0}}).starts_with("rotary embeddings turn 0 dimensions of a head of 8"));
  BOOST_TEST(refused({{"partial_rotary_factor", 0.25}}) == "accepted");
  // One dimension more, if the head has it.
  BOOST_TEST(refused({{"partial_rotary_factor", 0.375}}) == "accepted");
  const auto whole_of_seven = [](const sdk::Config& c) { sdk::Rotary(c, 7, sdk::RotaryFields{}); };
  json["rope_parameters"] = nullptr;
  root.members.clear();
  BOOST_TEST(refusal(whole_of_seven).starts_with("rotary embeddings turn 7 dimensions of a head of 7"));
}

BOOST_AUTO_TEST_CASE(kinds_of_layers) {
  const std::vector<std::string> known{"full_attention", "sliding_attention"};
  const sdk::LayerTypes wanted{3, known, [&](int64_t i) { return known[i % 2 == 0 ? 0 : 1]; }};
  BOOST_TEST(sdk::layer_types(config(), wanted) == (std::vector{known[0], known[1], known[0]}),
             boost::test_tools::per_element());

  const auto refused = [&](const onnxport::Json& types) {
    json["layer_types"] = types;
    root.members.clear();
    return refusal([&](const sdk::Config& c) { sdk::layer_types(c, wanted); });
  };
  BOOST_TEST(refused({known[1], known[1], known[1]}) == "accepted");
  BOOST_TEST(refused({known[1]}) == "config field 'layer_types' has 1 entries; expected num_hidden_layers (3)");
  BOOST_TEST(refused(onnxport::Json::array()).find("has 0 entries") != std::string::npos);
  BOOST_TEST(refused({known[0], "chunked_attention", known[0]}) ==
             "config field 'layer_types' has an entry \"chunked_attention\"; supported: full_attention, "
             "sliding_attention");
  BOOST_TEST(refusal([&](const sdk::Config& c) {
               sdk::layer_types(c, {1'000'000, known});
             }).find("at the most") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(scores_grow_with_a_stretch_where_the_config_says_so) {
  const auto factor = [&](const onnxport::Json& scaling) {
    json["rope_scaling"] = scaling;
    root.members.clear();
    return sdk::Rotary(config(), 8).score_factor();
  };
  const double grown = 0.1 * 0.5 * std::log(8.0) + 1;
  BOOST_TEST(factor({{"rope_type", "yarn"}, {"factor", 8.0}, {"mscale_all_dim", 0.5}}) == grown * grown);
  BOOST_TEST(factor({{"rope_type", "linear"}, {"factor", 8.0}, {"mscale_all_dim", 0.5}}) == grown * grown);
  BOOST_TEST(factor({{"rope_type", "yarn"}, {"factor", 8.0}, {"mscale", 0.5}}) == 1);
  BOOST_TEST(factor({{"rope_type", "default"}, {"factor", 8.0}, {"mscale_all_dim", 0.5}}) == 1);
  BOOST_TEST(factor(nullptr) == 1);
}

BOOST_AUTO_TEST_CASE(the_seeds_static_helpers) {
  using onnxport::OnnxConfig;
  BOOST_TEST(!OnnxConfig::use_external_data_format(110'000'000));
  BOOST_TEST(OnnxConfig::use_external_data_format(600'000'000));
  const auto flat = OnnxConfig::flatten_output_collection_property(
      "hidden_states", {onnxport::ir::Tensor::i64({1}), onnxport::ir::Tensor::i64({2})});
  BOOST_TEST(flat[1].first == "hidden_states.1");
  BOOST_TEST(flat[1].second.as<int64_t>()[0] == 2);
}

BOOST_AUTO_TEST_CASE(dimensions_keep_their_order) {
  using onnxport::ir::Dim;
  BOOST_TEST(Dim::parse("past_decoder_sequence + decoder_sequence").to_string() ==
             "past_decoder_sequence + decoder_sequence");
  BOOST_TEST((Dim::parse("a + b") == Dim::parse("b + a")));
  BOOST_TEST((Dim::parse("2*a + 3") - Dim::parse("a") - Dim::parse("a")).size() == 3);
}

BOOST_AUTO_TEST_CASE(one_side_or_both) {
  const auto sides = [&](const char* key) {
    const sdk::Extent found = sdk::extent(config(), key, 9);
    return std::pair(found.height, found.width);
  };
  BOOST_TEST((sides("layers") == std::pair<int64_t, int64_t>(2, 2)));
  BOOST_TEST((sides("list") == std::pair<int64_t, int64_t>(1, 2)));
  BOOST_TEST((sides("absent") == std::pair<int64_t, int64_t>(9, 9)));
  json["list"] = {3, 4, 5};
  root.members.clear();
  BOOST_TEST(refusal([](const sdk::Config& c) { sdk::extent(c, "list", 9); }).find("'list'") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(options_that_came_later) {
  BOOST_TEST(!config().written_before(4, 31));
  for (const auto& [version, before] : {std::pair{"4.30.2", true}, std::pair{"4.31.0.dev0", false},
                                        std::pair{"4.4.0", true}, std::pair{"5.0.0", false}}) {
    json["transformers_version"] = version;
    root.members.clear();
    BOOST_TEST(config().written_before(4, 31) == before, version);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace sdk_test
