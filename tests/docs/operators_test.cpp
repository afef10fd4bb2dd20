// SPDX-License-Identifier: Apache-2.0
// docs/operators.md says of each operator what its row says.
#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "core/ir/operators.hpp"
#include "docs/generate/operators_page.hpp"

using namespace onnxport;

BOOST_AUTO_TEST_CASE(the_tables_of_operators_are_generated) {
  std::ifstream file(std::filesystem::path(ONNXPORT_SOURCE_DIR) / "docs/operators.md");
  BOOST_REQUIRE(file);
  const std::string page((std::istreambuf_iterator<char>(file)), {});
  BOOST_TEST(operators_page(page) == page,
             "docs/operators.md is not what the rows in core/operators say; rewrite it "
             "with: cmake --build build --target docs");
}

BOOST_AUTO_TEST_CASE(every_row_says_what_it_takes) {
  for (const ir::Operator& op : ir::operators())
    BOOST_TEST(!op.documentation.inputs.empty(), op.domain << "." << op.name << " has no line in docs/operators.md");
}
