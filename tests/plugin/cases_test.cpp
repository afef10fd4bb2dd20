// SPDX-License-Identifier: Apache-2.0
// What the repository carries of recordings stays small, whoever adds to it.
#include <boost/test/unit_test.hpp>

#include "tests/plugin/fixture.hpp"

namespace cases_test {

BOOST_AUTO_TEST_SUITE(cases)

BOOST_AUTO_TEST_CASE(all_cases_together_stay_below_30_megabytes) {
  namespace fs = std::filesystem;
  uintmax_t bytes = 0;
  for (const fs::directory_entry& plugin : fs::directory_iterator(ONNXPORT_PLUGIN_SOURCES)) {
    if (!fs::is_directory(plugin.path() / "cases")) continue;
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(plugin.path() / "cases"))
      if (entry.is_regular_file()) bytes += entry.file_size();
  }
  BOOST_TEST(bytes > 1'000'000u);
  BOOST_TEST(bytes < 30'000'000u, bytes << " bytes; scripts/record makes cases without weights");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace cases_test
