// SPDX-License-Identifier: Apache-2.0
// Exports side by side in one process; `scripts/check threads` runs these with ThreadSanitizer.
#include <boost/test/unit_test.hpp>
#include <thread>

#include "job.hpp"

namespace {

using job::Folder;
using job::options_of;
using job::Outcome;

constexpr size_t threads = 4;

/// Runs the same in several threads; the outcomes in order.
template <class Work>
std::vector<Outcome> side_by_side(Work work) {
  std::vector<std::unique_ptr<Outcome>> done(threads);
  std::vector<std::thread> workers;
  for (size_t i = 0; i < threads; ++i) workers.emplace_back([&, i] { done[i] = std::make_unique<Outcome>(work(i)); });
  for (std::thread& worker : workers) worker.join();
  std::vector<Outcome> outcomes;
  for (const auto& outcome : done) outcomes.push_back(*outcome);
  return outcomes;
}

BOOST_AUTO_TEST_CASE(four_exports_write_what_one_does) {
  const Folder folder;
  const char* const features[threads] = {"default", "masked-lm", "default", "masked-lm"};
  const auto name = [&](size_t i) { return folder / ("out" + std::to_string(i)).c_str(); };
  for (const Outcome& outcome : side_by_side([&](size_t i) {
         const auto options = options_of({{"no-validate", nullptr}, {"feature", features[i]}});
         return onnxport_export(job::bert().c_str(), name(i).c_str(), options.get(), nullptr);
       }))
    BOOST_TEST(outcome.result == ONNXPORT_RESULT_OK, outcome.message);
  BOOST_TEST((job::bytes_of(name(0) + "/model.onnx") == job::bytes_of(name(2) + "/model.onnx")));
  BOOST_TEST((job::bytes_of(name(1) + "/model.onnx") == job::bytes_of(name(3) + "/model.onnx")));
  const auto options = options_of({{"no-validate", nullptr}, {"feature", "masked-lm"}});
  const Outcome alone(onnxport_export(job::bert().c_str(), (folder / "alone").c_str(), options.get(), nullptr));
  BOOST_TEST((job::bytes_of(folder / "alone/model.onnx") == job::bytes_of(name(1) + "/model.onnx")));
}

BOOST_AUTO_TEST_CASE(to_one_folder_the_last_wins_and_all_is_whole) {
  const Folder folder;
  const std::string output = folder / "onnx";
  for (const Outcome& outcome : side_by_side([&](size_t) {
         const auto options = options_of({{"no-validate", nullptr}});
         return onnxport_export(job::bert().c_str(), output.c_str(), options.get(), nullptr);
       }))
    BOOST_TEST(outcome.result == ONNXPORT_RESULT_OK, outcome.message);
  BOOST_TEST(folder.entries() == std::vector<std::string>{"onnx"}, boost::test_tools::per_element());
  const Outcome seen(onnxport_inspect((output + "/model.onnx").c_str(), nullptr, nullptr));
  BOOST_TEST(seen.result == ONNXPORT_RESULT_OK, seen.message);
}

BOOST_AUTO_TEST_CASE(one_is_stopped_and_the_others_go_on) {
  const Folder folder;
  const std::unique_ptr<onnxport_token, job::Free> token(onnxport_token_new());
  onnxport_cancel(token.get());
  const auto name = [&](size_t i) { return folder / ("out" + std::to_string(i)).c_str(); };
  const std::vector<Outcome> outcomes = side_by_side([&](size_t i) {
    const onnxport_listener listener{sizeof listener, nullptr, nullptr, nullptr, i == 1 ? token.get() : nullptr};
    const auto options = options_of({{"no-validate", nullptr}});
    return onnxport_export(job::bert().c_str(), name(i).c_str(), options.get(), &listener);
  });
  for (size_t i = 0; i < threads; ++i)
    BOOST_TEST(outcomes[i].result == (i == 1 ? ONNXPORT_RESULT_CANCELLED : ONNXPORT_RESULT_OK), outcomes[i].message);
  BOOST_TEST(folder.entries() == (std::vector<std::string>{"out0", "out2", "out3"}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(validations_run_side_by_side) {
  const Folder folder;
  const std::string output = folder / "onnx", recording = job::bert() + "/case-masked-lm-0.safetensors";
  const auto unchecked = options_of({{"no-validate", nullptr}});
  onnxport_outcome_free(onnxport_export(job::bert().c_str(), output.c_str(), unchecked.get(), nullptr));
  for (const Outcome& outcome : side_by_side([&](size_t) {
         const auto options = options_of({{"case", recording.c_str()}});
         return onnxport_validate(output.c_str(), options.get(), nullptr);
       }))
    BOOST_TEST(outcome.result == ONNXPORT_RESULT_OK, outcome.message);
}

}  // namespace
