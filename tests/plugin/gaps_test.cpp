// SPDX-License-Identifier: Apache-2.0
// Which recordings a known gap is about: everything that it names has to fit.
#include <boost/test/unit_test.hpp>

#include "tests/plugin/recording.hpp"

namespace gaps_test {

namespace {

using namespace onnxport;
using namespace onnxport::test;

Recording bert() {
  for (const Recording& recording : recordings_in(recorded("bert", ""))) {
    if (recording.architecture == "BertForMaskedLM" && recording.folder.filename() == "BertForMaskedLM")
      return recording;
  }
  BOOST_FAIL("the case bert/BertForMaskedLM is gone");
  return {};
}

bool met(const Manifest::KnownGap& gap) {
  return known_gap(bert(), {{"bert"}, {"masked-lm"}, {}, {gap}}) != nullptr;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(gaps)

BOOST_AUTO_TEST_CASE(all_that_a_gap_names_has_to_fit) {
  BOOST_TEST(met({.architecture = "BertForMaskedLM", .feature = "", .option = "", .reason = "r"}));
  BOOST_TEST(met({.architecture = "", .feature = "masked-lm", .option = "", .reason = "r"}));
  BOOST_TEST(met({.architecture = "", .feature = "", .option = "model_type=\"bert\"", .reason = "r"}));
  BOOST_TEST(
      met({.architecture = "BertForMaskedLM", .feature = "masked-lm", .option = "hidden_size=24", .reason = "r"}));
  BOOST_TEST(!met({.architecture = "BertModel", .feature = "", .option = "", .reason = "r"}));
  BOOST_TEST(!met({.architecture = "BertForMaskedLM", .feature = "default", .option = "", .reason = "r"}));
  BOOST_TEST(!met({.architecture = "BertForMaskedLM", .feature = "", .option = "hidden_size=25", .reason = "r"}));
  BOOST_TEST(!met({.architecture = "", .feature = "", .option = "no_such_field=1", .reason = "r"}));
  BOOST_TEST(!met({.architecture = "", .feature = "", .option = "model_type.within=1", .reason = "r"}));
  BOOST_TEST(!met({.architecture = "", .feature = "", .option = "hidden_size", .reason = "r"}));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace gaps_test
