// SPDX-License-Identifier: Apache-2.0
// What text encoders share on the plugin's side: inputs by feature, heads that a model has not, distances.
#include <onnxport/plugin.hpp>
#include <onnxport/relative_bias.hpp>

#include <boost/test/unit_test.hpp>

#include "core/definition/host_tables.hpp"
#include "core/definition/onnx_config.hpp"

namespace text_encoder_test {

namespace sdk = onnxport::sdk;

namespace {

class Encoder : public sdk::TextEncoder {
 public:
  using TextEncoder::TextEncoder;

 protected:
  sdk::TextEncoderTraits traits() const override {
    return {.base = "base", .vocab = 50, .segments = 2, .max_positions = 40};
  }
  sdk::TextHeads text_heads() const override { return {}; }
  sdk::Value encode(const sdk::Scope&, const sdk::Text& text) const override { return text.ids; }
};

struct Fixture {
  explicit Fixture(const char* config = "{}") : json(onnxport::Json::parse(config)) { root.json = &json; }
  sdk::Config config() const { return {&onnxport::plugin_host(), &root}; }
  sdk::Request request(const char* feature) const { return {config(), "any", feature, config().none()}; }
  onnxport::Json json;
  onnxport_config root;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(text_encoders)

BOOST_AUTO_TEST_CASE(inputs_are_those_of_the_reference) {
  const Fixture fixture;
  const auto inputs = Encoder(fixture.request("default")).inputs();
  BOOST_REQUIRE(inputs.size() == 3u);
  BOOST_TEST(inputs[0].name == "input_ids");
  BOOST_TEST(inputs[0].limit == 50);
  BOOST_TEST(inputs[1].name == "attention_mask");
  BOOST_TEST(inputs[2].name == "token_type_ids");
  BOOST_TEST(inputs[2].limit == 2);
  BOOST_TEST(inputs[0].shape.size() == 2u);
  BOOST_TEST(Encoder(fixture.request("multiple-choice")).inputs()[0].shape.size() == 3u);
  BOOST_TEST(Encoder(fixture.request("default")).base_model_prefix() == "base");
  BOOST_TEST(Encoder(fixture.request("default")).max_positions() == 40);
}

BOOST_AUTO_TEST_CASE(an_answer_has_two_ends) {
  const Fixture three(R"({"id2label": {"0": "a", "1": "b", "2": "c"}})"), two;
  BOOST_CHECK_THROW(Encoder(three.request("question-answering")), sdk::Error);
  BOOST_CHECK_NO_THROW(Encoder(three.request("token-classification")));
  BOOST_CHECK_NO_THROW(Encoder(two.request("question-answering")));
}

BOOST_AUTO_TEST_CASE(pruned_heads_are_refused_by_name) {
  const Fixture none(R"({"pruned_heads": {}})"), some(R"({"pruned_heads": {"1": [0, 2]}})");
  BOOST_CHECK_NO_THROW(Encoder(none.request("default")));
  BOOST_CHECK_THROW(Encoder(some.request("default")), sdk::Error);
}

BOOST_AUTO_TEST_CASE(null_is_told_from_absence) {
  const Fixture fixture(R"({"none": null, "some": 1})");
  const sdk::Config config = fixture.config();
  BOOST_TEST(config.is_null("none"));
  BOOST_TEST(!config.is_null("some"));
  BOOST_TEST(!config.is_null("absent"));
}

BOOST_AUTO_TEST_CASE(heads_divide_the_width) {
  BOOST_CHECK_NO_THROW(sdk::require_multiple({"hidden_size", 24}, {"num_attention_heads", 4}));
  try {
    sdk::require_multiple({"hidden_size", 24}, {"num_attention_heads", 5});
    BOOST_ERROR("24 does not divide by 5");
  } catch (const sdk::Error& error) {
    BOOST_TEST(error.what() ==
               std::string("config field 'hidden_size' is 24, not a multiple of num_attention_heads (5)"));
  }
}

// The values are those of T5Attention._relative_position_bucket, transformers 4.57, on torch 2.8.
BOOST_AUTO_TEST_CASE(distances_fall_into_buckets) {
  const sdk::RelativeBias both{.buckets = 32, .max_distance = 128, .heads = 1};
  const std::pair<int64_t, int64_t> known[] = {{-500, 15}, {-128, 15}, {-127, 15}, {-91, 15}, {-90, 14}, {-64, 14},
                                               {-32, 12},  {-16, 10},  {-12, 9},   {-11, 8},  {-8, 8},   {-7, 7},
                                               {-1, 1},    {0, 0},     {1, 17},    {7, 23},   {8, 24},   {16, 26},
                                               {32, 28},   {63, 29},   {64, 30},   {128, 31}, {500, 31}};
  for (const auto& [offset, bucket] : known)
    BOOST_TEST(sdk::relative_bucket(offset, both) == bucket, "offset " << offset);
  const sdk::RelativeBias before{.buckets = 40, .max_distance = 200, .heads = 1, .bidirectional = false};
  const std::pair<int64_t, int64_t> behind[] = {{-300, 39}, {-200, 39}, {-100, 33}, {-40, 26}, {-39, 25}, {-21, 20},
                                                {-20, 20},  {-19, 19},  {-1, 1},    {0, 0},    {1, 0},    {9, 0}};
  for (const auto& [offset, bucket] : behind)
    BOOST_TEST(sdk::relative_bucket(offset, before) == bucket, "offset " << offset);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace text_encoder_test
