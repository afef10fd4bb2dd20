// SPDX-License-Identifier: Apache-2.0
// The frequencies of rotary positions, to the last bit as transformers 5.24 makes them with torch 2 in 32 bits.
#include <onnxport/rotary.hpp>

#include <boost/test/unit_test.hpp>

#include "core/definition/host_tables.hpp"
#include "core/definition/onnx_config.hpp"

namespace rotary_test {

namespace sdk = onnxport::sdk;

namespace {

constexpr int64_t width = 16;

std::vector<float> frequencies(const char* parameters) {
  onnxport::Json json{{"max_position_embeddings", 64}, {"rope_parameters", onnxport::Json::parse(parameters)}};
  onnxport_config root;
  root.json = &json;
  return sdk::Rotary(sdk::Config(&onnxport::plugin_host(), &root), width).frequencies();
}

std::vector<float> of(const char* text) {
  const onnxport::Json json = onnxport::Json::parse(text);
  onnxport_config root;
  root.json = &json;
  return sdk::Rotary(sdk::Config(&onnxport::plugin_host(), &root), width).frequencies();
}

}  // namespace

BOOST_AUTO_TEST_SUITE(rotary)

BOOST_AUTO_TEST_CASE(frequencies_that_are_not_scaled) {
  const std::vector<float> recorded{1.0F,          0.421696514F,  0.177827939F,   0.0749894157F,
                                    0.0316227786F, 0.0133352149F, 0.00562341325F, 0.00237137382F};
  BOOST_TEST(frequencies(R"({"rope_type": "default", "rope_theta": 1000.0})") == recorded,
             boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(frequencies_by_one_factor) {
  const std::vector<float> recorded{0.400000006F,  0.168678612F,   0.0711311772F,  0.0299957655F,
                                    0.0126491114F, 0.00533408578F, 0.00224936521F, 0.000948549539F};
  BOOST_TEST(frequencies(R"({"rope_type": "linear", "rope_theta": 1000.0, "factor": 2.5})") == recorded,
             boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(frequencies_of_which_long_waves_are_stretched) {
  const std::vector<float> recorded{1.0F,           0.421696514F,   0.0643098727F,   0.00937367696F,
                                    0.00395284733F, 0.00166690187F, 0.000702926656F, 0.000296421727F};
  BOOST_TEST(frequencies(R"({"rope_type": "llama3", "rope_theta": 1000.0, "factor": 8.0, "low_freq_factor": 1.0,
                             "high_freq_factor": 4.0, "original_max_position_embeddings": 64})") == recorded,
             boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(of_two_maps_the_older_name_counts) {
  const std::vector<float> scaled = of(R"({"rope_theta": 1000.0, "rope_scaling": {"type": "linear", "factor": 2.5}})");
  const std::string both = R"({"rope_theta": 1000.0, "rope_parameters": {"rope_type": "default", "rope_theta": 7.0}, )";
  BOOST_TEST(of((both + R"("rope_scaling": {"rope_type": "linear", "factor": 2.5}})").c_str()) == scaled);
  const std::vector<float> plain = of(R"({"rope_theta": 7.0})");
  BOOST_TEST(of((both + R"("rope_scaling": null})").c_str()) == plain);
  BOOST_TEST(of((both + R"("rope_scaling": {}})").c_str()) == plain);
}

BOOST_AUTO_TEST_CASE(the_length_of_the_first_training_beside_the_map) {
  const std::string llama3 = R"("rope_type": "llama3", "rope_theta": 1000.0, "factor": 8.0)",
                    yarn = R"("rope_type": "yarn", "rope_theta": 1000.0, "factor": 3.0, "beta_fast": 8.0)";
  for (const std::string& form : {llama3, yarn}) {
    const std::string inner = form + R"(, "original_max_position_embeddings": 64)",
                      outer = R"({"max_position_embeddings": 4096, "original_max_position_embeddings": 64, )";
    const std::vector<float> expected =
        of((R"({"max_position_embeddings": 4096, "rope_parameters": {)" + inner + "}}").c_str());
    BOOST_TEST(of((outer + R"("rope_parameters": {)" + form + "}}").c_str()) == expected);
    BOOST_TEST(
        of((outer + R"("rope_parameters": {)" + form + R"(, "original_max_position_embeddings": 9}})").c_str()) ==
        expected);
    // Version 4 does not look there.
    BOOST_TEST(of((outer + R"("rope_scaling": {)" + form + "}}").c_str()) != expected);
  }
}

BOOST_AUTO_TEST_CASE(frequencies_of_which_slow_ones_are_interpolated) {
  const std::vector<float> recorded{1.0F,         0.327986181F,   0.098793298F,   0.0249964725F,
                                    0.010540925F, 0.00444507133F, 0.00187447108F, 0.00079045794F};
  BOOST_TEST(frequencies(R"({"rope_type": "yarn", "rope_theta": 1000.0, "factor": 3.0, "beta_fast": 8.0,
                             "original_max_position_embeddings": 64})") == recorded,
             boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(frequencies_with_a_factor_each) {
  const std::vector<float> recorded{0.909090877F,  0.351413757F,  0.136790738F,   0.0535638705F,
                                    0.0210818499F, 0.0083345091F, 0.00330789015F, 0.00131742982F};
  BOOST_TEST(frequencies(R"({"rope_type": "longrope", "rope_theta": 1000.0, "factor": 3.0,
                             "short_factor": [1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 1.8],
                             "long_factor": [2.3, 2.4, 2.5, 2.6, 2.7, 2.8, 2.9, 3.0],
                             "original_max_position_embeddings": 64})") == recorded,
             boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(frequencies_that_a_model_divides_by_itself) {
  const onnxport::Json json{{"max_position_embeddings", 64}};
  onnxport_config root;
  root.json = &json;
  const sdk::Rotary slowed(sdk::Config(&onnxport::plugin_host(), &root), width, {.theta = 1000.0, .slowed = 2.5});
  BOOST_TEST(slowed.frequencies()[1] == 0.168678612F);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace rotary_test
