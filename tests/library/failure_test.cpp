// SPDX-License-Identifier: Apache-2.0
// What programs get where work fails or is stopped, and what is left behind then.
#include <boost/test/unit_test.hpp>
#include <fstream>

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
  const Outcome nothing(onnxport_export(nullptr, nullptr, nullptr, nullptr));
  BOOST_TEST(nothing.result != ONNXPORT_RESULT_OK);
  BOOST_TEST(!nothing.message.empty());
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
