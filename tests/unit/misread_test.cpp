// SPDX-License-Identifier: Apache-2.0
// Fields of config.json that are read as what they are not: an error that says what was found, never a default.
#include "core/definition/misread.hpp"

#include <fmt/format.h>
#include <onnxport/plugin.hpp>

#include <boost/test/unit_test.hpp>
#include <functional>
#include <limits>

#include "core/definition/config_fields.hpp"
#include "core/definition/host_tables.hpp"
#include "core/definition/onnx_config.hpp"
#include "core/error.hpp"

namespace misread_test {

namespace {

using onnxport::Json;
using onnxport::sdk::Config;

/// What is said of a config that is read in some way; empty where nothing is wrong.
std::string said_of(const char* config, const std::function<void(const Config&)>& read) {
  const Json json = Json::parse(config);
  onnxport::Misread misread;
  onnxport_config root;
  root.json = &json;
  root.misread = &misread;
  read(Config(&onnxport::plugin_host(), &root));
  try {
    misread.check(nullptr);
  } catch (const onnxport::Error& error) {
    BOOST_TEST((error.failure() == onnxport::Failure::checkpoint));
    BOOST_TEST(!error.hint().empty());
    return error.what();
  }
  return {};
}

std::string scaling_of(const char* config) {
  return said_of(config, [](const Config& c) { (void)c.section("rope_scaling").real("factor", 1); });
}

std::string act_of(const char* config) {
  return said_of(config, [](const Config& c) { (void)c.text("hidden_act", "gelu"); });
}

}  // namespace

BOOST_AUTO_TEST_SUITE(misread_fields)

BOOST_AUTO_TEST_CASE(a_text_is_no_map) {
  BOOST_TEST(scaling_of(R"({"rope_scaling": "linear"})") ==
             "config field 'rope_scaling' is \"linear\"; expected a map");
  BOOST_TEST(scaling_of(R"({"rope_scaling": [2.0]})") == "config field 'rope_scaling' is [2.0]; expected a map");
  BOOST_TEST(scaling_of(R"({"rope_scaling": 2})") == "config field 'rope_scaling' is 2; expected a map");
  // No scaling is what null says as well.
  for (const char* right : {R"({"rope_scaling": {"factor": 2.0}})", R"({"rope_scaling": null})", "{}"})
    BOOST_TEST(scaling_of(right) == "");
}

BOOST_AUTO_TEST_CASE(a_field_within_a_map_goes_by_its_path) {
  const auto said = said_of(R"({"vision": {"rope": true}})",
                            [](const Config& c) { (void)c.section("vision").section("rope").integer("width", 1); });
  BOOST_TEST(said == "config field 'vision.rope' is true; expected a map");
}

BOOST_AUTO_TEST_CASE(a_text_has_no_entries_and_a_number_may_have_none) {
  const auto entries = [](const Config& c) { (void)c.entries("image_size"); };
  BOOST_TEST(said_of(R"({"image_size": "224"})", entries) ==
             "config field 'image_size' is \"224\"; expected a list or a map");
  BOOST_TEST(said_of(R"({"image_size": 224})", entries) == "");
  BOOST_TEST(said_of(R"({"image_size": [224, 224]})", entries) == "");
}

BOOST_AUTO_TEST_CASE(null_counts_as_absent_only_where_a_class_takes_it) {
  BOOST_TEST(act_of(R"({"hidden_act": null})") ==
             "config field 'hidden_act' is null; expected a value, as no class takes null for it");
  BOOST_TEST(act_of("{}") == "");
  for (const char* field : {"head_dim", "num_key_value_heads", "sliding_window", "pad_token_id", "n_inner"})
    BOOST_TEST(!onnxport::is_never_null(field), field);
  const auto heads = [](const Config& c) { (void)c.integer("num_key_value_heads", 4); };
  BOOST_TEST(said_of(R"({"num_key_value_heads": null})", heads) == "");
  // Nobody wants to know what it says.
  BOOST_TEST(said_of(R"({"hidden_act": null})", [](const Config& c) { c.no_effect({"hidden_act"}); }) == "");
}

BOOST_AUTO_TEST_CASE(a_list_of_lists_is_no_number_and_no_text) {
  const auto refusal = [](const char* config, const std::function<void(const Config&)>& read) {
    try {
      return said_of(config, read);
    } catch (const onnxport::sdk::Error& error) {
      return onnxport::with_what_is_there(error.what(), Json::parse(config));
    }
  };
  const auto lists = [](const Config& c) { (void)c.lists("pins"); };
  const auto integers = [](const Config& c) { (void)c.integer_lists("pins"); };
  const auto repeated = [](const Config& c) { (void)c.repeated_texts("pins"); };
  for (const char* value : {"336", "33.5", "\"336\"", "true", "{}"}) {
    const std::string config = fmt::format("{{\"pins\": {}}}", value);
    for (const auto& [read, expected] :
         {std::pair<std::function<void(const Config&)>, std::string>{lists, "a list of lists"},
          {integers, "a list of lists"},
          {repeated, "a list of lists of texts, each with a number of times"}})
      BOOST_TEST(refusal(config.c_str(), read) ==
                 fmt::format("config field 'pins' is {}; expected {}", value, expected));
  }
  for (const char* right : {"{}", R"({"pins": null})", R"({"pins": []})"})
    for (const auto& read : {std::function<void(const Config&)>(lists), {integers}, {repeated}})
      BOOST_TEST(refusal(right, read) == "");
}

BOOST_AUTO_TEST_CASE(a_number_that_is_too_large_is_no_integer) {
  const Json json = Json::parse(R"({"wide": 18446744073709551615, "most": 9223372036854775807})");
  onnxport_config root;
  root.json = &json;
  const Config config(&onnxport::plugin_host(), &root);
  BOOST_CHECK_THROW((void)config.integer("wide"), onnxport::sdk::Error);
  BOOST_TEST(config.integer("most") == std::numeric_limits<int64_t>::max());
  const auto said = [](const char* text) {
    return said_of(text, [](const Config& c) { (void)c.integer("window", 0); });
  };
  BOOST_TEST(said(R"({"window": 9007199254740993})") ==
             "config field 'window' is 9007199254740993; expected a number of at most 2^53");
  BOOST_TEST(said(R"({"window": 9007199254740992})") == "");
}

BOOST_AUTO_TEST_CASE(a_field_by_its_other_names) {
  const auto read = [](const char* text, const char* field) {
    const Json json = Json::parse(text);
    onnxport_config root;
    root.json = &json;
    const Config config(&onnxport::plugin_host(), &root);
    return config
        .with_names({{"n_head", "num_attention_heads"},
                     {"n_head", "encoder_attention_heads"},
                     {"encoder_layers", "num_hidden_layers"}})
        .integer(field, 12);
  };
  BOOST_TEST(read(R"({})", "n_head") == 12);
  BOOST_TEST(read(R"({"num_attention_heads": 4})", "n_head") == 4);
  BOOST_TEST(read(R"({"encoder_attention_heads": 4})", "n_head") == 4);
  // As the classes do, which set their own field first.
  BOOST_TEST(read(R"({"n_head": 2, "num_attention_heads": 4})", "n_head") == 4);
  BOOST_TEST(read(R"({"n_head": 2, "num_attention_heads": null})", "n_head") == 2);
  // Transformers 4 wrote this one as a field of its own.
  const char* const both = R"({"encoder_layers": 2, "num_hidden_layers": 4})";
  BOOST_TEST(read(both, "encoder_layers") == 2);
  BOOST_TEST(read(R"({"encoder_layers": 2, "num_hidden_layers": 4, "transformers_version": "5.24.0"})",
                  "encoder_layers") == 4);
}

BOOST_AUTO_TEST_CASE(labels_are_counted_as_the_version_does) {
  const auto labels = [](const std::string& more) {
    const Json json = Json::parse(R"({"id2label": {"0": "a", "1": "b", "2": "c"})" + more + "}");
    onnxport_config root;
    root.json = &json;
    return Config(&onnxport::plugin_host(), &root).num_labels();
  };
  BOOST_TEST(labels("") == 3);
  BOOST_TEST(labels(R"(, "num_labels": 5, "transformers_version": "4.57.1")") == 3);
  BOOST_TEST(labels(R"(, "num_labels": 5, "transformers_version": "5.24.0")") == 5);
}

BOOST_AUTO_TEST_CASE(what_a_plugin_refuses_is_told_with_what_is_there) {
  const Json config = Json::parse(R"({"hidden_size": "768", "inner": {"width": [1]}})");
  const auto told = [&](const std::string& message) { return onnxport::with_what_is_there(message, config); };
  BOOST_TEST(told("config field 'hidden_size' has another type: expected an integer") ==
             "config field 'hidden_size' is \"768\"; expected an integer");
  BOOST_TEST(told("config field 'inner.width' has another type: expected an integer") ==
             "config field 'inner.width' is [1]; expected an integer");
  for (const char* other : {"config field 'gone' has another type: expected an integer", "out of memory"})
    BOOST_TEST(told(other) == other);
}

BOOST_AUTO_TEST_CASE(fields_of_all_classes_have_a_form) {
  const auto refusal = [](const char* config) {
    try {
      onnxport::refuse_general_fields(Json::parse(config));
    } catch (const onnxport::Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  BOOST_TEST(refusal(R"({"architectures": "BertModel"})") ==
             "config field 'architectures' is \"BertModel\"; expected a list of class names");
  BOOST_TEST(refusal(R"({"id2label": ["a", "b"]})") ==
             "config field 'id2label' is [\"a\",\"b\"]; expected a map from numbers to labels");
  BOOST_TEST(refusal(R"({"quantization_config": "awq"})").find("expected a map") != std::string::npos);
  BOOST_TEST(refusal(R"({"architectures": null, "id2label": null, "quantization_config": null})") == "");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace misread_test
