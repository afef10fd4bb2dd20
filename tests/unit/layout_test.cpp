// SPDX-License-Identifier: Apache-2.0
#include "core/package/layout.hpp"

#include <boost/test/unit_test.hpp>
#include <set>

#include "core/error.hpp"

namespace onnxport::layout_test {
namespace {

BOOST_AUTO_TEST_SUITE(layout_table)

BOOST_AUTO_TEST_CASE(rows_have_names_of_their_own_and_those_of_files) {
  std::set<std::string_view> names;
  for (const Layout& layout : layouts()) {
    BOOST_TEST(names.insert(layout.name).second);
    BOOST_TEST(!layout.summary.empty());
    BOOST_TEST(layout.part_file.empty() == (layout.graphs == Graphs::whole));
    BOOST_TEST(layout.merged_file.empty() == (layout.graphs != Graphs::merged));
    BOOST_TEST(&layout_from(layout.name) == &layout);
  }
  BOOST_TEST(layouts().front().name == "single");
}

BOOST_AUTO_TEST_CASE(an_unknown_name_is_told_the_others) {
  BOOST_CHECK_EXCEPTION(layout_from("folded"), Error, [](const Error& error) {
    return error.failure() == Failure::usage && error.what() == std::string("there is no layout 'folded'") &&
           error.hint() == "choose single, split or merged";
  });
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace onnxport::layout_test
