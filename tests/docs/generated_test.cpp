// SPDX-License-Identifier: Apache-2.0
// The generated pages are those that would be generated now.
#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "docs/generate/pages.hpp"
#include "docs/generate/section.hpp"

namespace generated_test {

namespace fs = std::filesystem;
using namespace onnxport;

BOOST_AUTO_TEST_CASE(generated_pages_are_up_to_date) {
  const BuiltPlugins plugins =
      plugins_below(fs::path(ONNXPORT_BUILD_DIR) / "lib/onnxport/plugins", fs::path(ONNXPORT_SOURCE_DIR) / "plugins");
  for (const Page& page : pages()) {
    std::ifstream file(fs::path(ONNXPORT_SOURCE_DIR) / "docs" / page.file);
    BOOST_REQUIRE(file);
    const std::string present((std::istreambuf_iterator<char>(file)), {});
    const std::string made = page.make(present, plugins);
    size_t line = 1;
    for (size_t at = 0; at < made.size() && at < present.size() && made[at] == present[at]; ++at)
      line += made[at] == '\n';
    BOOST_TEST((made == present), "docs/" << page.file << " is not what would be generated, first in line " << line
                                          << "; build the target docs");
  }
}

BOOST_AUTO_TEST_CASE(a_generated_part_stands_between_its_marks) {
  const std::string page = "a\n<!-- generated: x -->\nold\n<!-- end -->\nb\n";
  BOOST_TEST(with_section(page, "x", "new\n") == "a\n<!-- generated: x -->\n\nnew\n\n<!-- end -->\nb\n");
  BOOST_CHECK_THROW(with_section(page, "y", ""), std::runtime_error);
  BOOST_CHECK_THROW(with_section("<!-- generated: x -->\n", "x", ""), std::runtime_error);
}

}  // namespace generated_test
