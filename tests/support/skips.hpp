// SPDX-License-Identifier: Apache-2.0
// What is not run is told as such: each skip has a reason, and never counts as passed.
#pragma once

#include <boost/test/unit_test.hpp>
#include <iostream>
#include <string>
#include <vector>

#include "core/backend/backend.hpp"

namespace onnxport::test {

/// A case, or the rest of one, that was not run.
struct Skip {
  std::string name, reason;
};

inline std::vector<Skip>& skips() {
  static std::vector<Skip> all;
  return all;
}

/// Says that the rest of the present case is not run.
inline void not_run(const std::string& reason) {
  skips().push_back({boost::unit_test::framework::current_test_unit().full_name(), reason});
}

using Answer = boost::test_tools::assertion_result;

/// The answer of a precondition that is not met.
inline Answer skipped(const std::string& reason) {
  Answer result(false);
  result.message() << reason;
  return result;
}

/// Preconditions: back ends that are built.
inline Answer reference_built(boost::unit_test::test_unit_id) {
  return backend_installed("reference") ? Answer(true) : skipped("the reference back end is not built");
}
inline Answer runtime_built(boost::unit_test::test_unit_id) {
  return backend_installed("onnxruntime") ? Answer(true) : skipped("the back end of ONNX Runtime is not built");
}
inline Answer both_built(boost::unit_test::test_unit_id id) {
  const Answer reference = reference_built(id);
  return reference ? runtime_built(id) : reference;
}

/// Counts the cases that were run, and takes down those that were not.
class SkipObserver : public boost::unit_test::test_observer {
 public:
  void test_unit_start(const boost::unit_test::test_unit&) override {
    assertions_ = 0;
    skips_before_ = skips().size();
  }
  void assertion_result(boost::unit_test::assertion_result) override { ++assertions_; }
  void test_unit_finish(const boost::unit_test::test_unit& unit, unsigned long) override {
    if (unit.p_type == boost::unit_test::TUT_CASE && (assertions_ > 0 || skips().size() == skips_before_)) ++ran_;
  }
  void test_unit_skipped(const boost::unit_test::test_unit& unit, boost::unit_test::const_string reason) override {
    // What the command line filters out is not told.
    if (reason == "disabled") return;
    const std::string failed = "precondition failed: ", text(reason.begin(), reason.end());
    skips().push_back({unit.full_name(), text.starts_with(failed) ? text.substr(failed.size()) : text});
  }
  size_t ran() const { return ran_; }

 private:
  size_t assertions_ = 0, skips_before_ = 0, ran_ = 0;
};

/// The main of a test program: lists what was skipped. Its status is 77 where nothing was run and nothing failed, which
/// ctest counts as skipped. `add_cases` adds those that are not known before the program runs; may be null.
inline int run_tests(int argc, char** argv, bool (*add_cases)() = nullptr) {
  static SkipObserver observer;
  static bool (*add)() = add_cases;
  const int status = boost::unit_test::unit_test_main(
      +[] {
        boost::unit_test::framework::register_observer(observer);
        return add == nullptr || add();
      },
      argc, argv);
  for (const Skip& skip : skips()) std::cout << "skipped: " << skip.name << ": " << skip.reason << '\n';
  if (!skips().empty()) std::cout << observer.ran() << " cases run, " << skips().size() << " skipped\n";
  return status == 0 && observer.ran() == 0 && !skips().empty() ? 77 : status;
}

}  // namespace onnxport::test
