// SPDX-License-Identifier: Apache-2.0
// What programs get where work fails or is stopped, and what is left behind then.
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <fstream>
#include <thread>

#include "job.hpp"

namespace {

namespace fs = std::filesystem;
using job::Folder;
using job::options_of;
using job::Outcome;

BOOST_AUTO_TEST_CASE(an_option_that_is_none_is_named) {
  const Folder folder;
  const auto options = options_of({{"opsett", "17"}});
  const Outcome outcome(onnxport_export(job::bert().c_str(), (folder / "onnx").c_str(), options.get(), nullptr));
  BOOST_TEST(outcome.result == ONNXPORT_RESULT_USAGE);
  BOOST_TEST(outcome.message.find("opsett") != std::string::npos, outcome.message);
  BOOST_TEST(outcome.json.at("error").at("message") == outcome.message);
  BOOST_TEST(folder.entries().empty());
}

BOOST_AUTO_TEST_CASE(options_of_the_program_alone_are_refused) {
  for (const char* name : {"help", "json", "json-line", "quiet", "version"}) {
    const auto options = options_of({{name, nullptr}});
    const Outcome outcome(onnxport_features(nullptr, options.get(), nullptr));
    BOOST_TEST(outcome.result == ONNXPORT_RESULT_USAGE, name);
  }
}

BOOST_AUTO_TEST_CASE(operands_are_never_taken_for_options) {
  const Outcome outcome(onnxport_export("--help", "--version", nullptr, nullptr));
  BOOST_TEST(outcome.result == ONNXPORT_RESULT_CHECKPOINT, outcome.message);
}

BOOST_AUTO_TEST_CASE(what_is_not_named_is_told) {
  for (const char* nothing : {static_cast<const char*>(nullptr), ""}) {
    const Outcome model(onnxport_export(nothing, "onnx", nullptr, nullptr));
    BOOST_TEST(model.result == ONNXPORT_RESULT_USAGE);
    BOOST_TEST(model.message == "no model is named");
    const Outcome output(onnxport_export(job::bert().c_str(), nothing, nullptr, nullptr));
    BOOST_TEST(output.message == "no output is named");
  }
}

BOOST_AUTO_TEST_CASE(a_value_that_is_wrong_is_told_by_its_option) {
  const Folder folder;
  struct Wrong {
    const char *name, *value, *told;
  };
  for (const auto& [name, value, told] :
       {Wrong{"opset", "x", "--opset"}, Wrong{"opset", nullptr, "--opset"},
        Wrong{"opset", "", "'opset' has an empty value"}, Wrong{"no-validate", "x", "--no-validate"},
        Wrong{"model", "other", "--model"}, Wrong{"", "x", "'' is no name"},
        Wrong{"--opset", "17", "'--opset' is no name"}, Wrong{"opset=17", nullptr, "'opset=17' is no name"}}) {
    const auto options = options_of({{name, value}});
    const Outcome outcome(onnxport_export(job::bert().c_str(), (folder / "onnx").c_str(), options.get(), nullptr));
    BOOST_TEST(outcome.result == ONNXPORT_RESULT_USAGE, outcome.message);
    BOOST_TEST(outcome.message.find(told) != std::string::npos, outcome.message);
  }
  BOOST_TEST(folder.entries().empty());
}

BOOST_AUTO_TEST_CASE(times_count_from_the_call) {
  const Folder folder;
  const auto options = options_of({{"no-validate", nullptr}});
  const auto written = [&](const char* name) {
    const Outcome outcome(onnxport_export(job::bert().c_str(), (folder / name).c_str(), options.get(), nullptr));
    return outcome.json.at("timings").at("written").get<double>();
  };
  const auto begin = std::chrono::steady_clock::now();
  written("one");
  std::this_thread::sleep_for(std::chrono::seconds(1));
  const auto second = std::chrono::steady_clock::now();
  const double told = written("two");
  const double took = std::chrono::duration<double>(std::chrono::steady_clock::now() - second).count();
  BOOST_TEST(told <= took);
  BOOST_TEST(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() > took + 1);
}

BOOST_AUTO_TEST_CASE(a_checkpoint_that_is_not_there) {
  const Folder folder;
  const Outcome outcome(onnxport_export("/nowhere/at/all", (folder / "onnx").c_str(), nullptr, nullptr));
  BOOST_TEST(outcome.result == ONNXPORT_RESULT_CHECKPOINT);
  BOOST_TEST(outcome.message.find("/nowhere/at/all") != std::string::npos);
  BOOST_TEST(!outcome.hint.empty());
}

/// Stops the work at its nth sign of life.
struct Stopper {
  onnxport_token* token;
  size_t at, heard = 0;
  static void hear(void* user, const char*, uint64_t, uint64_t) {
    auto* self = static_cast<Stopper*>(user);
    if (self->heard++ == self->at) onnxport_cancel(self->token);
  }
};

BOOST_AUTO_TEST_CASE(stopped_at_any_step_nothing_is_left) {
  const auto options = options_of({{"no-validate", nullptr}, {"external-data", nullptr}});
  size_t at = 0, stopped = 0;
  for (bool ended = false; !ended; ++at) {
    const Folder folder;
    const std::unique_ptr<onnxport_token, job::Free> token(onnxport_token_new());
    Stopper stopper{token.get(), at};
    const onnxport_listener listener{sizeof listener, &stopper, Stopper::hear, nullptr, token.get()};
    const Outcome outcome(onnxport_export(job::bert().c_str(), (folder / "onnx").c_str(), options.get(), &listener));
    ended = stopper.heard <= at;
    if (ended) {
      BOOST_TEST(outcome.result == ONNXPORT_RESULT_OK, outcome.message);
      continue;
    }
    ++stopped;
    BOOST_TEST(outcome.result == ONNXPORT_RESULT_CANCELLED);
    BOOST_TEST(outcome.json.at("status") == "interrupted");
    BOOST_TEST(folder.entries().empty());
  }
  BOOST_TEST(stopped > 0u);
}

BOOST_AUTO_TEST_CASE(stopped_what_was_there_stays_as_it_was) {
  const Folder folder;
  const fs::path model = folder / "model.onnx";
  std::ofstream(model) << "of before";
  const std::unique_ptr<onnxport_token, job::Free> token(onnxport_token_new());
  onnxport_cancel(token.get());
  const onnxport_listener listener{sizeof listener, nullptr, nullptr, nullptr, token.get()};
  const auto options = options_of({{"no-validate", nullptr}});
  const Outcome outcome(onnxport_export(job::bert().c_str(), folder.path.c_str(), options.get(), &listener));
  BOOST_TEST(outcome.result == ONNXPORT_RESULT_CANCELLED);
  BOOST_TEST(job::bytes_of(model) == "of before");
  BOOST_TEST(folder.entries() == std::vector<std::string>{"model.onnx"}, boost::test_tools::per_element());
}

}  // namespace
