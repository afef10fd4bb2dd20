// SPDX-License-Identifier: Apache-2.0
// What programs get: plugins, features, plans, exports, validations.
#include <boost/test/unit_test.hpp>

#include "job.hpp"

namespace {

using job::Folder;
using job::options_of;
using job::Outcome;

BOOST_AUTO_TEST_CASE(the_library_says_its_versions) {
  BOOST_TEST((onnxport_api_version() >> 16) == uint32_t{ONNXPORT_API_MAJOR});
  BOOST_TEST((onnxport_api_version() & 0xffff) >= uint32_t{ONNXPORT_API_MINOR});
  BOOST_TEST(std::string(onnxport_version()).find('.') != std::string::npos);
}

BOOST_AUTO_TEST_CASE(plugins_are_found_beside_the_library) {
  const Outcome found(onnxport_plugins(nullptr, nullptr));
  BOOST_TEST(found.result == ONNXPORT_RESULT_OK);
  BOOST_TEST(found.json.dump().find("org.onnxport.bert") != std::string::npos, found.json.dump(2));
}

BOOST_AUTO_TEST_CASE(features_of_a_type_and_of_all) {
  const Outcome one(onnxport_features("bert", nullptr, nullptr));
  BOOST_TEST(one.result == ONNXPORT_RESULT_OK);
  const auto features = one.json.at("model_types").at("bert").get<std::vector<std::string>>();
  BOOST_TEST((std::find(features.begin(), features.end(), "masked-lm") != features.end()));
  const Outcome all(onnxport_features(nullptr, nullptr, nullptr));
  BOOST_TEST(all.json.at("model_types").contains("bert"));
  const Outcome none(onnxport_features("brt", nullptr, nullptr));
  BOOST_TEST(none.result == ONNXPORT_RESULT_USAGE);
  BOOST_TEST(none.message.find("brt") != std::string::npos, none.message);
}

BOOST_AUTO_TEST_CASE(a_plan_tells_inputs_and_outputs_and_writes_nothing) {
  const Folder folder;
  const auto options = options_of({{"opset", "17"}});
  const Outcome plan(onnxport_plan(job::bert().c_str(), (folder / "onnx").c_str(), options.get(), nullptr));
  BOOST_TEST(plan.result == ONNXPORT_RESULT_OK, plan.message);
  BOOST_TEST(plan.json.at("opset") == 17);
  BOOST_TEST(plan.json.at("weight_bytes").get<int64_t>() == 4 * plan.json.at("parameters").get<int64_t>());
  const nlohmann::json& graph = plan.json.at("graphs").at(0);
  BOOST_TEST(graph.at("path") == folder / "onnx/model.onnx");
  BOOST_TEST(graph.at("inputs").at(0) ==
             nlohmann::json({{"name", "input_ids"}, {"element", "i64"}, {"shape", {"batch", "sequence"}}}));
  BOOST_TEST(graph.at("outputs").at(0).at("name") == "logits");
  BOOST_TEST(folder.entries().empty());
}

BOOST_AUTO_TEST_CASE(what_is_planned_is_exported) {
  const Folder folder;
  const auto options = options_of({{"no-validate", nullptr}});
  const std::string output = folder / "onnx";
  const Outcome plan(onnxport_plan(job::bert().c_str(), output.c_str(), options.get(), nullptr));
  const Outcome done(onnxport_export(job::bert().c_str(), output.c_str(), options.get(), nullptr));
  BOOST_TEST(done.result == ONNXPORT_RESULT_OK, done.message);
  BOOST_TEST(done.json.at("model_file") == plan.json.at("graphs").at(0).at("path"));
  const Outcome seen(onnxport_inspect((output + "/model.onnx").c_str(), nullptr, nullptr));
  BOOST_TEST(seen.json.at("inputs").size() == plan.json.at("graphs").at(0).at("inputs").size());
}

BOOST_AUTO_TEST_CASE(packages_and_the_model_card_are_found_beside_the_library) {
  const Folder folder;
  const auto options = options_of({{"no-validate", nullptr}, {"layout", "transformers.js"}, {"model-card", nullptr}});
  const Outcome done(onnxport_export(job::bert().c_str(), (folder / "onnx").c_str(), options.get(), nullptr));
  BOOST_TEST(done.result == ONNXPORT_RESULT_OK, done.message);
  BOOST_TEST(std::filesystem::exists(folder / "onnx/onnx/model.onnx"));
  BOOST_TEST(std::filesystem::exists(folder / "onnx/README.md"));
}

struct Heard {
  std::vector<std::string> phases, notes;
};

void hear_progress(void* user, const char* phase, uint64_t, uint64_t) {
  static_cast<Heard*>(user)->phases.emplace_back(phase);
}
void hear_note(void* user, const char* text) {
  static_cast<Heard*>(user)->notes.emplace_back(text);
}

BOOST_AUTO_TEST_CASE(a_listener_hears_progress_and_notes) {
  const Folder folder;
  Heard heard;
  const onnxport_listener listener{sizeof listener, &heard, hear_progress, hear_note, nullptr};
  const auto options = options_of({{"no-validate", nullptr}, {"feature", "default"}});
  const Outcome done(onnxport_export(job::bert().c_str(), (folder / "onnx").c_str(), options.get(), &listener));
  BOOST_TEST(done.result == ONNXPORT_RESULT_OK, done.message);
  BOOST_TEST(!heard.phases.empty());
  // The head of the checkpoint has no part in this feature.
  BOOST_TEST(heard.notes == done.json.at("notes").get<std::vector<std::string>>(), boost::test_tools::per_element());
  BOOST_TEST(!heard.notes.empty());
}

BOOST_AUTO_TEST_CASE(a_listener_of_an_older_program_is_shorter) {
  const Folder folder;
  Heard heard;
  // What lies behind the size that it states is not its own: here what would crash if it were called.
  onnxport_listener listener{offsetof(onnxport_listener, note), &heard, hear_progress, nullptr, nullptr};
  listener.note = reinterpret_cast<void (*)(void*, const char*)>(8);
  const auto options = options_of({{"no-validate", nullptr}, {"feature", "default"}});
  const Outcome done(onnxport_export(job::bert().c_str(), (folder / "onnx").c_str(), options.get(), &listener));
  BOOST_TEST(done.result == ONNXPORT_RESULT_OK, done.message);
  BOOST_TEST(!heard.phases.empty());
}

BOOST_AUTO_TEST_CASE(an_export_is_validated_against_recordings) {
  const Folder folder;
  const std::string output = folder / "onnx", recording = job::bert() + "/case-masked-lm-0.safetensors";
  const auto unchecked = options_of({{"no-validate", nullptr}});
  onnxport_outcome_free(onnxport_export(job::bert().c_str(), output.c_str(), unchecked.get(), nullptr));
  const auto options = options_of({{"case", recording.c_str()}});
  const Outcome passed(onnxport_validate(output.c_str(), options.get(), nullptr));
  BOOST_TEST(passed.result == ONNXPORT_RESULT_OK, passed.message);
  const auto strict = options_of({{"case", recording.c_str()}, {"atol", "1e-30"}});
  const Outcome differs(onnxport_validate(output.c_str(), strict.get(), nullptr));
  // An exact result would pass, whatever the tolerance.
  BOOST_TEST(
      (differs.result == ONNXPORT_RESULT_DIFFERS || differs.json.at("validation").at("largest_difference") == 0));
}

}  // namespace
