// SPDX-License-Identifier: Apache-2.0
// docs/operators.md lists every operator of the table with its attributes and their kinds, no more and no fewer.
#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>

#include "core/ir/operators.hpp"

namespace fs = std::filesystem;
using namespace onnxport;

namespace {

/// By "domain.name", attributes as "name: kind".
using Listing = std::map<std::string, std::set<std::string>>;

/// Cell `index` of a table's row.
std::string cell(const std::string& row, size_t index) {
  size_t begin = row.find('|');
  for (size_t i = 0; i < index; ++i) begin = row.find('|', begin + 1);
  return row.substr(begin + 1, row.find('|', begin + 1) - begin - 1);
}

Listing documented(const fs::path& page) {
  static const std::regex attribute(R"(`([A-Za-z_]+)`: ([a-z]+))");
  std::ifstream file(page);
  BOOST_REQUIRE(file);
  Listing listing;
  std::string domain;
  bool listed = false;  // a subsection explains one operator
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("#")) listed = !line.starts_with("### ");
    if (line.starts_with("## ")) domain = line == "## Composites" ? ir::composite_domain : "";
    if (!listed || !line.starts_with("| ") || line.starts_with("| operator ")) continue;
    std::istringstream names(cell(line, 0));
    const std::string attributes = cell(line, 2);
    for (std::string name; names >> name;) {
      std::set<std::string>& known = listing[domain + "." + name];
      for (std::sregex_iterator at(attributes.begin(), attributes.end(), attribute), end; at != end; ++at)
        known.insert((*at)[1].str() + ": " + (*at)[2].str());
    }
  }
  return listing;
}

}  // namespace

BOOST_AUTO_TEST_CASE(the_table_of_operators_is_that_of_the_graph) {
  const Listing page = documented(fs::path(ONNXPORT_SOURCE_DIR) / "docs/operators.md");
  Listing table;
  for (const ir::Operator& op : ir::operators()) {
    std::set<std::string>& known = table[std::string(op.domain) + "." + std::string(op.name)];
    for (const ir::AttributeSpec& spec : op.attributes)
      known.insert(std::string(spec.name) + ": " + std::string(name_of(spec.kind)));
  }
  BOOST_TEST(!table.empty());
  for (const auto& [name, attributes] : table) {
    const auto found = page.find(name);
    BOOST_TEST((found != page.end()), "docs/operators.md lacks " << name);
    if (found != page.end()) BOOST_TEST(found->second == attributes, boost::test_tools::per_element());
  }
  for (const auto& [name, attributes] : page)
    BOOST_TEST(table.contains(name), "docs/operators.md lists " << name << ", which there is not");
}
